package report

import (
	"fmt"
	"strings"

	"github.com/mailproof/mailproof"
)

// Lead is the sentence under the verdict: what a reader must know who reads
// nothing else. It agrees with the verdict that the document was given, and
// gives the numbers that the ledger has.
func (d *Document) Lead() string {
	switch d.Verdict {
	case mailproof.Complete:
		return d.leadComplete()
	case mailproof.CompleteWithAcceptedExceptions:
		return d.leadAccepted()
	case mailproof.Incomplete:
		return d.leadIncomplete()
	default:
		return d.leadInconclusive()
	}
}

func join(sentences ...string) string {
	kept := sentences[:0:0]
	for _, s := range sentences {
		if s != "" {
			kept = append(kept, s)
		}
	}
	return strings.Join(kept, " ")
}

func (d *Document) messages() string {
	return count(d.Totals.SourceMessages, "source message")
}

// kinds names the kinds of arrival that occur, for "found: 10 identical, 2
// equivalent".
func (d *Document) kinds() string {
	c := d.Totals
	var parts []string
	for _, p := range []struct {
		n    int64
		word string
	}{
		{c.AllIdentical(), "identical"}, {c.AllEquivalent(), "equivalent"}, {c.Relocated, "equal in another folder"},
	} {
		if p.n > 0 {
			parts = append(parts, comma(p.n)+" "+p.word)
		}
	}
	return list(parts)
}

func (d *Document) leadComplete() string {
	c := d.Totals
	inScope := c.SourceMessages - c.Excluded
	// The verdict is given; should the counts ever say otherwise, the counts
	// are what is printed.
	if n, what := d.troubles(); n > 0 {
		return join(fmt.Sprintf("Of %s, %s did not arrive intact: %s.", d.messages(), comma(n), what), d.collapsed(), d.excluded())
	}
	switch {
	case c.SourceMessages == 0:
		return join("The source inventory holds no message.", d.warned())
	case inScope == 0:
		return join("All "+d.messages()+" were left out by rule; none was in scope.", d.warned())
	case c.Excluded == 0 && inScope == 1:
		return join("The one source message was found on the new server: "+or(d.kinds(), "as a collapsed duplicate")+".", d.collapsed(), d.warned())
	}
	kinds := or(d.kinds(), "as collapsed duplicates")
	head := "All " + d.messages() + " were found on the new server: "
	if c.Excluded > 0 {
		head = fmt.Sprintf("All %s in scope were found on the new server: ", count(inScope, "message"))
	}
	if c.DuplicateCollapsed > 0 {
		head = fmt.Sprintf("The content of all %s in scope was found on the new server: ", count(inScope, "message"))
	}
	return join(head+kinds+".", d.collapsed(), d.excluded(), d.warned())
}

func (d *Document) collapsed() string {
	n := d.Totals.DuplicateCollapsed
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s of a message present elsewhere in the mailbox %s not carried over.", count(n, "further copy", "further copies"), choose(n, "was", "were"))
}

func (d *Document) excluded() string {
	n := d.Totals.Excluded
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s %s left out by rule.", count(n, "message"), choose(n, "was", "were"))
}

// warned mentions checks that warn; they do not change the verdict, but the
// reader of one page must not miss them.
func (d *Document) warned() string {
	n := d.outcomes(mailproof.OutcomeWarn)
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s a warning (section 10).", count(n, "check gives", "checks give"))
}

// outcomes counts the DNS checks among the findings that the verdict is made
// of. Those of another phase stand in section 10 alone.
func (d *Document) outcomes(o mailproof.Outcome) (n int64) {
	for _, f := range d.Findings {
		if f.Outcome == o && f.Domain != "" {
			n++
		}
	}
	return n
}

// troubles names what did not arrive intact: "5 were altered, 2 are missing".
func (d *Document) troubles() (int64, string) {
	c := d.Totals
	var parts []string
	if c.Altered > 0 {
		parts = append(parts, comma(c.Altered)+choose(c.Altered, " was altered", " were altered"))
	}
	if c.Missing > 0 {
		parts = append(parts, comma(c.Missing)+choose(c.Missing, " is missing", " are missing"))
	}
	if c.Unverifiable > 0 {
		parts = append(parts, comma(c.Unverifiable)+" could not be told")
	}
	if c.NotChecked > 0 {
		parts = append(parts, comma(c.NotChecked)+choose(c.NotChecked, " was not checked", " were not checked"))
	}
	return c.Altered + c.Missing + c.Unverifiable + c.NotChecked, list(parts)
}

func (d *Document) leadAccepted() string {
	n, what := d.troubles()
	accepted := d.outcomes(mailproof.OutcomeAccepted)
	var head string
	switch {
	case n == 0:
		head = fmt.Sprintf("All %s in scope were found on the new server.", count(d.Totals.SourceMessages-d.Totals.Excluded, "message"))
	default:
		head = fmt.Sprintf("Of %s, %s did not arrive intact: %s.", d.messages(), comma(n), what)
		if d.openCount() == 0 && len(d.listed()) > 0 {
			head += " Each exception was decided by name; none is open."
		}
	}
	checks := ""
	if accepted > 0 {
		checks = fmt.Sprintf("%s failed and %s accepted by name (section 10).", count(accepted, "check"), choose(accepted, "was", "were"))
	}
	return join(head, checks, d.collapsed(), d.excluded())
}

func (d *Document) leadIncomplete() string {
	c := d.Totals
	var parts []string
	switch {
	case c.Missing > 0:
		parts = append(parts, fmt.Sprintf("%s of %s %s missing: no counterpart was found on the new server.", comma(c.Missing), d.messages(), choose(c.Missing, "is", "are")))
		if c.Altered > 0 {
			parts = append(parts, fmt.Sprintf("%s more arrived altered.", comma(c.Altered)))
		}
	case c.Altered > 0:
		parts = append(parts, fmt.Sprintf("%s of %s arrived altered; none is missing.", comma(c.Altered), d.messages()))
	case c.DuplicateCollapsed > 0 && d.openOf(mailproof.DuplicateCollapsed) > 0:
		parts = append(parts, fmt.Sprintf("Of %s, %s: the content is there, in fewer copies than on the source.", d.messages(), count(c.DuplicateCollapsed, "copy is missing", "copies are missing")))
	case c.Unverifiable == 0 && c.NotChecked == 0:
		parts = append(parts, "Every message in scope was found on the new server, but not every check passed.")
	}
	if c.Unverifiable > 0 {
		parts = append(parts, fmt.Sprintf("Nothing can be said of %s that could not be read or whose counterpart may be among the unread.", count(c.Unverifiable, "message")))
	}
	if n := d.openCount(); n > 0 {
		parts = append(parts, fmt.Sprintf("%s a decision.", count(n, "exception awaits", "exceptions await")))
	}
	if n := d.outcomes(mailproof.OutcomeFail); n > 0 {
		parts = append(parts, fmt.Sprintf("%s of the domain's DNS failed.", count(n, "check")))
	}
	return join(append(parts, d.excluded())...)
}

func (d *Document) openCount() int64 { return d.tally()[mailproof.Open] }

func (d *Document) openOf(v mailproof.MessageVerdict) (n int64) {
	for _, e := range d.Exceptions {
		if e.Verdict == v && e.NeedsDecision() {
			n++
		}
	}
	return n
}

func (d *Document) leadInconclusive() string {
	c := d.Totals
	_, _, unreadFolders, drifted := d.folders()
	var why []string
	if n := d.unreadAccounts(); n > 0 {
		why = append(why, fmt.Sprintf("%s of %s could not be read to the end", comma(n), count(int64(d.listedAccounts()), "account")))
	}
	if c.Unverifiable > 0 {
		why = append(why, fmt.Sprintf("nothing can be said of %s of %s", comma(c.Unverifiable), d.messages()))
	}
	if c.DestinationUnreadable > 0 {
		why = append(why, fmt.Sprintf("%s on the destination could not be read", count(c.DestinationUnreadable, "message")))
	}
	if unreadFolders > 0 {
		why = append(why, count(int64(unreadFolders), "source folder")+" could not be read to the end")
	}
	if drifted > 0 {
		why = append(why, count(int64(drifted), "folder")+" changed while being read")
	}
	if n := c.NotChecked; n > 0 || c.DestinationNotChecked > 0 {
		what := count(n, "source message")
		if n == 0 {
			what = count(c.DestinationNotChecked, "destination message")
		}
		why = append(why, fmt.Sprintf("the content of %s was not compared, as the depth was %s", what, or(depthName(d.Depth), "not recorded")))
	}
	if !d.Balanced() {
		why = append(why, "the ledger does not balance")
	}
	if n := d.outcomes(mailproof.OutcomeUnknown); n > 0 {
		why = append(why, fmt.Sprintf("%s of the domain's DNS had no answer", count(n, "check")))
	}
	if len(why) == 0 {
		why = d.unknowns()
	}
	tail := "What could be read shows nothing missing; that says nothing about the rest."
	if c.Altered > 0 {
		tail = fmt.Sprintf("%s arrived altered; nothing that could be compared is missing.", count(c.Altered, "message"))
	}
	if c.Missing > 0 {
		tail = fmt.Sprintf("Of what could be compared, %s %s missing.", count(c.Missing, "message"), choose(c.Missing, "is", "are"))
	}
	if c.SourceMessages == 0 {
		tail = "The source inventory holds no message."
	}
	return join("No conclusion can be drawn: "+strings.Join(why, "; ")+".", tail)
}

// unknowns says in the findings' own words what could not be told.
func (d *Document) unknowns() []string {
	var out []string
	for _, f := range d.Findings {
		if f.Outcome == mailproof.OutcomeUnknown && f.Observed != "" && len(out) < 2 {
			out = append(out, cut(strings.Trim(or(f.Account, f.Domain)+", "+oneLine(f.Observed), ", "), 140))
		}
	}
	if len(out) == 0 {
		out = append(out, "the comparison lacks a complete inventory of both sides")
	}
	return out
}

// unreadAccounts counts accounts whose inventory did not end well on either
// side, and those that were listed and never compared.
func (d *Document) unreadAccounts() (n int64) {
	for _, a := range d.Accounts {
		if scanFailed(a.SourceScan) || scanFailed(a.DestinationScan) {
			n++
		}
	}
	if missing := d.listedAccounts() - len(d.Accounts); missing > 0 {
		n += int64(missing)
	}
	return n
}

func scanFailed(s mailproof.Scan) bool { return s.State != mailproof.PassDone || s.Error != "" }

func (d *Document) listedAccounts() int { return max(d.AccountsListed, len(d.Accounts)) }

// Scope is the sentence of scope: what was read when, and what was found of
// it. It claims no more than the two inventories.
func (d *Document) Scope() string {
	c := d.Totals
	if d.SourceWindow.IsZero() || d.DestinationWindow.IsZero() {
		return "No complete pair of inventories was recorded; nothing is stated about messages."
	}
	var of []string
	if c.Excluded > 0 {
		of = append(of, fmt.Sprintf("%s %s excluded by rule", comma(c.Excluded), choose(c.Excluded, "is", "are")))
	}
	if c.Unverifiable > 0 {
		of = append(of, fmt.Sprintf("nothing can be said of %s", comma(c.Unverifiable)))
	}
	if c.NotChecked > 0 {
		of = append(of, fmt.Sprintf("%s %s not checked", comma(c.NotChecked), choose(c.NotChecked, "was", "were")))
	}
	n := "n = " + comma(c.SourceMessages)
	if len(of) > 0 {
		n += ", of which " + list(of)
	}
	what := "Every message"
	if c.Unverifiable+c.NotChecked > 0 {
		what = "Every message that could be compared, of those"
	}
	return fmt.Sprintf("%s present in the source inventory taken between %s (%s) was found in the destination inventory taken between %s, at the tier shown%s.",
		what, between(d.SourceWindow, "and"), n, betweenAfter(d.DestinationWindow, d.SourceWindow, "and"), d.except())
}

// except names what the sentence of scope does not hold for.
func (d *Document) except() string {
	c := d.Totals
	lost := c.Altered + c.Missing
	switch {
	case lost == 0 && c.DuplicateCollapsed == 0:
		return ""
	case lost == 0:
		return fmt.Sprintf(", except %s", count(c.DuplicateCollapsed, "collapsed duplicate"))
	}
	text := fmt.Sprintf(", except the %s listed in section 8", count(lost, "message"))
	if c.DuplicateCollapsed > 0 {
		text += fmt.Sprintf(" and %s", count(c.DuplicateCollapsed, "collapsed duplicate"))
	}
	return text
}

// Share says what part of the messages in scope was found, never rounded up.
// Empty where there is nothing in scope or nothing can be said of the whole.
func (d *Document) Share() string {
	c := d.Totals
	inScope := c.SourceMessages - c.Excluded
	if inScope <= 0 || !d.Balanced() {
		return ""
	}
	found := c.Paired() + c.DuplicateCollapsed
	unread := c.Unverifiable + c.NotChecked
	var lack []string
	if c.Missing > 0 {
		lack = append(lack, comma(c.Missing)+" of "+comma(inScope)+" missing")
	}
	if unread > 0 {
		lack = append(lack, comma(unread)+" of "+comma(inScope)+" not told")
	}
	if c.DuplicateCollapsed > 0 {
		found -= c.DuplicateCollapsed
		lack = append(lack, comma(c.DuplicateCollapsed)+" of "+comma(inScope)+" collapsed duplicates")
	}
	switch {
	case len(lack) > 0:
		return fmt.Sprintf("%s of the messages in scope were found (%s).", percent(found, inScope), strings.Join(lack, ", "))
	case d.Verdict == mailproof.Inconclusive || c.DestinationUnreadable+c.DestinationNotChecked > 0:
		return fmt.Sprintf("Of the messages that the inventory shows in scope, %s of %s were found.", comma(found), comma(inScope))
	default:
		return fmt.Sprintf("100 %% of the messages in scope were found (%s of %s).", comma(found), comma(inScope))
	}
}
