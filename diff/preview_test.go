package diff

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// headed is an inventory of which nothing but headers was read.
type headed struct {
	*fake
	without map[int64]bool // their header could not be read
}

func newHeaded(f *fake) *headed {
	for i := range f.msgs {
		f.msgs[i].skip()
	}
	return &headed{fake: f, without: map[int64]bool{}}
}

func (h *headed) Header(_ context.Context, id int64) (mailproof.Header, bool, error) {
	for i := range h.msgs {
		if m := &h.msgs[i]; m.ID == id {
			if h.without[id] {
				return mailproof.Header{Reason: "NO"}, true, nil
			}
			return mailproof.Header{T3: m.fp.Hash(mailproof.T3), MessageID: m.mail.id, Fields: m.fp.Detail.Fields}, true, nil
		}
	}
	return mailproof.Header{}, false, nil
}

func (h *headed) EachHeader(ctx context.Context, f func(int64, *mailproof.Header) error) error {
	for i := range h.msgs {
		head, _, err := h.Header(ctx, h.msgs[i].ID)
		if err == nil {
			err = f(h.msgs[i].ID, &head)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func exact(n int64) mailproof.Calibration { return mailproof.Calibration{Sampled: n} }

func buildPreview(t *testing.T, src, dst Inventory, o PreviewOptions) (mailproof.Preview, map[mailproof.PreviewKind]int64) {
	t.Helper()
	kinds := map[mailproof.PreviewKind]int64{}
	seen := map[string]bool{}
	o.OnMessage = func(side mailproof.Side, id int64, kind mailproof.PreviewKind, _ []mailproof.Reason) error {
		key := fmt.Sprint(side, id)
		if seen[key] {
			t.Errorf("%s twice", key)
		}
		seen[key] = true
		kinds[kind]++
		return nil
	}
	p, err := BuildPreview(t.Context(), src, dst, o)
	if err != nil {
		t.Fatal(err)
	}
	return p, kinds
}

// Every message of both sides is in exactly one number, whatever the mail.
func TestPreviewConservation(t *testing.T) {
	worlds(t, rounds, func(t *testing.T, w *world) {
		src, dst := w.pair(40)
		s, d := newHeaded(src), newHeaded(dst)
		for i := range src.msgs {
			if w.IntN(20) == 0 {
				s.without[src.msgs[i].ID] = true
			}
		}
		p, kinds := buildPreview(t, s, d, PreviewOptions{SourceSizes: exact(50), DestinationSizes: exact(50), MaxExamples: 3})
		if got := p.Listed + p.Elsewhere + p.NotListed + p.Unknown; got != p.SourceMessages || p.SourceMessages != int64(len(src.msgs)) {
			t.Errorf("source: %d of %d messages: %+v", got, len(src.msgs), p)
		}
		if got := p.Listed + p.Elsewhere + p.NotOnSource + p.DestinationUnknown; got != p.DestinationMessages || p.DestinationMessages != int64(len(dst.msgs)) {
			t.Errorf("destination: %d of %d messages: %+v", got, len(dst.msgs), p)
		}
		var f mailproof.PreviewFolder
		for _, x := range p.Folders {
			f.SourceMessages += x.SourceMessages
			f.DestinationMessages += x.DestinationMessages
			f.NotListed += x.NotListed
			f.NotOnSource += x.NotOnSource
		}
		if f.SourceMessages != p.SourceMessages || f.DestinationMessages != p.DestinationMessages || f.NotListed != p.NotListed+p.Elsewhere || f.NotOnSource != p.NotOnSource {
			t.Errorf("folders: %+v, in all %+v", f, p)
		}
		if kinds[mailproof.PreviewHeaderDiffer] != p.HeadersDiffer || kinds[mailproof.PreviewNotListed] != p.NotListed || kinds[mailproof.PreviewNotOnSource] != p.NotOnSource {
			t.Errorf("%v, %+v", kinds, p)
		}
		if int64(len(p.Examples))+p.Omitted+kinds[mailproof.PreviewListed] != p.SourceMessages+p.NotOnSource {
			t.Errorf("%d examples, %d omitted, %v", len(p.Examples), p.Omitted, kinds)
		}
	})
}

func TestPreview(t *testing.T) {
	src, dst := standard()
	same := letter(1)
	lost := letter(2)
	moved := letter(3)
	subject, sized := letter(4), letter(5)
	anonymous := letter(6)
	anonymous.id = ""
	blank := mail{date: time.Time{}}
	for _, m := range []mail{same, lost, moved, subject, sized, anonymous, blank} {
		src.add("INBOX", m)
	}
	subject.subject = "rewritten"
	sized.parts = slices.Clone(sized.parts)
	sized.parts[1].size = 90112
	dst.add("INBOX", same)
	dst.add("Archive", moved)
	dst.add("INBOX", subject)
	dst.add("INBOX", sized)
	dst.add("INBOX", anonymous)
	dst.add("INBOX", letter(9))
	o := PreviewOptions{SourceSizes: exact(50), DestinationSizes: exact(50)}
	p, kinds := buildPreview(t, newHeaded(src), newHeaded(dst), o)
	want := map[mailproof.PreviewKind]int64{
		mailproof.PreviewListed: 2, mailproof.PreviewElsewhere: 1, mailproof.PreviewNotListed: 1, mailproof.PreviewHeaderDiffer: 1,
		mailproof.PreviewSizeDiffers: 1, mailproof.PreviewUnknown: 1, mailproof.PreviewNotOnSource: 1,
	}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", kinds, want)
	}
	if p.ByHeader != 1 || p.HeadersDiffer != 1 || !p.SizesCount {
		t.Errorf("%+v", p)
	}
	// Sizes are evidence only where both servers state them truly.
	for _, c := range []mailproof.Calibration{{}, {Sampled: 50, Wrong: 1}} {
		o.DestinationSizes = c
		if p, kinds := buildPreview(t, newHeaded(src), newHeaded(dst), o); p.SizesCount || kinds[mailproof.PreviewSizeDiffers] != 0 {
			t.Errorf("%+v, %v", p, kinds)
		}
	}
}

// UIDs are compared where a tool kept them, and nowhere else.
func TestPreviewUIDs(t *testing.T) {
	for _, c := range []struct {
		name               string
		src, dst           []int // letters in the order of UIDs; 0: a gap
		kept               bool
		onSource, onTarget int64
	}{
		{"kept", []int{1, 2, 3}, []int{1, 0, 3, 4}, true, 1, 1},
		{"numbered anew", []int{1, 0, 3}, []int{1, 3}, false, 0, 0},
		{"nothing in common", []int{1}, []int{0, 2}, false, 0, 0},
	} {
		src, dst := standard()
		for f, list := range map[*fake][]int{src: c.src, dst: c.dst} {
			for i, n := range list {
				if n > 0 {
					f.add("INBOX", letter(n)).UID = mailproof.UID(i + 1)
				}
			}
		}
		p, _ := buildPreview(t, newHeaded(src), newHeaded(dst), PreviewOptions{})
		i := slices.IndexFunc(p.Folders, func(f mailproof.PreviewFolder) bool { return f.Folder == "INBOX" })
		if f := p.Folders[i]; f.SameUIDs != c.kept || f.UIDsOnSource != c.onSource || f.UIDsOnDestination != c.onTarget {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}
