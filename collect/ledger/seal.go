package ledger

import (
	"context"
	"iter"
	"time"

	"github.com/mailproof/mailproof"
)

// Seal is the record of an evidence bundle that was made of the ledger.
type Seal struct {
	Bundle      string    `json:"bundle"` // "mp1-f2d4d80a3831ca5f"
	Sealed      time.Time `json:"sealed"`
	Privacy     string    `json:"privacy"` // full, redacted or summary
	Verdict     string    `json:"verdict"`
	Fingerprint string    `json:"key_fingerprint"`
	TagManifest string    `json:"tagmanifest_sha256"` // what was signed, in hexadecimal digits
	Path        string    `json:"path"`               // where it was written
	Roots       []Root    `json:"roots"`
}

// Root is the root of one tree of a bundle.
type Root struct {
	Tree string `json:"tree"`
	Size int64  `json:"size"`
	Hash string `json:"hash"` // base64
}

// RecordSeal records that a bundle was made, and puts it into the chain.
func (l *Ledger) RecordSeal(ctx context.Context, s Seal) error {
	roots, err := jsonText(s.Roots)
	if err != nil {
		return err
	}
	err = l.write(ctx, durable, 1, func(t *tx) error {
		_, err := t.exec(`INSERT INTO seal (bundle, sealed, privacy, verdict, fingerprint, tagmanifest, path, roots) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
			s.Bundle, timeText(s.Sealed), s.Privacy, s.Verdict, s.Fingerprint, s.TagManifest, s.Path, roots)
		return err
	})
	if err != nil {
		return err
	}
	return l.Link(ctx)
}

// Seals returns the bundles that were made, the oldest first.
func (l *Ledger) Seals(ctx context.Context) ([]Seal, error) {
	var seals []Seal
	err := l.each(ctx, "SELECT bundle, sealed, privacy, verdict, fingerprint, tagmanifest, path, roots FROM seal ORDER BY seq", nil, func(row scanFunc) error {
		var s Seal
		err := row(&s.Bundle, textTime{&s.Sealed}, &s.Privacy, &s.Verdict, &s.Fingerprint, &s.TagManifest, &s.Path, document{&s.Roots})
		seals = append(seals, s)
		return err
	})
	return seals, err
}

// CaptionsOf is as [Inventory.Captions], of one mailbox, by its index in
// [Inventory.Mailboxes].
func (inv *Inventory) CaptionsOf(ctx context.Context, mailbox int) iter.Seq2[mailproof.Message, error] {
	return inv.messages(ctx, inv.refs[mailbox:mailbox+1], (*mailproof.Detail).UnmarshalCaption)
}
