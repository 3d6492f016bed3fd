package diff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// partMatch is the parts of two messages side by side.
type partMatch struct {
	src, dst []mailproof.LeafDigest
	toDst    []int // by source part: the destination part, -1: lost
	toSrc    []int // by destination part: the source part, -1: added
}

// matchParts finds for each part its counterpart: an equal one, else the one
// that is most likely what became of it.
func matchParts(src, dst []mailproof.LeafDigest) *partMatch {
	m := &partMatch{src: src, dst: dst, toDst: slices.Repeat([]int{-1}, len(src)), toSrc: slices.Repeat([]int{-1}, len(dst))}
	type leaf = mailproof.LeafDigest
	sameType := func(a, b *leaf) bool { return a.Type == b.Type && !blank(b) }
	for _, alike := range []func(a, b *leaf) bool{
		func(a, b *leaf) bool { return a.Content == b.Content && a.FileName == b.FileName },
		func(a, b *leaf) bool { return a.Content == b.Content },
		func(a, b *leaf) bool { return a.Octets == b.Octets },
		func(a, b *leaf) bool { return !a.Visible.IsZero() && a.Visible == b.Visible },
		func(a, b *leaf) bool { return a.FileName != "" && a.FileName == b.FileName && a.Type == b.Type },
		func(a, b *leaf) bool {
			return isText(a) && sameType(a, b) && (a.Squeezed == b.Squeezed || a.Letters == b.Letters)
		},
		func(a, b *leaf) bool { return sameType(a, b) && b.Prefixes != "" && b.MayTruncate(a) },
		func(a, b *leaf) bool { return a.FileName != "" && a.FileName == b.FileName },
		func(a, b *leaf) bool { return sameType(a, b) && a.FileName == "" && b.FileName == "" },
		sameType,
		func(a, b *leaf) bool { return a.Type == b.Type },
	} {
		m.pair(alike)
	}
	return m
}

func (m *partMatch) pair(alike func(a, b *mailproof.LeafDigest) bool) {
	for i := range m.src {
		if m.toDst[i] >= 0 || blank(&m.src[i]) {
			continue
		}
		for j := range m.dst {
			if m.toSrc[j] < 0 && alike(&m.src[i], &m.dst[j]) {
				m.toDst[i], m.toSrc[j] = j, i
				break
			}
		}
	}
}

// blank reports whether a part is empty or holds nothing but blank lines: such
// parts come and go, and tell nothing.
func blank(l *mailproof.LeafDigest) bool { return l.Content.IsZero() }

func isText(l *mailproof.LeafDigest) bool { return strings.HasPrefix(l.Type, "text/") }

func isTNEF(l *mailproof.LeafDigest) bool {
	return l.Type == "application/ms-tnef" || l.Type == "application/vnd.ms-tnef" || strings.EqualFold(l.FileName, "winmail.dat")
}

// part names a part for people: part 2 application/pdf “offer.pdf”.
func part(leaves []mailproof.LeafDigest, i int) string {
	l := &leaves[i]
	name := fmt.Sprintf("part %d %s", i+1, printable(l.Type))
	if l.FileName != "" {
		name += " " + quote(l.FileName)
	}
	return name
}

// printable is quote without the quotation marks, for what should be a token.
func printable(s string) string {
	return strings.TrimSuffix(strings.TrimPrefix(quote(s), "“"), "”")
}

// sameParts reports whether two messages have equal contents, as far as tier
// T4 or, for short ones, the list of parts says.
func sameParts(a, b *mailproof.Fingerprint) bool {
	if x, y := a.Hash(mailproof.T4), b.Hash(mailproof.T4); !x.IsZero() || !y.IsZero() {
		return x == y
	}
	contents := func(d *mailproof.Detail) []string {
		var out []string
		for _, l := range d.Leaves {
			if !blank(&l) {
				out = append(out, string(l.Content[:]))
			}
		}
		slices.Sort(out)
		return out
	}
	return a.Detail.LeafCount <= mailproof.MaxLeaves && b.Detail.LeafCount <= mailproof.MaxLeaves &&
		slices.Equal(contents(&a.Detail), contents(&b.Detail))
}

// maxPartReasons bounds the reasons of one message.
const maxPartReasons = 8

// partDamage says which parts differ, and how.
func partDamage(src, dst *mailproof.Detail) []mailproof.Reason {
	m := matchParts(src.Leaves, dst.Leaves)
	if m.emptied() {
		return []mailproof.Reason{{Code: ReasonBodyEmptied, Evidence: plural(int64(src.LeafCount), "part") + " on the source, no content on the destination"}}
	}
	out := m.replaced()
	for i := range m.src {
		switch j := m.toDst[i]; {
		case blank(&m.src[i]):
		case j < 0:
			out = append(out, mailproof.Reason{Code: ReasonPartLost, Evidence: part(m.src, i) + ": " + number(m.src[i].Size) + " octets"})
		case j >= 0 && m.src[i].Content != m.dst[j].Content:
			out = append(out, m.changed(i, j))
		}
	}
	for j := range m.dst {
		if m.toSrc[j] < 0 && !blank(&m.dst[j]) {
			out = append(out, mailproof.Reason{Code: ReasonPartAdded, Evidence: part(m.dst, j) + ": " + number(m.dst[j].Size) + " octets"})
		}
	}
	if src.LeafCount != dst.LeafCount && (src.LeafCount > mailproof.MaxLeaves || dst.LeafCount > mailproof.MaxLeaves) {
		code := ReasonPartLost
		if dst.LeafCount > src.LeafCount {
			code = ReasonPartAdded
		}
		out = append(out, mailproof.Reason{Code: code, Evidence: fmt.Sprintf("%s → %s parts", number(int64(src.LeafCount)), number(int64(dst.LeafCount)))})
	}
	if n := len(out); n > maxPartReasons {
		out = append(out[:maxPartReasons], mailproof.Reason{Code: ReasonMoreParts, Evidence: number(int64(n-maxPartReasons)) + " more"})
	}
	return out
}

func (m *partMatch) emptied() bool {
	some := false
	for i := range m.src {
		some = some || !blank(&m.src[i])
	}
	for j := range m.dst {
		some = some && blank(&m.dst[j])
	}
	return some
}

const longestStub = 64 << 10

// replaced takes out what was put in the place of something else: a notice for
// an attachment, the contents of a TNEF container for the container.
func (m *partMatch) replaced() []mailproof.Reason {
	var out []mailproof.Reason
	for i := range m.src {
		j := m.toDst[i]
		if isTNEF(&m.src[i]) && (j < 0 || !isTNEF(&m.dst[j])) {
			added := m.take(i)
			out = append(out, mailproof.Reason{Code: ReasonTNEF, Evidence: fmt.Sprintf("%s was replaced by %s", part(m.src, i), plural(added, "part"))})
		}
	}
	for j := range m.dst {
		if isTNEF(&m.dst[j]) && m.toSrc[j] < 0 {
			lost := m.takeSource(j)
			out = append(out, mailproof.Reason{Code: ReasonTNEF, Evidence: fmt.Sprintf("%s holds what was %s", part(m.dst, j), plural(lost, "part"))})
		}
	}
	for i := range m.src {
		if isText(&m.src[i]) && m.src[i].FileName == "" || blank(&m.src[i]) {
			continue
		}
		j := m.toDst[i]
		if j < 0 {
			j = slices.IndexFunc(m.toSrc, func(i int) bool { return i < 0 })
			for ; j >= 0 && j < len(m.dst); j++ {
				if m.toSrc[j] < 0 && m.isStub(i, j) {
					break
				}
			}
		}
		if j >= 0 && j < len(m.dst) && m.isStub(i, j) && m.src[i].Type != m.dst[j].Type {
			m.settle(i, j)
			out = append(out, mailproof.Reason{Code: ReasonStubbed, Evidence: fmt.Sprintf("%s: %s → %s: %s octets",
				part(m.src, i), number(m.src[i].Size)+" octets", printable(m.dst[j].Type), number(m.dst[j].Size))})
		}
	}
	return out
}

func (m *partMatch) isStub(i, j int) bool {
	d := &m.dst[j]
	return isText(d) && !blank(d) && d.Size < longestStub && d.Size < m.src[i].Size
}

// settle makes a pair count as explained.
func (m *partMatch) settle(i, j int) {
	m.toDst[i], m.toSrc[j] = j, i
	m.src = slices.Clone(m.src)
	m.src[i].Content = m.dst[j].Content
}

// take explains every added part by source part i, and counts them.
func (m *partMatch) take(i int) (n int64) {
	for j := range m.dst {
		if m.toSrc[j] < 0 && !blank(&m.dst[j]) {
			m.toSrc[j] = i
			n++
		}
	}
	m.src = slices.Clone(m.src)
	m.src[i].Content = mailproof.Short{}
	return n
}

// takeSource explains every lost part by destination part j, and counts them.
func (m *partMatch) takeSource(j int) (n int64) {
	m.src = slices.Clone(m.src)
	for i := range m.src {
		if m.toDst[i] < 0 && !blank(&m.src[i]) {
			m.src[i].Content = mailproof.Short{}
			n++
		}
	}
	m.toSrc[j] = 0
	return n
}

// changed says what became of one part.
func (m *partMatch) changed(i, j int) mailproof.Reason {
	a, b := &m.src[i], &m.dst[j]
	name := part(m.src, i)
	if b.Type != a.Type {
		name += " → " + printable(b.Type)
	}
	size := name + ": " + sizes(a.Size, b.Size)
	text := isText(a) && isText(b)
	switch {
	case blank(b):
		return mailproof.Reason{Code: ReasonPartEmptied, Evidence: size}
	case text && a.Squeezed == b.Squeezed && b.Size > a.Size:
		return mailproof.Reason{Code: ReasonLineWrapped, Evidence: size + ", line breaks or white space added"}
	case text && a.Squeezed == b.Squeezed:
		return mailproof.Reason{Code: ReasonWhiteSpace, Evidence: size + ", line breaks or white space changed"}
	case text && a.Letters == b.Letters && a.NonASCII > 0:
		return mailproof.Reason{Code: ReasonCharset, Evidence: fmt.Sprintf("%s, characters outside ASCII %s → %s", size, number(a.NonASCII), number(b.NonASCII))}
	case b.Prefixes != "" && b.MayTruncate(a):
		return mailproof.Reason{Code: ReasonTruncated, Evidence: size}
	}
	evidence := size
	if a.Size == b.Size {
		evidence += ", content differs"
	}
	if n := a.CommonPrefix(b); n > 0 {
		evidence += fmt.Sprintf("; the first %s octets are equal", number(n))
	}
	return mailproof.Reason{Code: ReasonPartChanged, Evidence: evidence}
}

// partNotes says what differs about parts of equal content.
func partNotes(src, dst *mailproof.Detail) []mailproof.Reason {
	m := matchParts(src.Leaves, dst.Leaves)
	var out []mailproof.Reason
	for i, j := range m.toDst {
		if j < 0 {
			continue
		}
		a, b := &m.src[i], &m.dst[j]
		if blank(a) {
			continue
		}
		if a.FileName != b.FileName {
			out = append(out, mailproof.Reason{Code: ReasonFileName, Evidence: fmt.Sprintf("part %d %s: %s", i+1, printable(a.Type), change(a.FileName, b.FileName))})
		}
		if a.Content == b.Content && a.Octets != b.Octets && !(isText(a) && isText(b)) {
			out = append(out, mailproof.Reason{Code: ReasonAttachmentEOL, Evidence: part(m.src, i) + ": " + sizes(a.Size, b.Size)})
		}
		if a.Content != b.Content && !a.Visible.IsZero() && a.Visible == b.Visible {
			out = append(out, mailproof.Reason{Code: ReasonMarkup, Evidence: part(m.src, i) + ": " + sizes(a.Size, b.Size)})
		}
	}
	if n := len(out); n > maxPartReasons {
		out = append(out[:maxPartReasons], mailproof.Reason{Code: ReasonMoreParts, Evidence: number(int64(n-maxPartReasons)) + " more"})
	}
	return out
}
