package mailgen

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"time"
)

// Large returns a message of exactly size octets, at least 4,096, with one
// attachment, as a stream that is made while it is read: its memory does not
// grow with size. The same arguments give the same octets.
func Large(seed uint64, size int64, date time.Time) io.Reader {
	g := New(seed)
	d := g.draft(Attachments, date, nil)
	d.subject = "Scanned plans, all sheets"
	var b bytes.Buffer
	g.head(&b, &d, mimeWord)
	boundary := fmt.Sprintf("=_large_%016x", g.rng.Uint64())
	fmt.Fprintf(&b, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n--%s\r\n", boundary, boundary)
	textPartOnly(&b, "plain", "utf-8", "quoted-printable", "The sheets are attached as one file.\r\n")
	fmt.Fprintf(&b, "\r\n--%s\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"sheets.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n", boundary)
	tail := fmt.Sprintf("\r\n--%s--\r\n", boundary)
	body := max(size-int64(b.Len()), 4096-int64(b.Len())) - int64(len(tail))
	return io.MultiReader(&b, io.LimitReader(newBase64Lines(seed), body-body%78), io.LimitReader(blank{}, body%78), bytes.NewReader([]byte(tail)))
}

// LargeMessage is Large in memory.
func LargeMessage(seed uint64, size int64, date time.Time) []byte {
	raw, err := io.ReadAll(Large(seed, size, date))
	if err != nil {
		panic(err) // its readers have no errors
	}
	return raw
}

// base64Stream is an endless sequence of base64 lines of 78 octets. One block
// of random octets is varied by a counter: cheap, and no two lines alike.
type base64Stream struct {
	block   [57]byte
	counter uint64
	line    [78]byte
	left    []byte // of line
}

func newBase64Lines(seed uint64) *base64Stream {
	s := &base64Stream{}
	g := New(seed)
	for i := range s.block {
		s.block[i] = byte(g.rng.Uint32())
	}
	return s
}

func (s *base64Stream) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(s.left) == 0 {
			s.counter++
			for i, c := 0, s.counter*0x9e3779b97f4a7c15; i < 8; i, c = i+1, c>>8 {
				s.block[i*7] += byte(c)
			}
			base64.StdEncoding.Encode(s.line[:], s.block[:])
			s.line[76], s.line[77] = '\r', '\n'
			s.left = s.line[:]
		}
		k := copy(p[n:], s.left)
		s.left = s.left[k:]
		n += k
	}
	return n, nil
}

// blank fills what no whole line fits into: white space within base64.
type blank struct{}

func (blank) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
