package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Counts say how two accounts differ, message by message. Every message of the
// source is in exactly one of Identical, Altered, Moved, Collapsed and Missing.
type Counts struct {
	Identical int // the same body in the mapped folder
	Altered   int // another body under the same Message-ID in the mapped folder
	Moved     int // the same body, left over in another folder
	Collapsed int // no counterpart left, but the same body is there for another copy
	Missing   int // nothing of the above
	Extra     int // left over on the destination
	Surplus   int // left over on the destination, where the source has the same body
	Flags     int // identical messages whose flags differ
	Dates     int // identical messages whose dates differ
}

// Report is the result of Compare.
type Report struct {
	Counts
	Source, Destination int // messages
	Folders             map[string]Counts
	// MissingFolders are folders of the source without a counterpart.
	MissingFolders []string
	// Notes name every difference, for people.
	Notes []string
}

// Equal reports whether nothing differs at all.
func (r *Report) Equal() bool {
	return len(r.Notes) == 0 && r.Identical == r.Source && r.Source == r.Destination
}

// String lists the counts and the differences.
func (r *Report) String() string {
	return fmt.Sprintf("%d → %d messages, %+v\n%s", r.Source, r.Destination, r.Counts, strings.Join(r.Notes, "\n"))
}

// MapNames maps folder names by their levels: prefix and separator change, the
// levels stay, but for those renamed: whole paths joined with "/".
func MapNames(from, to *Account, renamed map[string]string) func(string) string {
	return func(name string) string {
		if name == "INBOX" {
			return name
		}
		path := strings.Split(strings.TrimPrefix(name, from.Prefix), from.Separator)
		if other, ok := renamed[strings.Join(path, "/")]; ok {
			path = strings.Split(other, "/")
		}
		return to.Prefix + strings.Join(path, to.Separator)
	}
}

// left is a message without a counterpart so far.
type left struct {
	folder string // of the source, or of the destination
	m      Message
}

// Compare holds a destination against a source. name maps the folder names of
// the source to those of the destination; nil: they are the same.
func Compare(source, destination *Account, name func(string) string) *Report {
	if name == nil {
		name = func(s string) string { return s }
	}
	r := &Report{Folders: map[string]Counts{}}
	var gone, over []left
	mapped := map[string]bool{}
	for _, folder := range slices.Sorted(maps.Keys(source.Folders)) {
		s, d := source.Folders[folder], destination.Folders[name(folder)]
		mapped[name(folder)] = true
		r.Source += len(s.Messages)
		if d == nil {
			r.MissingFolders = append(r.MissingFolders, folder)
			r.Notes = append(r.Notes, fmt.Sprintf("folder %q is missing", folder))
			d = &Folder{Name: name(folder)}
		}
		var c Counts
		onlyS, onlyD := r.identical(&c, s, d)
		onlyS, onlyD = r.altered(&c, onlyS, onlyD)
		r.Folders[folder] = c
		gone, over = append(gone, onlyS...), append(over, onlyD...)
	}
	for _, folder := range slices.Sorted(maps.Keys(destination.Folders)) {
		f := destination.Folders[folder]
		r.Destination += len(f.Messages)
		if !mapped[folder] {
			for _, m := range f.Messages {
				over = append(over, left{folder, m})
			}
		}
	}
	for _, c := range r.Folders {
		r.Identical, r.Altered = r.Identical+c.Identical, r.Altered+c.Altered
		r.Flags, r.Dates = r.Flags+c.Flags, r.Dates+c.Dates
	}
	r.leftovers(gone, over, bodies(source), bodies(destination))
	return r
}

func bodies(a *Account) map[[32]byte]bool {
	out := map[[32]byte]bool{}
	for _, f := range a.Folders {
		for _, m := range f.Messages {
			out[m.Body] = true
		}
	}
	return out
}

// identical pairs equal bodies of one folder, and within equal bodies first
// those whose flags and date are equal, too.
func (r *Report) identical(c *Counts, s, d *Folder) (onlyS, onlyD []left) {
	byBody := map[[32]byte][]Message{}
	for _, m := range d.Messages {
		byBody[m.Body] = append(byBody[m.Body], m)
	}
	rest := s.Messages
	for _, likeness := range []func(a, b Message) bool{sameAll, sameFlags, sameDate, nil} {
		var later []Message
		for _, m := range rest {
			candidates := byBody[m.Body]
			i := slices.IndexFunc(candidates, func(o Message) bool { return likeness == nil || likeness(m, o) })
			if i < 0 {
				later = append(later, m)
				continue
			}
			r.pair(c, s.Name, m, candidates[i])
			byBody[m.Body] = slices.Delete(candidates, i, i+1)
		}
		rest = later
	}
	for _, m := range rest {
		onlyS = append(onlyS, left{s.Name, m})
	}
	for _, m := range d.Messages {
		if slices.ContainsFunc(byBody[m.Body], func(o Message) bool { return o.UID == m.UID }) {
			onlyD = append(onlyD, left{d.Name, m})
		}
	}
	return onlyS, onlyD
}

func sameFlags(a, b Message) bool { return slices.Equal(a.Flags, b.Flags) }
func sameDate(a, b Message) bool  { return a.Date.Unix() == b.Date.Unix() }
func sameAll(a, b Message) bool   { return sameFlags(a, b) && sameDate(a, b) }

func (r *Report) pair(c *Counts, folder string, s, d Message) {
	c.Identical++
	if !sameFlags(s, d) {
		c.Flags++
		r.Notes = append(r.Notes, fmt.Sprintf("%q uid %d: flags %v became %v", folder, s.UID, s.Flags, d.Flags))
	}
	if !sameDate(s, d) {
		c.Dates++
		r.Notes = append(r.Notes, fmt.Sprintf("%q uid %d: date %v became %v", folder, s.UID, s.Date, d.Date))
	}
}

// altered pairs what is left in one folder by Message-ID.
func (r *Report) altered(c *Counts, onlyS, onlyD []left) (gone, over []left) {
	for _, s := range onlyS {
		i := slices.IndexFunc(onlyD, func(d left) bool { return s.m.MessageID != "" && d.m.MessageID == s.m.MessageID })
		if i < 0 {
			gone = append(gone, s)
			continue
		}
		c.Altered++
		r.Notes = append(r.Notes, fmt.Sprintf("%q uid %d: altered, %d octets became %d", s.folder, s.m.UID, s.m.Size, onlyD[i].m.Size))
		onlyD = slices.Delete(onlyD, i, i+1)
	}
	return gone, onlyD
}

// leftovers decides, over the whole account, what became of the rest.
func (r *Report) leftovers(gone, over []left, source, destination map[[32]byte]bool) {
	for _, s := range gone {
		c := r.Folders[s.folder]
		i := slices.IndexFunc(over, func(d left) bool { return d.m.Body == s.m.Body })
		word := "missing"
		switch {
		case i >= 0:
			word = fmt.Sprintf("moved to %q", over[i].folder)
			over = slices.Delete(over, i, i+1)
			c.Moved++
			r.Moved++
		case destination[s.m.Body]:
			word = "collapsed into another copy"
			c.Collapsed++
			r.Collapsed++
		default:
			c.Missing++
			r.Missing++
		}
		r.Folders[s.folder] = c
		r.Notes = append(r.Notes, fmt.Sprintf("%q uid %d %s: %s", s.folder, s.m.UID, s.m.MessageID, word))
	}
	for _, d := range over {
		word := "extra"
		if source[d.m.Body] {
			word = "one copy too many"
			r.Surplus++
		} else {
			r.Extra++
		}
		r.Notes = append(r.Notes, fmt.Sprintf("destination %q uid %d %s: %s", d.folder, d.m.UID, d.m.MessageID, word))
	}
}
