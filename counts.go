package mailproof

// Counts is the ledger equation of a folder, an account or an engagement:
// every message of both inventories, counted once.
type Counts struct {
	// Terms of the source line.
	Identical           int64 `json:"identical"`
	IdenticalNormalised int64 `json:"identical_normalised"`
	Equivalent          int64 `json:"equivalent"`
	EquivalentWithNotes int64 `json:"equivalent_with_notes"`
	EquivalentText      int64 `json:"equivalent_text"`
	Altered             int64 `json:"altered"`
	Missing             int64 `json:"missing"`
	DuplicateCollapsed  int64 `json:"duplicate_collapsed"`
	Relocated           int64 `json:"relocated"`
	Unverifiable        int64 `json:"unverifiable"` // source messages about which nothing can be said
	Excluded            int64 `json:"excluded"`
	NotChecked          int64 `json:"not_checked"`
	// Terms of the destination line, beside what is paired.
	Extra                 int64 `json:"extra"`
	DuplicateSurplus      int64 `json:"duplicate_surplus"`
	DestinationUnreadable int64 `json:"destination_unreadable"`
	DestinationNotChecked int64 `json:"destination_not_checked"`
	DestinationExcluded   int64 `json:"destination_excluded,omitempty"` // messages without counterpart that fall under a rule
	DestinationPairedHere int64 `json:"destination_paired"`             // messages of this destination folder that are paired, wherever their source is
	SourceMessages        int64 `json:"source_messages"`                // as the inventory counted them, apart from the terms
	DestinationMessages   int64 `json:"destination_messages"`           // as the inventory counted them, apart from the terms
}

// Add adds the terms of d.
func (c *Counts) Add(d Counts) {
	c.Identical += d.Identical
	c.IdenticalNormalised += d.IdenticalNormalised
	c.Equivalent += d.Equivalent
	c.EquivalentWithNotes += d.EquivalentWithNotes
	c.EquivalentText += d.EquivalentText
	c.Altered += d.Altered
	c.Missing += d.Missing
	c.DuplicateCollapsed += d.DuplicateCollapsed
	c.Relocated += d.Relocated
	c.Unverifiable += d.Unverifiable
	c.Excluded += d.Excluded
	c.NotChecked += d.NotChecked
	c.Extra += d.Extra
	c.DuplicateSurplus += d.DuplicateSurplus
	c.DestinationUnreadable += d.DestinationUnreadable
	c.DestinationNotChecked += d.DestinationNotChecked
	c.DestinationExcluded += d.DestinationExcluded
	c.DestinationPairedHere += d.DestinationPairedHere
	c.SourceMessages += d.SourceMessages
	c.DestinationMessages += d.DestinationMessages
}

// Count adds one message with the given verdict to its term. A paired verdict
// counts on the source line only; the destination's half of the pair is
// counted with CountPaired, as it may lie in another folder.
func (c *Counts) Count(v MessageVerdict) {
	switch v {
	case Identical:
		c.Identical++
	case IdenticalNormalised:
		c.IdenticalNormalised++
	case Equivalent:
		c.Equivalent++
	case EquivalentWithNotes:
		c.EquivalentWithNotes++
	case EquivalentText:
		c.EquivalentText++
	case Relocated:
		c.Relocated++
	case Altered:
		c.Altered++
	case Missing:
		c.Missing++
	case DuplicateCollapsed:
		c.DuplicateCollapsed++
	case Extra:
		c.Extra++
	case DuplicateSurplus:
		c.DuplicateSurplus++
	case Excluded:
		c.Excluded++
	case NotChecked:
		c.NotChecked++
	default:
		c.Unverifiable++
	}
}

// CountPaired adds one destination message that has a counterpart.
func (c *Counts) CountPaired() { c.DestinationPairedHere++ }

// AllIdentical is identical and identical-normalised together.
func (c Counts) AllIdentical() int64 { return c.Identical + c.IdenticalNormalised }

// AllEquivalent is the three kinds of equivalent together.
func (c Counts) AllEquivalent() int64 {
	return c.Equivalent + c.EquivalentWithNotes + c.EquivalentText
}

// Found is the number of source messages that were found intact: identical,
// equivalent or relocated.
func (c Counts) Found() int64 { return c.AllIdentical() + c.AllEquivalent() + c.Relocated }

// Paired is the number of source messages that have a counterpart, altered
// ones included.
func (c Counts) Paired() int64 { return c.Found() + c.Altered }

// SourceSum is the right-hand side of the source equation.
func (c Counts) SourceSum() int64 {
	return c.Paired() + c.Missing + c.DuplicateCollapsed + c.Excluded + c.Unverifiable + c.NotChecked
}

// DestinationSum is the right-hand side of the destination equation. In a
// total over a whole account DestinationPairedHere equals Paired; in a folder
// it may differ, by what was relocated into or out of it.
func (c Counts) DestinationSum() int64 {
	return c.DestinationPairedHere + c.Extra + c.DuplicateSurplus + c.DestinationUnreadable + c.DestinationNotChecked + c.DestinationExcluded
}

// FolderBalanced reports whether both equations hold for one folder.
func (c Counts) FolderBalanced() bool {
	return c.SourceMessages == c.SourceSum() && c.DestinationMessages == c.DestinationSum()
}

// Balanced reports whether both equations hold for an account or an
// engagement, where each pair has both its halves in sight.
func (c Counts) Balanced() bool { return c.FolderBalanced() && c.Paired() == c.DestinationPairedHere }
