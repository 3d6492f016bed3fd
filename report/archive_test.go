package report

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// unpacked is the PDF with its streams readable, as qpdf writes it.
func unpacked(t *testing.T, name string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "plain.pdf")
	run(t, tool(t, "qpdf"), "--qdf", "--object-streams=disable", name, out)
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var (
	metadataPattern = regexp.MustCompile(`(?s)<x:xmpmeta.*</x:xmpmeta>`)
	annotPattern    = regexp.MustCompile(`(?s)<<[^<>]*/Subtype /Link[^<>]*>>`)
	openMark        = regexp.MustCompile(`(?m)^/\w+ (<<.*>> BDC|BMC)$`)
	closeMark       = regexp.MustCompile(`(?m)^EMC$`)
)

// What PDF/A-3B asks for and the library does not write is in the file.
func TestArchive(t *testing.T) {
	for _, s := range []sample{{bare: true}, {accounts: 12, exceptions: 34, verdict: mailproof.Incomplete, hostile: true, whole: true}} {
		d := s.document()
		if s.whole {
			d = listed(s, 500)
			d.Brand = Brand{Logo: sampleLogo(), Accent: "#7a1f5c"}
		}
		name := pdfFile(t, d)
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(raw, []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")) || !regexp.MustCompile(`/ID \[<[0-9a-f]{32}> <[0-9a-f]{32}>\]`).Match(raw) {
			t.Errorf("%v: no header of binary data, or no identifier", s)
		}
		plain := unpacked(t, name)
		xmp := metadataPattern.FindString(string(raw)) // readable without unpacking
		for _, must := range []string{"<pdfaid:part>3</pdfaid:part>", "<pdfaid:conformance>B</pdfaid:conformance>", "<dc:title>", "<xmp:CreateDate>", "<pdf:Producer>mailproof</pdf:Producer>"} {
			if !strings.Contains(xmp, must) {
				t.Errorf("%v: the metadata lack %s", s, must)
			}
		}
		for _, must := range []string{"/GTS_PDFA1", "/DestOutputProfile", "/MarkInfo", "/StructTreeRoot", "/Lang (en)", "/AFRelationship /Source", "/Subtype /application#2fjson", "/DisplayDocTitle true"} {
			if !strings.Contains(strings.ReplaceAll(plain, "#2F", "#2f"), must) {
				t.Errorf("%v: the file lacks %s", s, must)
			}
		}
		if strings.Contains(plain, "/JavaScript") || strings.Contains(plain, "/URI") || strings.Contains(plain, "/SMask") {
			t.Errorf("%v: the file has what an archive may not have", s)
		}
		links := annotPattern.FindAllString(plain, -1)
		if len(links) == 0 {
			t.Errorf("%v: no links", s)
		}
		for _, l := range links {
			if !strings.Contains(l, "/F 4") || !strings.Contains(l, "/StructParent ") || !strings.Contains(l, "/Contents (") {
				t.Fatalf("%v: a link that does not print, or belongs to nothing: %s", s, l)
			}
		}
		if a, b := len(openMark.FindAllString(plain, -1)), len(closeMark.FindAllString(plain, -1)); a != b || a == 0 {
			t.Errorf("%v: %d marks are opened and %d closed", s, a, b)
		}
	}
}

// What assistive technology is told: one first heading, the sections below it,
// tables with heads, words for pictures; and nothing of running feet.
func TestTagged(t *testing.T) {
	// Few pages: the witness reads one anew for every element of it.
	d := sample{bare: true}.document()
	text := run(t, tool(t, "pdfinfo"), "-struct-text", pdfFile(t, d))
	if n := strings.Count(text, "  H1"); n != 1 {
		t.Errorf("%d first headings", n)
	}
	for _, must := range []string{`"INCONCLUSIVE `, "/Scope /Column", "/Scope /Row", "Figure", "Caption", "LBody", `"Source inventory`} {
		if !strings.Contains(text, must) {
			t.Errorf("the structure lacks %s", must)
		}
	}
	for _, s := range d.outline().Sections {
		if !strings.Contains(text, s.No+s.Title) && !strings.Contains(text, s.Title) {
			t.Errorf("no heading of section %s", s.No)
		}
	}
	if regexp.MustCompile(`"2 of \d+"`).MatchString(text) {
		t.Error("the running foot is read aloud")
	}
}

// The attachments are what the other files are, to the octet.
func TestAttachments(t *testing.T) {
	detach := tool(t, "pdfdetach")
	s := sample{accounts: 12, exceptions: 34, verdict: mailproof.Incomplete, hostile: true, whole: true}
	d := listed(s, 500)
	dir, csv := t.TempDir(), t.TempDir()
	run(t, detach, "-saveall", "-o", dir, pdfFile(t, d))
	if _, err := d.WriteCSV(csv); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := d.WriteJSON(&want); err != nil {
		t.Fatal(err)
	}
	same := func(name string, want []byte) {
		t.Helper()
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 || !bytes.Equal(got, want) {
			t.Errorf("%s differs, %d octets and %d", name, len(got), len(want))
		}
	}
	same(JSONName, want.Bytes())
	for _, name := range []string{"accounts.csv", "exceptions.csv", "folders.csv", "messages.csv"} {
		data, err := os.ReadFile(filepath.Join(csv, name))
		if err != nil {
			t.Fatal(err)
		}
		same(name, data)
	}
}

// A logo and a colour dress the report and change no word; what cannot be read
// or printed is refused.
func TestBrand(t *testing.T) {
	s := sample{accounts: 2, verdict: mailproof.Complete}
	plain, dressed := s.document(), s.document()
	dressed.Brand = Brand{Logo: sampleLogo(), Accent: "#7a1f5c"}
	tag := regexp.MustCompile(`(?s)<style>.*?</style>|<[^>]*>`)
	if a, b := tag.ReplaceAllString(html(t, plain), ""), tag.ReplaceAllString(html(t, dressed), ""); strings.Join(strings.Fields(a), " ") != strings.Join(strings.Fields(b), " ") {
		t.Error("the dress changes words")
	}
	if page := html(t, dressed); !strings.Contains(page, `src="data:image/png;base64,`) || !strings.Contains(page, "--accent:#7a1f5c") || strings.Contains(page, "ZgotmplZ") {
		t.Error("the page is not dressed")
	}
	if images := run(t, tool(t, "pdfimages"), "-list", pdfFile(t, dressed)); strings.Count(images, " rgb ") != 1 || strings.Contains(images, "smask") {
		t.Errorf("pictures of the PDF: %s", images)
	}
	for _, bad := range []Brand{{Logo: []byte("GIF89a")}, {Logo: sampleLogo()[:90]}, {Accent: "#ffff00"}, {Accent: "red"}, {Accent: "#12345"}, {Accent: "#+12345"}, {Logo: make([]byte, mostLogoOctets+1)}} {
		if bad.Check() == nil {
			t.Errorf("%.20q, %s was taken", bad.Logo, bad.Accent)
		}
	}
	if err := dressed.Brand.Check(); err != nil {
		t.Error(err)
	}
}
