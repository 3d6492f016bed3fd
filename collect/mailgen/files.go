package mailgen

import (
	"archive/zip"
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"mime"
	"strings"
	"time"
)

// attachment returns the writer of a part that holds a small valid file.
func (g *Generator) attachment() func(*bytes.Buffer) {
	project := strings.ReplaceAll(g.pick(projects), " ", "-")
	var kind, name string
	var octets []byte
	switch g.rng.IntN(3) {
	case 0:
		kind, name, octets = "application/pdf", project+".pdf", g.pdf()
	case 1:
		kind, name, octets = "image/png", "Übersicht "+project+".png", g.png()
	default:
		kind, name, octets = "application/zip", project+".zip", g.zip()
	}
	return func(b *bytes.Buffer) {
		fmt.Fprintf(b, "Content-Type: %s\r\nContent-Disposition: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n",
			kind, strings.ReplaceAll(mime.FormatMediaType("attachment", map[string]string{"filename": name}), "; ", ";\r\n\t"))
		base64Lines(b, octets)
	}
}

// pdf is a page with one line of text.
func (g *Generator) pdf() []byte {
	text := strings.NewReplacer("(", "", ")", "").Replace(asciiOnly(g.fill(g.pick(english.sentences))))
	stream := "BT /F1 12 Tf 72 720 Td (" + text + ") Tj ET"
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R /Resources << /Font << /F1 4 0 R >> >> >>",
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(stream), stream),
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return b.Bytes()
}

// png is a bar chart of a few figures.
func (g *Generator) png() []byte {
	const width, height, bar = 96, 48, 12
	img := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.White, color.RGBA{0x2b, 0x6c, 0xb0, 0xff}, color.RGBA{0x9a, 0xc3, 0xe6, 0xff}})
	for x := 0; x < width; x += bar {
		top := g.rng.IntN(height - 4)
		for y := top; y < height; y++ {
			for i := range bar - 3 {
				img.SetColorIndex(x+i, y, uint8(1+g.rng.IntN(2)))
			}
		}
	}
	var b bytes.Buffer
	encoder := png.Encoder{BufferPool: &g.pngBuffer}
	if err := encoder.Encode(&b, img); err != nil {
		panic(err) // a bytes.Buffer takes everything, and the image is valid
	}
	return b.Bytes()
}

// zip is an archive of a few text files.
func (g *Generator) zip() []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range 1 + g.rng.IntN(3) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("page-%d.txt", i+1), Method: zip.Store, Modified: time.Date(2020, 1, 2, 3, 4, 6, 0, time.UTC)})
		if err != nil {
			panic(err) // see png
		}
		if _, err := f.Write([]byte(wrap(g.paragraphs(english, people[0], people[1], 300)))); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// pngBuffer keeps the encoder's buffers, a megabyte, from picture to picture.
type pngBuffer struct{ buffer *png.EncoderBuffer }

func (p *pngBuffer) Get() *png.EncoderBuffer  { return p.buffer }
func (p *pngBuffer) Put(b *png.EncoderBuffer) { p.buffer = b }
