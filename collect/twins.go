package collect

import (
	"context"
	"errors"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/fingerprint"
	"github.com/mailproof/mailproof/collect/spool"
)

// Twins knows messages that were fingerprinted before, and by the algorithm of
// today. It may be used by several goroutines at once.
type Twins interface {
	// Count is how many messages it knows. It is asked before anything else is.
	Count(ctx context.Context) (int, error)
	// Find returns a message on record with this T0, by the number of its
	// [mailproof.Row], and 0 where it knows none.
	Find(t0 mailproof.Hash) (id int64)
	// Fingerprint returns the whole fingerprint of a message that was found.
	Fingerprint(ctx context.Context, id int64) (mailproof.Fingerprint, error)
}

// worthLookingUp is how many messages there must be to read for twins to be
// looked up: their index is made of all that the other side has.
const worthLookingUp = 300

// looksUp reports whether twins are asked for so many messages of so many octets:
// where as much is to be read as it takes to ask, and half of it may have one.
func (s *scanner) looksUp(ctx context.Context, messages, octets int64) (bool, error) {
	if s.Twins == nil || s.Reverify || s.sum.Read+messages < worthLookingUp && octets < worthHelpOctets {
		return false, nil
	}
	n, err := s.Twins.Count(ctx)
	return int64(n) >= messages/2 && n > 0, recorded(err)
}

// fingerprint makes the fingerprint of a body that is there as a whole, or finds a
// message on record that has the same one.
//
// Of the octets that were sent to the destination, and come back from there
// unchanged, it was made when the source was read: it is a function of the octets
// alone, so that the same octets, all of them, have the same one. They are read
// and hashed in any case; only what T0 does not tell apart is not told apart
// twice. Of a twin, fp has T0 and the number of octets alone, which is all that was
// found out about the message; what else there is to say stands with the twin.
func (l *pipeline) fingerprint(ctx context.Context, h *fingerprint.Hasher, body *spool.Body) (fp mailproof.Fingerprint, twin int64, err error) {
	if !l.lookUp {
		fp, err = h.Compute(body.Reader())
		return fp, 0, err
	}
	t0, err := body.T0()
	if err != nil {
		return fp, 0, err
	}
	if twin = l.Twins.Find(t0); twin == 0 {
		fp, err = h.Compute(body.Reader())
		return fp, 0, err
	}
	fp.Octets, fp.Hashes[mailproof.T0-1] = body.Size(), t0
	if l.Tap == nil {
		return fp, twin, nil
	}
	fp, err = l.whole(ctx, fp, twin) // the tap wants all of it
	return fp, 0, err
}

// whole is the fingerprint of a message of which T0 and the number of octets are
// known: that of its twin.
func (p *pass) whole(ctx context.Context, fp mailproof.Fingerprint, twin int64) (mailproof.Fingerprint, error) {
	of, err := p.Twins.Fingerprint(ctx, twin)
	if err == nil && (of.Octets != fp.Octets || of.Hash(mailproof.T0) != fp.Hash(mailproof.T0)) {
		err = errors.New("a message does not have the octets of the one that it was taken for")
	}
	return of, recorded(err)
}
