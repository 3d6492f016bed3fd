package transfer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// labelDestination is a fakeDestination that copies, or fails to.
type labelDestination struct {
	fakeDestination
	copied int
	calls  int
	fail   func(mailbox, target string, uids []mailproof.UID) ([]mailproof.Receipt, error) // instead of copying
	late   bool                                                                            // fail after having copied
}

func (d *labelDestination) CopyMessages(_ context.Context, mailbox string, uidvalidity uint32, uids []mailproof.UID, target string) ([]mailproof.Receipt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls++
	if d.fail != nil && !d.late {
		return d.fail(mailbox, target, uids)
	}
	out := make([]mailproof.Receipt, len(uids))
	for i, uid := range uids {
		at := slices.Index(d.uids[mailbox], uid)
		if at < 0 || mailbox == target {
			return nil, fmt.Errorf("uid %d of %s to %s", uid, mailbox, target)
		}
		d.next++
		d.mailboxes[target] = append(d.mailboxes[target], d.mailboxes[mailbox][at])
		d.uids[target] = append(d.uids[target], d.next)
		out[i] = mailproof.Receipt{Fate: mailproof.FateAdded, UIDValidity: uidvalidity, UID: d.next}
		d.copied++
	}
	if d.fail != nil {
		return d.fail(mailbox, target, uids)
	}
	return out, nil
}

// However a copy on the server ends, every mailbox has in the end what it would
// have had by sending, each message once.
func TestLabels(t *testing.T) {
	all := func(fate mailproof.Fate, err error) func(string, string, []mailproof.UID) ([]mailproof.Receipt, error) {
		return func(_, _ string, uids []mailproof.UID) ([]mailproof.Receipt, error) {
			out := make([]mailproof.Receipt, len(uids))
			for i := range out {
				out[i].Fate = fate
			}
			return out, err
		}
	}
	refusal := &mailproof.ServerError{Kind: mailproof.ErrRefused, Text: "no"}
	for _, tt := range []struct {
		name   string
		labels func(string) bool
		fail   func(string, string, []mailproof.UID) ([]mailproof.Receipt, error)
		late   bool
		copied int // by the server, of 12 messages of which 8 have twins elsewhere
	}{
		{name: "no labels", copied: 0},
		{name: "labels", labels: func(string) bool { return true }, copied: 7},
		{name: "some are no labels", labels: func(m string) bool { return m != "B" }, copied: 3},
		{name: "refused", labels: func(string) bool { return true }, fail: all(mailproof.FateRefused, nil)},
		{name: "refused with words", labels: func(string) bool { return true }, fail: func(_, _ string, uids []mailproof.UID) ([]mailproof.Receipt, error) {
			out, _ := all(mailproof.FateRefused, nil)("", "", uids)
			for i := range out {
				out[i].Err = refusal
			}
			return out, nil
		}},
		{name: "lost before", labels: func(string) bool { return true }, fail: all(mailproof.FateUnknown, errGone)},
		{name: "lost behind", labels: func(string) bool { return true }, fail: all(mailproof.FateUnknown, errGone), late: true, copied: -1},
		{name: "no word of it", labels: func(string) bool { return true }, fail: all(mailproof.FateUnknown, nil), late: true, copied: -1},
		{name: "passed over", labels: func(string) bool { return true }, fail: all(mailproof.FateNotSent, nil)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &fakeSource{uidvalidity: 7, bodies: map[string]map[mailproof.UID][]byte{}}
			dst := &labelDestination{fail: tt.fail, late: tt.late}
			dst.mailboxes, dst.uids = map[string][][]byte{}, map[string][]mailproof.UID{}
			var steps []mailproof.Step
			want := map[string][]string{}
			put := func(mailbox, text string, flags ...string) {
				if src.bodies[mailbox] == nil {
					src.bodies[mailbox] = map[mailproof.UID][]byte{}
				}
				uid := mailproof.UID(len(src.bodies[mailbox]) + 1)
				src.bodies[mailbox][uid] = []byte(text)
				steps = append(steps, mailproof.Step{Kind: mailproof.AppendMessage, Target: mailbox, Size: int64(len(text)), T0: sha256.Sum256([]byte(text)), Flags: mailproof.NewFlags(flags...),
					Source: mailproof.MessageKey{Account: "anna", Side: mailproof.Source, Mailbox: mailbox, UIDValidity: 7, UID: uid}})
				want[mailbox] = append(want[mailbox], text)
			}
			for i := range 4 {
				put("A", fmt.Sprint("message ", i))
			}
			for i := range 4 {
				put("B", fmt.Sprint("message ", i))
			}
			put("B", "message 0") // a twin within one mailbox is a message of its own
			for i := range 3 {
				put("C", fmt.Sprint("message ", i))
			}
			put("C", "message 3", `\Seen`) // other flags: sent
			o := options()
			o.Labels, o.Pause, o.Settle = tt.labels, 1, 1
			sum, err := Run(t.Context(), src, dst, &journal{t: t}, each(steps), o)
			if err != nil {
				t.Fatal(err)
			}
			for mailbox, texts := range want {
				var got []string
				for _, raw := range dst.mailboxes[mailbox] {
					got = append(got, string(raw))
				}
				slices.Sort(got)
				slices.Sort(texts)
				if !slices.Equal(got, texts) {
					t.Errorf("%s has %s, want %s", mailbox, strings.Join(got, ", "), strings.Join(texts, ", "))
				}
			}
			if sum.Appended != int64(len(steps)) || sum.Refused+sum.Failed != 0 {
				t.Errorf("%+v", sum)
			}
			if tt.copied >= 0 && (dst.copied != tt.copied || sum.Labelled != int64(tt.copied)) {
				t.Errorf("%d copied, %d counted, want %d", dst.copied, sum.Labelled, tt.copied)
			}
			if tt.fail != nil && dst.calls != 1 {
				t.Errorf("%d copies were tried after the first failed", dst.calls)
			}
		})
	}
}
