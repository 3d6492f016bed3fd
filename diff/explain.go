package diff

import (
	"slices"

	"github.com/mailproof/mailproof"
)

// FieldPair is one header field of two messages, in canonical form as their
// details hold it: cut where it was long.
type FieldPair struct {
	Name                string
	Source, Destination string
	Core                bool // its change alters a message; that of any other is a note
	Same                bool // the whole values are equal, what was cut included
}

// Fields puts the header fields of two messages beside each other, the core
// ones first. Either may be nil.
func Fields(src, dst *mailproof.Detail) []FieldPair {
	src, dst = orEmpty(src), orEmpty(dst)
	names := slices.Clone(coreFields)
	for _, d := range []*mailproof.Detail{src, dst} {
		for _, f := range d.Fields {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	slices.Sort(names[len(coreFields):])
	var out []FieldPair
	for i, name := range names {
		a, b := fieldHash(src, name), fieldHash(dst, name)
		if a.IsZero() && b.IsZero() {
			continue
		}
		p := FieldPair{Name: name, Core: i < len(coreFields), Same: a == b}
		p.Source, _ = fieldValue(src, name)
		p.Destination, _ = fieldValue(dst, name)
		out = append(out, p)
	}
	return out
}

// PartState says how a part and its counterpart compare.
type PartState string

// The states of a part.
const (
	PartSame    PartState = "same"
	PartEOL     PartState = "same but for line ends" // of a text-like attachment
	PartMarkup  PartState = "same visible text, other markup"
	PartRenamed PartState = "same, other file name"
	PartDiffers PartState = "differs"
	PartLost    PartState = "lost"
	PartAdded   PartState = "added"
	PartBlank   PartState = "blank" // empty, or blank lines only: such parts come and go
)

// PartPair is one part of two messages; an index into the leaves of either is
// -1 where there is no such part.
type PartPair struct {
	Source, Destination int
	State               PartState
}

// Parts puts the parts of two messages beside each other as judging does, in
// the order of the source; what was added follows. Either may be nil.
func Parts(src, dst *mailproof.Detail) []PartPair {
	src, dst = orEmpty(src), orEmpty(dst)
	m := matchParts(src.Leaves, dst.Leaves)
	var out []PartPair
	for i, j := range m.toDst {
		p := PartPair{i, j, PartLost}
		switch {
		case blank(&m.src[i]):
			p.State = PartBlank
		case j >= 0:
			p.State = partState(&m.src[i], &m.dst[j])
		}
		out = append(out, p)
	}
	for j, i := range m.toSrc {
		switch {
		case i >= 0:
		case blank(&m.dst[j]):
			out = append(out, PartPair{-1, j, PartBlank})
		default:
			out = append(out, PartPair{-1, j, PartAdded})
		}
	}
	return out
}

func partState(a, b *mailproof.LeafDigest) PartState {
	switch {
	case a.Content != b.Content && !a.Visible.IsZero() && a.Visible == b.Visible:
		return PartMarkup
	case a.Content != b.Content:
		return PartDiffers
	case a.Octets != b.Octets && !(isText(a) && isText(b)):
		return PartEOL
	case a.FileName != b.FileName:
		return PartRenamed
	}
	return PartSame
}

func orEmpty(d *mailproof.Detail) *mailproof.Detail {
	if d == nil {
		return &mailproof.Detail{}
	}
	return d
}

// SameContent reports whether two messages have the same content as far as the
// finest tier that both have of T2, T1 and T0 says.
func SameContent(a, b *mailproof.Row) bool {
	c := contentOf(a)
	return c.tier != mailproof.TierNone && c == contentOf(b)
}
