package fingerprint

import (
	"io"

	"github.com/mailproof/mailproof"
)

// Head reads a message's header to its end, as BODY.PEEK[HEADER] gives it, and
// returns what of a fingerprint a header alone can tell: tiers T3 and T3b, and
// of the detail the Message-ID, the fields, and the anomalies of a header. They
// are those that [Compute] gives for the whole message. Nothing in it says
// anything of the body. The only error is the reader's own.
func Head(header io.Reader) (mailproof.Fingerprint, error) {
	h := pool.Get().(*Hasher)
	defer pool.Put(h)
	return h.Head(header)
}

// Head is as the function of that name.
func (h *Hasher) Head(header io.Reader) (mailproof.Fingerprint, error) {
	whole, err := h.Compute(header)
	if err != nil {
		return mailproof.Fingerprint{}, err
	}
	fp := mailproof.Fingerprint{Octets: whole.Octets, Detail: mailproof.Detail{
		MessageID: whole.Detail.MessageID, Fields: whole.Detail.Fields, Anomalies: whole.Detail.Anomalies & ofHeader,
	}}
	for _, t := range []mailproof.Tier{mailproof.T3, mailproof.T3b} {
		fp.SetHash(t, whole.Hash(t))
	}
	return fp, nil
}

// ofHeader are the anomalies that a header alone shows.
const ofHeader = mailproof.AnomalyNoHeader | mailproof.AnomalyBadHeader | mailproof.AnomalyEightBitHeader | mailproof.AnomalyEnvelopeFrom |
	mailproof.AnomalyNoMessageID | mailproof.AnomalyManyMessageIDs | mailproof.AnomalyBadDate | mailproof.AnomalyHeaderLimit
