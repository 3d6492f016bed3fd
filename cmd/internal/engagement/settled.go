package engagement

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/diff"
)

// planOnce hands over the steps that two inventories call for. That there are none
// is noted: as long as neither side has changed since, nothing needs to be
// compared to know that there are still none. What is proven is never a plan, and
// a comparison always looks at every message.
func (e *Engagement) planOnce(ctx context.Context, account string, src, dst diff.Inventory, o diff.Options, use func(steps) error) error {
	rests, err := e.planRests(src.Scan(), dst.Scan(), o)
	if err != nil {
		return err
	}
	source, destination := src.Scan().Pass, dst.Scan().Pass
	settled, err := e.ledger.Settled(ctx, account, source, destination, rests)
	if err != nil {
		return err
	}
	if settled {
		return use(func(func(mailproof.Step, error) bool) {})
	}
	none := false
	err = use(func(yield func(mailproof.Step, error) bool) {
		some := false
		for s, err := range diff.Plan(ctx, src, dst, o) {
			some = true
			if !yield(s, err) {
				return
			}
		}
		none = !some
	})
	if err != nil || !none {
		return err
	}
	if err := e.ledger.NoteSettled(ctx, account, source, destination, rests); !errors.Is(err, ledger.ErrReadOnly) {
		return err
	}
	return nil
}

// planRests is a digest of what a plan rests on beside what the inventories hold.
func (e *Engagement) planRests(src, dst mailproof.Scan, o diff.Options) (string, error) {
	text, err := json.Marshal(struct {
		Tool, Algorithm string
		Rules           Rules
		Refused         string
		Aliases         map[string]string
		Baseline        mailproof.PassID
		// By what a server is, the use of its folders and the characters that it
		// refuses are known.
		Servers      [2]string
		Capabilities [2][]string
	}{
		e.Tool, mailproof.FingerprintAlgorithm, e.Rules, o.Rules.Refused, o.Aliases, o.Baseline,
		[2]string{src.Server.Address + " " + src.Server.ID + " " + src.Server.Greeting, dst.Server.Address + " " + dst.Server.ID + " " + dst.Server.Greeting},
		[2][]string{src.Server.Capabilities, dst.Server.Capabilities},
	})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
