package pdf

import (
	"bytes"
	"compress/zlib"
	"crypto/md5" //nolint:gosec // the checksums that ISO 32000-1 names; nothing rests on them
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

// Attachment is a file that travels inside of the document (ISO 19005-3 §6.8).
type Attachment struct {
	Name        string // "exceptions.csv"
	Type        string // media type, "text/csv"
	Description string
	// Relationship is that of the file to the document: Source where the
	// document was made of it, Data where it holds what a table shows.
	Relationship string
	Data         []byte
	// Late makes Data once the pages are written, where it is not nil: what takes
	// long to gather need not be waited for before. No Data at all is no
	// attachment.
	Late func() ([]byte, error)
}

// file is a document as its objects, each of them the octets between "obj" and
// "endobj".
type file struct {
	objects [][]byte // by number; [0] is none
	info    int
	catalog int
}

func pageObject(page int) int { return 1 + 2*page } // the library's own numbering; parse checks it

func (f *file) reserve() int {
	f.objects = append(f.objects, nil)
	return len(f.objects) - 1
}

func (f *file) set(n int, body string) { f.objects[n] = []byte(body) }

func (f *file) add(body string) int {
	n := f.reserve()
	f.set(n, body)
	return n
}

// stream adds a stream; dictionary is what its dictionary says beside length
// and filter. XMP must stay readable and is not compressed.
func (f *file) stream(dictionary string, data []byte, compress bool) (int, error) {
	if compress {
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		if _, err := z.Write(data); err != nil {
			return 0, err
		}
		if err := z.Close(); err != nil {
			return 0, err
		}
		data, dictionary = b.Bytes(), dictionary+" /Filter /FlateDecode"
	}
	n := f.reserve()
	var b bytes.Buffer
	fmt.Fprintf(&b, "<<%s /Length %d>>\nstream\n", dictionary, len(data))
	b.Write(data)
	b.WriteString("\nendstream")
	f.objects[n] = b.Bytes()
	return n, nil
}

var (
	trailerPattern = regexp.MustCompile(`(?s)trailer\n<<\n/Size (\d+)\n/Root (\d+) 0 R\n/Info (\d+) 0 R\n>>\nstartxref\n(\d+)\n%%EOF\s*$`)
)

// badForm says where the library's file is not of the form that is known.
func badForm(where string) error {
	return fmt.Errorf("the library wrote a file of another form than is known: %s", where)
}

// parse takes what the library wrote apart, along its table of objects.
func parse(data []byte) (*file, error) {
	m := trailerPattern.FindSubmatch(data)
	if m == nil {
		return nil, badForm("no trailer")
	}
	number := func(b []byte) int { n, _ := strconv.Atoi(string(b)); return n } // the pattern holds digits only
	size, table := number(m[1]), number(m[4])
	if table > len(data) || size < 2 || size > len(data) {
		return nil, badForm("its table is short")
	}
	lines := bytes.Split(data[table:], []byte("\n"))
	if len(lines) < size+2 {
		return nil, badForm("its table is short")
	}
	type place struct{ number, at int }
	places := make([]place, 0, size)
	for n := 1; n < size; n++ {
		entry := lines[n+2]
		if len(entry) < 10 {
			return nil, badForm("a bad entry in its table")
		}
		at, err := strconv.Atoi(string(entry[:10]))
		if err != nil || at >= table {
			return nil, badForm("a bad offset in its table")
		}
		places = append(places, place{n, at})
	}
	slices.SortFunc(places, func(a, b place) int { return a.at - b.at })
	f := &file{objects: make([][]byte, size), catalog: number(m[2]), info: number(m[3])}
	for i, p := range places {
		end := table
		if i+1 < len(places) {
			end = places[i+1].at
		}
		body, ok := bytes.CutPrefix(data[p.at:end], fmt.Appendf(nil, "%d 0 obj\n", p.number))
		if !ok {
			return nil, badForm("an object begins elsewhere")
		}
		if body, ok = bytes.CutSuffix(body, []byte("\nendobj\n")); !ok {
			return nil, badForm("an object ends elsewhere")
		}
		f.objects[p.number] = body
	}
	return f, nil
}

// write writes the document: header, objects in their order, table, trailer
// with an identifier made of the octets before it, so that equal documents are
// equal files.
func (f *file) write(w io.Writer) error {
	sum := md5.New() //nolint:gosec // see above
	out := &counting{w: io.MultiWriter(w, sum)}
	out.print("%%PDF-1.7\n%%\xe2\xe3\xcf\xd3\n")
	offsets := make([]int64, len(f.objects))
	for n := 1; n < len(f.objects); n++ {
		offsets[n] = out.n
		out.print("%d 0 obj\n", n)
		out.write(f.objects[n])
		out.print("\nendobj\n")
	}
	table := out.n
	out.print("xref\n0 %d\n0000000000 65535 f \n", len(f.objects))
	for _, at := range offsets[1:] {
		out.print("%010d 00000 n \n", at)
	}
	id := hex.EncodeToString(sum.Sum(nil))
	out.print("trailer\n<</Size %d /Root %d 0 R /Info %d 0 R /ID [<%s> <%s>]>>\nstartxref\n%d\n%%%%EOF\n", len(f.objects), f.catalog, f.info, id, id, table)
	return out.err
}

type counting struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counting) write(b []byte) {
	if c.err != nil {
		return
	}
	n, err := c.w.Write(b)
	c.n, c.err = c.n+int64(n), err
}

func (c *counting) print(format string, a ...any) { c.write(fmt.Appendf(nil, format, a...)) }

var (
	outlinesPattern = regexp.MustCompile(`/Outlines (\d+) 0 R`)
	annotsPattern   = regexp.MustCompile(`(?s)/Annots \[(.*)\]\n`)
	linkPattern     = regexp.MustCompile(`<</Type /Annot /Subtype /Link /Rect \[([^\]]*)\] /Border \[0 0 0\] /Dest \[([^\]]*)\]>>`)
)

// archive makes of what the library wrote a document of PDF/A-3 (ISO 19005-3),
// level B: with an identifier, metadata that say what they must, the colour
// space of its colours, links that print, attachments with their relationship
// to it, and the structure that Open and Close have told of.
func (s *Sheet) archive(data []byte, w io.Writer) error {
	f, err := parse(data)
	if err != nil {
		return err
	}
	pages := s.Pages()
	annotations, err := s.pages(f, pages)
	if err != nil {
		return err
	}
	structure := s.writeTags(f, annotations, pages)
	profile, err := f.stream("/N 3", sRGB(), true)
	if err != nil {
		return err
	}
	intent := f.add(fmt.Sprintf("<</Type /OutputIntent /S /GTS_PDFA1 /OutputConditionIdentifier (sRGB IEC61966-2.1) /Info (sRGB IEC61966-2.1) /RegistryName (http://www.color.org) /DestOutputProfile %d 0 R>>", profile))
	metadata, err := f.stream("/Type /Metadata /Subtype /XML", s.xmp(), false)
	if err != nil {
		return err
	}
	names, associated, err := s.attach(f)
	if err != nil {
		return err
	}
	outlines := ""
	if m := outlinesPattern.FindSubmatch(f.objects[f.catalog]); m != nil {
		outlines = fmt.Sprintf(" /Outlines %s 0 R /PageMode /UseOutlines", m[1])
	}
	f.set(f.catalog, fmt.Sprintf("<</Type /Catalog /Pages 1 0 R /Lang %s /MarkInfo <</Marked true>> /StructTreeRoot %d 0 R /Metadata %d 0 R /OutputIntents [%d 0 R]"+
		" /ViewerPreferences <</DisplayDocTitle true>> /PageLayout /SinglePage%s%s%s>>", textString(s.o.Language), structure, metadata, intent, outlines, names, associated))
	f.set(f.info, s.info())
	return f.write(w)
}

// pages gives every page its place in the structure, and every link an object
// of its own. It returns the objects' numbers by page and place.
func (s *Sheet) pages(f *file, pages int) (map[[2]int]int, error) {
	annotations, next := map[[2]int]int{}, pages
	for page := 1; page <= pages; page++ {
		n := pageObject(page)
		if n >= len(f.objects) || !bytes.HasPrefix(f.objects[n], []byte("<</Type /Page\n")) {
			return nil, badForm("pages have other numbers")
		}
		body, list := f.objects[n], ""
		if m := annotsPattern.FindSubmatchIndex(body); m != nil {
			links := linkPattern.FindAllSubmatch(body[m[2]:m[3]], -1)
			if len(links) != len(s.tags.links[page]) {
				return nil, badForm("links are written in another way")
			}
			for i, link := range links {
				a := f.add(fmt.Sprintf("<</Type /Annot /Subtype /Link /Rect [%s] /Border [0 0 0] /F 4 /StructParent %d /Contents %s /Dest [%s]>>", link[1], next, textString(s.o.LinkText), link[2]))
				annotations[[2]int{page, i}] = a
				list += fmt.Sprintf(" %d 0 R", a)
				next++
			}
			list = fmt.Sprintf("/Annots [%s] /Tabs /S\n", list[1:])
			body = slices.Concat(body[:m[0]], body[m[1]:])
		} else if len(s.tags.links[page]) > 0 {
			return nil, badForm("links are written in another way")
		}
		body = slices.Concat([]byte("<</Type /Page\n"), fmt.Appendf(nil, "/StructParents %d\n%s", page-1, list), body[len("<</Type /Page\n"):])
		f.objects[n] = body
	}
	return annotations, nil
}

// attach adds the attachments, and returns what the catalog says of them.
func (s *Sheet) attach(f *file) (names, associated string, err error) {
	var list []Attachment
	for _, a := range s.attachments {
		if a.Late != nil {
			if a.Data, err = a.Late(); err != nil {
				return "", "", err
			}
			if a.Data == nil {
				continue
			}
		}
		list = append(list, a)
	}
	if len(list) == 0 {
		return "", "", nil
	}
	slices.SortFunc(list, func(a, b Attachment) int { return strings.Compare(a.Name, b.Name) }) // a name tree is sorted
	for i, a := range list {
		if i > 0 && list[i-1].Name == a.Name {
			return "", "", fmt.Errorf("two attachments are called %s", a.Name)
		}
		sum := md5.Sum(a.Data) //nolint:gosec // see above
		stream, err := f.stream(fmt.Sprintf("/Type /EmbeddedFile /Subtype /%s /Params <</Size %d /ModDate %s /CheckSum <%x>>>", name(a.Type), len(a.Data), date(s.o.Time), sum), a.Data, true)
		if err != nil {
			return "", "", err
		}
		title := textString(a.Name)
		spec := f.add(fmt.Sprintf("<</Type /Filespec /F %s /UF %s /Desc %s /AFRelationship /%s /EF <</F %d 0 R /UF %d 0 R>>>>", title, title, textString(plain(a.Description)), name(a.Relationship), stream, stream))
		names += fmt.Sprintf(" %s %d 0 R", title, spec)
		associated += fmt.Sprintf(" %d 0 R", spec)
	}
	return " /Names <</EmbeddedFiles <</Names [" + names[1:] + "]>>>>", " /AF [" + associated[1:] + "]", nil
}

// name writes a name object's characters.
func name(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '+' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "#%02X", c)
		}
	}
	return b.String()
}

// textString writes a text: as itself where it is plain ASCII, else as UTF-16.
func textString(s string) string {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] >= ' ' && s[i] <= '~'
	}
	if ascii {
		return "(" + strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(s) + ")"
	}
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	b.WriteByte('>')
	return b.String()
}

func date(t time.Time) string { return "(D:" + t.UTC().Format("20060102150405") + "+00'00')" }

// producer is what the file says that it was made with.
const producer = "mailproof"

// info is the dictionary that older readers look into; the metadata say the
// same, as they must.
func (s *Sheet) info() string {
	var b strings.Builder
	b.WriteString("<<")
	for _, e := range []struct{ key, text string }{
		{"Title", s.o.Title}, {"Author", s.o.Author}, {"Subject", s.o.Subject}, {"Creator", s.o.Creator}, {"Producer", producer},
	} {
		if e.text != "" {
			fmt.Fprintf(&b, "/%s %s ", e.key, textString(e.text))
		}
	}
	fmt.Fprintf(&b, "/CreationDate %s /ModDate %s>>", date(s.o.Time), date(s.o.Time))
	return b.String()
}
