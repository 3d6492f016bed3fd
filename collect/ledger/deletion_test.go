package ledger

import (
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// Days are added up for each login by itself, over handles and days.
func TestTraffic(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, x := range []Traffic{
		{day, "anna", mailproof.Source, 10, 1}, {day, "anna", mailproof.Source, 20, 2}, {day.Add(24 * time.Hour), "anna", mailproof.Source, 400, 3},
		{day, "anna", mailproof.Destination, 5000, 4}, {day, "bob", mailproof.Source, 60000, 5},
	} {
		ok(t, l.NoteTraffic(ctx, x))
	}
	if got := must[Traffic](t)(l.TrafficOf(ctx, "anna", mailproof.Source, day)); got.Read != 30 || got.Sent != 3 {
		t.Errorf("%+v", got)
	}
	if got := must[Traffic](t)(l.TrafficOf(ctx, "carol", mailproof.Source, day)); got.Read != 0 || got.Sent != 0 {
		t.Errorf("%+v", got)
	}
}

// What is no message of the destination, or was never proven to be ours, cannot
// be intended; a result stands once.
func TestDeletions(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	pass := begin(t, l, mailproof.CopyPass)
	good := Deletion{Pass: pass, AppendedBy: pass, T0: mailproof.Hash{1}, Octets: 7, Source: keyOf(mailproof.Source, 2), Destination: keyOf(mailproof.Destination, 9)}
	for _, bad := range []func(*Deletion){
		func(d *Deletion) { d.Destination.Side = mailproof.Source },
		func(d *Deletion) { d.T0 = mailproof.Hash{} },
		func(d *Deletion) { d.AppendedBy = 0 },
	} {
		d := good
		bad(&d)
		if err := l.IntendDeletions(ctx, []Deletion{good, d}); err == nil {
			t.Errorf("%+v was taken", d)
		}
	}
	list := []Deletion{good, good}
	ok(t, l.IntendDeletions(ctx, list))
	list[0].State, list[0].Reason = DeletionKept, "other octets"
	ok(t, l.RecordDeletions(ctx, list[:1]))
	if err := l.RecordDeletions(ctx, list[:1]); err == nil {
		t.Error("a second result was taken")
	}
	got := must[[]Deletion](t)(l.Deletions(ctx))
	if len(got) != 2 || got[0].State != DeletionKept || got[1].State != "" || got[0].Destination != good.Destination || got[0].Source != good.Source || got[0].T0 != good.T0 {
		t.Errorf("%+v", got)
	}
}
