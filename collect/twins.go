package collect

import (
	"context"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/fingerprint"
	"github.com/mailproof/mailproof/collect/spool"
)

// LeastTwin is the size from which a message is looked up before it is worked
// on: the fingerprint of a smaller one is made sooner than it is found.
const LeastTwin = 16 << 10

// Twins knows messages that were fingerprinted before, and by the algorithm of
// today. It may be used by several goroutines at once.
type Twins interface {
	// Fingerprint returns the fingerprint of a message of which T0 and the
	// number of octets are these, and false where it knows none.
	Fingerprint(ctx context.Context, t0 mailproof.Hash, octets int64) (mailproof.Fingerprint, bool, error)
}

// fingerprint makes the fingerprint of a body that is there as a whole. Of the
// octets that were sent to the destination, and come back from there unchanged,
// it was made when the source was read: it is a function of the octets alone, so
// that the same octets, all of them, have the same one. They are read and hashed
// in any case; only what T0 does not tell apart is not told apart twice.
func (p *pass) fingerprint(ctx context.Context, h *fingerprint.Hasher, body *spool.Body) (mailproof.Fingerprint, error) {
	if p.Twins == nil || p.Reverify || body.Size() < LeastTwin {
		return h.Compute(body.Reader())
	}
	t0, err := body.T0()
	if err != nil {
		return mailproof.Fingerprint{}, err
	}
	fp, ok, err := p.Twins.Fingerprint(ctx, t0, body.Size())
	if err != nil {
		return fp, recorded(err)
	}
	if ok && fp.Hash(mailproof.T0) == t0 && fp.Octets == body.Size() {
		return fp, nil
	}
	return h.Compute(body.Reader())
}
