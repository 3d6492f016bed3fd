package fingerprint

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// differing lists the fields of two details that differ.
func differing(a, b *mailproof.Detail) string {
	var out []string
	seen := make(map[string]bool)
	for _, d := range []*mailproof.Detail{a, b} {
		for _, f := range d.Fields {
			x, _ := a.Digest(f.Name)
			y, _ := b.Digest(f.Name)
			if x.Hash != y.Hash && !seen[f.Name] {
				out = append(out, f.Name)
			}
			seen[f.Name] = true
		}
	}
	return strings.Join(out, " ")
}

// The detail is enough to say what happened, without the body: each change by
// its name, and what must be seen of it.
func TestEvidence(t *testing.T) {
	first := func(d *mailproof.Detail) *mailproof.LeafDigest { return &d.Leaves[0] }
	last := func(d *mailproof.Detail) *mailproof.LeafDigest { return &d.Leaves[len(d.Leaves)-1] }
	for _, tt := range []struct {
		change string
		seen   func(a, b *mailproof.Fingerprint) bool
	}{
		{"Bcc lost", func(a, b *mailproof.Fingerprint) bool { return differing(&a.Detail, &b.Detail) == "bcc" }},
		{"display names", func(a, b *mailproof.Fingerprint) bool { return differing(&a.Detail, &b.Detail) == "names" }},
		{"! subject", func(a, b *mailproof.Fingerprint) bool { return differing(&a.Detail, &b.Detail) == "subject" }},
		{"! date + 1 h", func(a, b *mailproof.Fingerprint) bool {
			return differing(&a.Detail, &b.Detail) == "date" && a.Hash(mailproof.T4) == b.Hash(mailproof.T4)
		}},
		{"! To lost", func(a, b *mailproof.Fingerprint) bool {
			return strings.HasPrefix(differing(&a.Detail, &b.Detail), "to") && a.Hash(mailproof.T3) == b.Hash(mailproof.T3)
		}},
		{"! Message-ID changed", func(a, b *mailproof.Fingerprint) bool {
			return a.Hash(mailproof.T2c) == b.Hash(mailproof.T2c) && a.Detail.MessageID != b.Detail.MessageID
		}},
		{"attachment renamed", func(a, b *mailproof.Fingerprint) bool {
			for i := range a.Detail.Leaves {
				x, y := a.Detail.Leaves[i], b.Detail.Leaves[i]
				if x.FileName != y.FileName {
					return x.Content == y.Content && y.FileName == "renamed.dat"
				}
			}
			return false
		}},
		{"signed part re-encoded", func(a, b *mailproof.Fingerprint) bool {
			return !a.Detail.SignedOctets.IsZero() && a.Detail.SignedOctets != b.Detail.SignedOctets
		}},
		{"preamble and epilogue", func(a, b *mailproof.Fingerprint) bool { return a.Detail.Extra != b.Detail.Extra }},
		{"final delimiter lost", func(a, b *mailproof.Fingerprint) bool {
			return a.Detail.Anomalies&mailproof.AnomalyUnterminated == 0 && b.Detail.Anomalies&mailproof.AnomalyUnterminated != 0
		}},
		{"! last part lost", func(a, b *mailproof.Fingerprint) bool { return b.Detail.LeafCount < a.Detail.LeafCount }},
		{"! non-ASCII to ?", func(a, b *mailproof.Fingerprint) bool { return charsetDamage(&a.Detail, &b.Detail) }},
		{"! mojibake", func(a, b *mailproof.Fingerprint) bool { return charsetDamage(&a.Detail, &b.Detail) }},
		{"! lines wrapped at 10,239", func(a, b *mailproof.Fingerprint) bool {
			x, y := first(&a.Detail), first(&b.Detail)
			return x.Squeezed == y.Squeezed && x.Content != y.Content && x.Size < y.Size
		}},
		{"! cut to 70 %", func(a, b *mailproof.Fingerprint) bool {
			x, y := last(&b.Detail), &a.Detail.Leaves[len(b.Detail.Leaves)-1]
			// A cut inside a delimiter leaves its beginning as text; then parts
			// are gone.
			return x.Content == y.Content || x.Size == 0 || x.MayTruncate(y) || b.Detail.LeafCount < a.Detail.LeafCount
		}},
		{"! TNEF expanded", func(a, b *mailproof.Fingerprint) bool {
			return tnefLeaves(&a.Detail) == tnefLeaves(&b.Detail)+1
		}},
	} {
		var m mutation
		for _, have := range mutations {
			if have.name == tt.change {
				m = have
			}
		}
		r := rand.New(rand.NewPCG(5, 5))
		g := &generator{Rand: r}
		applied, missed := 0, 0
		for range 200 {
			e := g.message(0)
			s := &subject{raw: e.raw(), tree: parseEntity(e.raw())}
			raw, ok := s.apply(r, e, []mutation{m})
			if !ok || bytes.Equal(raw, s.raw) {
				continue
			}
			applied++
			a, b := fingerprintOf(t, s.raw), fingerprintOf(t, raw)
			if a.Detail.Extra.IsZero() && b.Detail.Extra.IsZero() && tt.change == "preamble and epilogue" {
				continue // in an embedded message of another encoding
			}
			if !tt.seen(a, b) {
				missed++
				t.Logf("%s: not to be seen in\n%+v\n%+v", tt.change, a.Detail.Leaves, b.Detail.Leaves)
			}
		}
		// A cut may fall into a part's header or an escape: then the beginning
		// is not the same either. Nothing else is ever missed.
		if applied == 0 || missed > 0 && (tt.change != "! cut to 70 %" || missed*20 > applied) {
			t.Errorf("%s: missed %d of %d", tt.change, missed, applied)
		}
	}
}

func tnefLeaves(d *mailproof.Detail) (n int) {
	for _, l := range d.Leaves {
		if l.Type == "application/ms-tnef" {
			n++
		}
	}
	return n
}

// charsetDamage: some text has lost or changed its characters outside ASCII and
// kept all others.
func charsetDamage(a, b *mailproof.Detail) bool {
	for i := range min(len(a.Leaves), len(b.Leaves)) {
		x, y := a.Leaves[i], b.Leaves[i]
		if x.Content != y.Content {
			return x.Letters == y.Letters && x.NonASCII != y.NonASCII && x.NonASCII > 0
		}
	}
	return false
}

// Equal content with unequal octets is the note attachment-eol.
func TestAttachmentEOL(t *testing.T) {
	mail := func(content string) *mailproof.Fingerprint {
		e := &entity{blank: true}
		e.set("Content-Type", "application/x-sh")
		e.setContent([]byte(content), "base64")
		return fingerprintOf(t, e.raw())
	}
	a, b := mail("#!/bin/sh\r\nexit\r\n"), mail("#!/bin/sh\nexit\n")
	if x, y := a.Detail.Leaves[0], b.Detail.Leaves[0]; x.Content != y.Content || x.Octets == y.Octets || a.Hash(mailproof.T2) != b.Hash(mailproof.T2) {
		t.Errorf("%+v\n%+v", x, y)
	}
}

// A text cut off behind its last word is not equal in its visible text.
func TestCutMarkup(t *testing.T) {
	whole := "Content-Type: text/html\r\n\r\n<html><body><p>all the words</p><div><img src=\"x\"></div>\r\n</body></html>\r\n"
	a := fingerprintOf(t, []byte(whole))
	end := strings.Index(whole, "words") + 5
	for n := end; n < len(whole)-2; n++ {
		if b := fingerprintOf(t, []byte(whole[:n])); finest(a, b) != mailproof.TierNone {
			t.Errorf("cut behind %q: equal at %v", whole[:n][end:], finest(a, b))
		}
	}
}

// A mislabelled, embedded or encoded message is seen through: its text counts,
// its header counts.
func TestEmbeddedMessageDamage(t *testing.T) {
	inner := "Subject: inner\r\nTo: a@b\r\n\r\nthe text inside\r\n"
	for _, cte := range []string{"8bit", "base64", "quoted-printable"} {
		mail := func(inner string) *mailproof.Fingerprint {
			e := &entity{blank: true, fields: []string{"Subject: outer", "Content-Type: message/rfc822"}}
			e.setContent([]byte(inner), cte)
			return fingerprintOf(t, e.raw())
		}
		a := mail(inner)
		if plain := fingerprintOf(t, []byte("Subject: outer\r\nContent-Type: message/rfc822\r\n\r\n"+inner)); finest(a, plain) > mailproof.T2 {
			t.Errorf("%s: not equal to the same without encoding", cte)
		}
		for _, change := range [][2]string{{"inner", "Inner"}, {"a@b", "c@b"}, {"text inside", "test inside"}} {
			if got := finest(a, mail(strings.Replace(inner, change[0], change[1], 1))); got != mailproof.TierNone {
				t.Errorf("%s: %v: equal at %v", cte, change, got)
			}
		}
	}
}
