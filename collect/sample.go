package collect

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/mailproof/mailproof"
)

// Sample says which messages a pass at [mailproof.DepthSample] reads; the
// others are listed and stay unread.
//
// Every message has a rank, a hash of the seed and of what names the message
// for ever. By Share those are read whose rank is below that share of all
// ranks; by Number those with the lowest ranks of the account. Either way the
// choice is the same whatever the order of listing, and depends neither on
// content, size, date nor folder: of those that are read, given how many they
// are, every set is as likely as any other. That is what the bound of a
// sample rests on.
type Sample struct {
	Seed   string  `json:"seed"`
	Number int     `json:"number,omitempty"` // so many messages of each account, or
	Share  float64 `json:"share,omitempty"`  // this share of all messages, above 0 and at most 1
}

// DefaultSample is the number of messages of an account that are read where
// none is given: if none of them is bad, fewer than 1 in 100 of all are, with
// 95 % confidence.
const DefaultSample = 300

// ParseSample reads a size, "300" messages of each account or "2.5%" of all,
// and a seed. An empty size is [DefaultSample].
func ParseSample(size, seed string) (Sample, error) {
	s := Sample{Seed: seed}
	if size == "" {
		s.Number = DefaultSample
		return s, nil
	}
	if text, percent := strings.CutSuffix(size, "%"); percent {
		p, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || !(p > 0 && p <= 100) {
			return s, fmt.Errorf("sample size %q is no percentage above 0 and up to 100", size)
		}
		s.Share = p / 100
		return s, nil
	}
	n, err := strconv.Atoi(size)
	if err != nil || n < 1 || n > maxSample {
		return s, fmt.Errorf("sample size %q is neither a number of messages from 1 to %d nor a percentage", size, maxSample)
	}
	s.Number = n
	return s, nil
}

// maxSample bounds the ranks that are kept to find the lowest of an account.
const maxSample = 10_000_000

// IsZero reports whether no sample was asked for.
func (s Sample) IsZero() bool { return s.Number == 0 && s.Share == 0 }

// String returns the size as [ParseSample] reads it.
func (s Sample) String() string {
	if s.Share > 0 {
		return strconv.FormatFloat(s.Share*100, 'g', 6, 64) + "%"
	}
	return strconv.Itoa(s.Number)
}

// Rank is the place of a message in the order of the sample: SHA-256 over
// seed, account, mailbox (each with its length before it), UIDVALIDITY and UID,
// the first eight octets. Numbers are big-endian.
func (s Sample) Rank(k mailproof.MessageKey) uint64 {
	b := make([]byte, 0, 256)
	for _, part := range []string{"mailproof/sample/1", s.Seed, k.Account, k.Mailbox} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	b = binary.BigEndian.AppendUint32(b, k.UIDValidity)
	b = binary.BigEndian.AppendUint32(b, uint32(k.UID))
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:8])
}

// Below reports whether a rank is within the sample's share of all ranks.
func (s Sample) Below(rank uint64) bool {
	return s.Share >= 1 || float64(rank) < s.Share*(1<<64)
}

// Lowest keeps the lowest of the ranks that it is given: a heap with the
// highest of them on top.
type Lowest struct {
	most  int
	ranks []uint64
}

// NewLowest keeps so many ranks.
func NewLowest(most int) *Lowest { return &Lowest{most: most} }

// Add takes a rank.
func (l *Lowest) Add(rank uint64) {
	switch {
	case len(l.ranks) < l.most:
		l.ranks = append(l.ranks, rank)
		for i := len(l.ranks) - 1; i > 0 && l.ranks[(i-1)/2] < l.ranks[i]; i = (i - 1) / 2 {
			l.ranks[i], l.ranks[(i-1)/2] = l.ranks[(i-1)/2], l.ranks[i]
		}
	case l.most > 0 && rank < l.ranks[0]:
		l.ranks[0] = rank
		l.sink()
	}
}

func (l *Lowest) sink() {
	for i := 0; ; {
		child := 2*i + 1
		if child+1 < len(l.ranks) && l.ranks[child+1] > l.ranks[child] {
			child++
		}
		if child >= len(l.ranks) || l.ranks[child] <= l.ranks[i] {
			return
		}
		l.ranks[i], l.ranks[child] = l.ranks[child], l.ranks[i]
		i = child
	}
}

// Limit is the highest rank that is among the lowest; every rank is, as long as
// there are no more than are kept.
func (l *Lowest) Limit() uint64 {
	if len(l.ranks) < l.most {
		return math.MaxUint64
	}
	return l.ranks[0]
}

// sampled reports whether the sample has a message of the mailbox at hand.
func (s *scanner) sampled(uid mailproof.UID) bool {
	rank := s.Sample.Rank(mailproof.MessageKey{Account: s.Account, Mailbox: s.mb.Name, UIDValidity: s.state.UIDValidity, UID: uid})
	if s.Sample.Share > 0 {
		return s.Sample.Below(rank)
	}
	return rank <= s.limit
}

// drawSample lists the account once to find the rank up to which its messages
// are read. A mailbox that cannot be listed now is met again by the pass
// itself, which records why.
func (p *pass) drawSample(ctx context.Context, mailboxes []mailproof.Mailbox) error {
	if p.Depth == mailproof.DepthFull || p.Sample.Share > 0 {
		return nil
	}
	lowest := NewLowest(p.Sample.Number)
	for _, mb := range mailboxes {
		if mb.NoSelect {
			continue
		}
		if p.Exclude != nil {
			if _, out := p.Exclude(mb); out {
				continue
			}
		}
		if p.stopped() {
			return ErrStopped
		}
		err := p.rank(ctx, mb.Name, lowest)
		if err != nil && (ctx.Err() != nil || errors.Is(err, ErrStopped) || endsAccount(err)) {
			return fmt.Errorf("folder %q: %w", mb.Name, err)
		}
	}
	p.limit = lowest.Limit()
	return nil
}

func (p *pass) rank(ctx context.Context, mailbox string, lowest *Lowest) error {
	state, err := p.src.Examine(ctx, mailbox)
	if err != nil {
		return err
	}
	key := mailproof.MessageKey{Account: p.Account, Mailbox: mailbox, UIDValidity: state.UIDValidity}
	return p.src.Metadata(ctx, func(md mailproof.Metadata) error {
		if p.stopped() {
			return ErrStopped
		}
		key.UID = md.UID
		lowest.Add(p.Sample.Rank(key))
		return nil
	})
}
