package pdf

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"
)

// The profile is as long as it says, and every tag lies in it.
func TestProfile(t *testing.T) {
	p := sRGB()
	if int(binary.BigEndian.Uint32(p)) != len(p) || string(p[36:40]) != "acsp" || string(p[12:20]) != "mntrRGB " {
		t.Fatalf("header of %d octets: %q", len(p), p[:40])
	}
	n := int(binary.BigEndian.Uint32(p[128:]))
	want := map[string]string{"desc": "desc", "cprt": "text", "wtpt": "XYZ ", "rXYZ": "XYZ ", "gXYZ": "XYZ ", "bXYZ": "XYZ ", "rTRC": "curv", "gTRC": "curv", "bTRC": "curv"}
	if n != len(want) {
		t.Fatalf("%d tags", n)
	}
	for i := range n {
		e := p[132+12*i:]
		at, size := int(binary.BigEndian.Uint32(e[4:])), int(binary.BigEndian.Uint32(e[8:]))
		if at%4 != 0 || at < 132+12*n || at+size > len(p) || string(p[at:at+4]) != want[string(e[:4])] {
			t.Errorf("tag %s at %d, %d octets", e[:4], at, size)
		}
	}
	// The three primaries add up to white.
	for axis, white := range []float64{0.9642, 1, 0.8249} {
		sum := 0.0
		for i := 3; i < 6; i++ {
			at := binary.BigEndian.Uint32(p[132+12*i+4:])
			sum += float64(int32(binary.BigEndian.Uint32(p[int(at)+8+4*axis:]))) / 65536
		}
		if sum < white-0.001 || sum > white+0.001 {
			t.Errorf("the primaries add up to %f, not %f", sum, white)
		}
	}
}

// What is not closed is an error, and what is closed twice.
func TestUnbalanced(t *testing.T) {
	s := newSheet(t)
	s.Open(Paragraph)
	if err := s.Output(io.Discard); err == nil || !strings.Contains(err.Error(), "not closed") {
		t.Errorf("error %v", err)
	}
	s = newSheet(t)
	s.Close()
	if err := s.Output(io.Discard); err == nil {
		t.Error("an element was closed that was not open")
	}
	s = newSheet(t)
	s.Attach(Attachment{Name: "a", Type: "text/csv", Relationship: "Data"})
	s.Attach(Attachment{Name: "a", Type: "text/csv", Relationship: "Data"})
	if err := s.Output(io.Discard); err == nil {
		t.Error("two attachments have one name")
	}
}

// Whatever the library may write one day, taking it apart ends in a document or
// an error.
func FuzzParse(f *testing.F) {
	s := newSheet(f)
	s.Text(10, 10, Style{Size: 8}, "one")
	var b bytes.Buffer
	if err := s.f.Output(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte("trailer\n<<\n/Size 9\n/Root 8 0 R\n/Info 7 0 R\n>>\nstartxref\n0\n%%EOF\n"))
	f.Add([]byte("trailer\n<<\n/Size 9223372036854775807\n/Root 8 0 R\n/Info 7 0 R\n>>\nstartxref\n0\n%%EOF\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := parse(data)
		if err != nil {
			return
		}
		if err := parsed.write(io.Discard); err != nil {
			t.Error(err)
		}
	})
}
