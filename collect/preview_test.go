package collect

import (
	"fmt"
	"slices"
	"testing"

	"github.com/mailproof/mailproof"
)

func preview() Options {
	o := options()
	o.Depth = mailproof.DepthPreview
	return o
}

// A preview records every message as unread and the header of each, once; of a
// bounded number of bodies it takes the length and nothing else.
func TestPreviewReadsHeaders(t *testing.T) {
	s, l := newServer(t, "INBOX", "Sent"), newLedger(t)
	const n = 3 * CalibrationSample
	for i := range n {
		s.add([]string{"INBOX", "Sent"}[i%2], fmt.Sprint("m", i))
	}
	sum, err := Inventory(t.Context(), s, l, preview())
	if err != nil || sum.New != n || sum.Headers != n || sum.Read != 0 || len(s.headers) != n {
		t.Fatalf("%+v, %v, %d headers", sum, err, len(s.headers))
	}
	if sum.Sizes.Sampled != CalibrationSample || len(s.fetched) != CalibrationSample || !sum.Sizes.Trusted() {
		t.Errorf("calibration: %+v with %d bodies", sum.Sizes, len(s.fetched))
	}
	for box, known := range l.known {
		for uid, m := range known {
			if m.State != mailproof.Unread {
				t.Errorf("%s uid %d is %v", box, uid, m.State)
			}
		}
	}
	first := l.headers["INBOX"][1]
	if first.MessageID != "<m0@example.com>" || first.T3.IsZero() || len(first.Fields) != 1 {
		t.Errorf("%+v", first)
	}
	s.headers = nil
	s.add("INBOX", "new")
	if sum, err := Inventory(t.Context(), s, l, preview()); err != nil || sum.Headers != 1 || len(s.headers) != 1 {
		t.Errorf("the second preview: %+v, %v, %d headers", sum, err, len(s.headers))
	}
	// Full depth reads them all, and a preview after it no header of any.
	if sum, err := Inventory(t.Context(), s, l, options()); err != nil || sum.Read != n+1 || sum.New != 0 {
		t.Fatalf("full after preview: %+v, %v", sum, err)
	}
	s.headers = nil
	if sum, err := Inventory(t.Context(), s, l, preview()); err != nil || sum.Headers != 0 || len(s.headers) != 0 {
		t.Errorf("preview after full: %+v, %v", sum, err)
	}
}

// A header that does not come is recorded with the reason and asked for again;
// a header cut short is none.
func TestPreviewWithoutHeaders(t *testing.T) {
	s, l := newServer(t, "INBOX"), newLedger(t)
	good, refused, silent, short := s.add("INBOX", "a"), s.add("INBOX", "b"), s.add("INBOX", "c"), s.add("INBOX", "d")
	s.unreadable = map[mailproof.UID]string{refused: "NO [SERVERBUG]"}
	s.silent, s.short = map[mailproof.UID]bool{silent: true}, map[mailproof.UID]bool{short: true}
	sum, err := Inventory(t.Context(), s, l, preview())
	if err != nil || sum.Headers != 1 || sum.Headless != 3 || sum.Sizes.Sampled != 1 {
		t.Fatalf("%+v, %v", sum, err)
	}
	for uid, want := range map[mailproof.UID]string{good: "", refused: "NO [SERVERBUG]", silent: "the server sent no header and no error", short: "cut short"} {
		if got := l.headers["INBOX"][uid].Reason; got != want {
			t.Errorf("uid %d: %q, want %q", uid, got, want)
		}
	}
	s.unreadable, s.silent, s.short, s.headers = nil, nil, nil, nil
	if sum, err := Inventory(t.Context(), s, l, preview()); err != nil || sum.Headers != 3 || slices.Contains(s.headers, good) {
		t.Errorf("the second time: %+v, %v, headers of %v", sum, err, s.headers)
	}
}

// A server whose sizes are estimates is found out.
func TestPreviewCalibration(t *testing.T) {
	s, l := newServer(t, "INBOX"), newLedger(t)
	s.add("INBOX", "a")
	s.add("INBOX", "b")
	s.estimates = 100
	sum, err := Inventory(t.Context(), s, l, preview())
	if err != nil || sum.Sizes.Wrong != 2 || sum.Sizes.Off != 100 || sum.Sizes.Trusted() {
		t.Errorf("%+v, %v", sum.Sizes, err)
	}
}
