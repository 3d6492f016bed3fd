package diff

import "github.com/mailproof/mailproof"

// heldPair is a pair that may still be undone: places in a set and the tier.
type heldPair struct {
	src, dst int32
	tier     mailproof.Tier
}

// pairByIdentity pairs the messages of one Message-ID that the exact tiers left
// over in the mapped folders. As T0 to T2v are nested in T3, all that could be
// equal to one of them, anywhere in the account, is in the set, so that the
// three rules can be weighed against each other:
//
//  1. What is equal belongs together, wherever it lies now. Twins, messages of
//     one Message-ID and different content, that have changed folders are not
//     altered.
//  2. What remains is paired by identity, in the mapped folder first: those
//     of equal body, then those of equal header, then the rest.
//  3. Where the mapped folder of a relocated message then still has a message
//     of its identity that is nobody's counterpart, that one is what became of
//     it, and the equal one elsewhere is a copy too many: damage in place is
//     not made good by an old copy in some other folder.
func (s *set) pairByIdentity() error {
	var held []heldPair
	s.held = &held
	for _, t := range exactTiers {
		contents := classes[mailproof.Hash]{}
		byContent := func(r *mailproof.Row) int32 { return contents.of(r.Hash(t)) }
		s.r = round{tier: t}
		if err := s.pairBy(byContent, byContent); err != nil {
			return err
		}
	}
	moved := len(held)
	for _, folder := range []bool{true, false} {
		s.r = round{tier: mailproof.T3, folder: folder}
		if err := s.pairLikest(); err != nil {
			return err
		}
	}
	if err := s.damagedInPlace(held[:moved]); err != nil {
		return err
	}
	s.held, s.doneSrc, s.doneDst = nil, nil, nil
	for _, p := range held {
		s.r.tier = p.tier
		if err := s.emit(p.src, p.dst); err != nil {
			return err
		}
	}
	return nil
}

// finest is the tier that two messages of one Message-ID share.
func finest(a, b *mailproof.Row) mailproof.Tier {
	for _, t := range exactTiers {
		if h := a.Hash(t); !h.IsZero() && h == b.Hash(t) {
			return t
		}
	}
	return mailproof.T3
}

// exactTiers are those that say that two messages are equal.
var exactTiers = []mailproof.Tier{mailproof.T0, mailproof.T1, mailproof.T2, mailproof.T2v}

// pairLikest pairs by identity alone: first those whose body is equal, then
// those whose header is, then the rest.
func (s *set) pairLikest() error {
	bodies := classes[mailproof.Hash]{}
	byBody := func(r *mailproof.Row) int32 { return bodies.of(r.Hash(mailproof.T4)) }
	if err := s.pairBy(byBody, byBody); err != nil {
		return err
	}
	if s.open() {
		if err := s.loadDetails(); err != nil {
			return err
		}
		heads := classes[string]{}
		src, dst := byDetail(s.details, heads, headOf), byDetail(s.detailsDst, heads, headOf)
		if err := s.pairBy(src, dst); err != nil {
			return err
		}
	}
	return s.pairBy(nil, nil)
}

// damagedInPlace carries out the third rule. The pairs are those of equal
// content, none of them in its mapped folder.
func (s *set) damagedInPlace(moved []heldPair) error {
	at := make(map[int32]int, len(moved)) // source → its pair
	for k, p := range moved {
		at[p.src] = k
	}
	if len(at) == 0 {
		return nil
	}
	s.r.folder = true
	src := s.keys(nil, s.src, nil, nil, func(box int) int { return s.e.target[box] })
	dst := s.keys(nil, s.dst, s.doneDst, nil, func(box int) int { return box })
	rest := src[:0]
	for _, k := range src {
		if _, ok := at[k.pos]; ok {
			rest = append(rest, k)
		}
	}
	return match(rest, dst, func(i, j int32) error {
		p := &moved[at[i]]
		s.doneDst[p.dst], s.doneDst[j] = false, true
		p.dst, p.tier = j, mailproof.T3
		return nil
	})
}
