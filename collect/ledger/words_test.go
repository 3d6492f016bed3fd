package ledger

import (
	"testing"

	"github.com/mailproof/mailproof"
)

// A decision or an attestation that somebody wrote into the file behind the
// last link is told: what records one links it at once.
func TestChainTellsOfLooseWords(t *testing.T) {
	path := everything(t)
	l := must[*Ledger](t)(Open(t.Context(), path))
	ok(t, l.Attest(t.Context(), mailproof.Attestation{Step: "terms", By: "A. Lindgren", Note: "plan"}))
	ok(t, l.RecordSeal(t.Context(), Seal{Bundle: "mp1-0123456789abcdef"}))
	ok(t, l.Close())
	if v := must[*Verification](t)(verify(t, path)); v.Words != 0 || v.Loose != 0 || !v.Whole() {
		t.Fatalf("before: %+v", v)
	}
	db := plain(t, path)
	for _, insert := range []string{
		"INSERT INTO attestation (step, attested_by, note, withdrawn, not_applicable, recorded) SELECT 'cutover-date', 'somebody', 'x', 0, 0, recorded FROM attestation LIMIT 1",
		"INSERT INTO disposition (series, number, pass, verdict, disposition, decided_by, why, decided) SELECT series, number, pass, verdict, 'accepted', 'somebody', 'x', decided FROM disposition LIMIT 1",
	} {
		if r, err := db.ExecContext(t.Context(), insert); err != nil {
			t.Fatal(err)
		} else if n, err := r.RowsAffected(); err != nil || n != 1 {
			t.Fatalf("%d rows, %v", n, err)
		}
	}
	ok(t, db.Close())
	if v := must[*Verification](t)(verify(t, path)); v.Words != 2 || !v.Whole() {
		t.Errorf("%+v, want 2 words outside of the history", v)
	}
}
