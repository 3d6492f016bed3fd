package report

import (
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
	return d.count(d.Totals.SourceMessages, "source message")
}

// kinds names the kinds of arrival that occur, for "found: 10 identical, 2
// equivalent".
func (d *Document) kinds() string {
	c := d.Totals
	var parts []string
	for _, p := range []struct {
		n    int64
		text string
	}{
		{c.AllIdentical(), d.form(c.AllIdentical(), "%s identical|%s identical")}, {c.AllEquivalent(), d.form(c.AllEquivalent(), "%s equivalent|%s equivalent")},
		{c.Relocated, d.form(c.Relocated, "%s equal in another folder|%s equal in another folder")},
	} {
		if p.n > 0 {
			parts = append(parts, p.text)
		}
	}
	return d.list(parts)
}

func (d *Document) leadComplete() string {
	c := d.Totals
	inScope := c.SourceMessages - c.Excluded
	// The verdict is given; should the counts ever say otherwise, the counts
	// are what is printed.
	if n, what := d.troubles(); n > 0 {
		return join(d.t("Of %s, %s did not arrive intact: %s.", d.messages(), comma(n), what), d.collapsed(), d.excluded())
	}
	switch {
	case c.SourceMessages == 0:
		return join(d.t("The source inventory holds no message."), d.warned())
	case inScope == 0:
		return join(d.form(c.SourceMessages, "All %s source message was left out by rule; none was in scope.|All %s source messages were left out by rule; none was in scope."), d.warned())
	case c.Excluded == 0 && inScope == 1:
		return join(d.t("The one source message was found on the new server: ")+or(d.kinds(), d.t("as a collapsed duplicate"))+d.t("."), d.collapsed(), d.warned())
	}
	kinds := or(d.kinds(), d.t("as collapsed duplicates"))
	head := d.t("All %s were found on the new server: ", d.messages())
	if c.Excluded > 0 {
		head = d.t("All %s in scope were found on the new server: ", d.count(inScope, "message"))
	}
	if c.DuplicateCollapsed > 0 {
		head = d.t("The content of all %s in scope was found on the new server: ", d.count(inScope, "message"))
	}
	return join(head+kinds+d.t("."), d.collapsed(), d.excluded(), d.warned())
}

func (d *Document) collapsed() string {
	n := d.Totals.DuplicateCollapsed
	if n == 0 {
		return ""
	}
	return d.form(n, "%s further copy of a message present elsewhere in the mailbox was not carried over.|%s further copies of a message present elsewhere in the mailbox were not carried over.")
}

func (d *Document) excluded() string {
	n := d.Totals.Excluded
	if n == 0 {
		return ""
	}
	return d.form(n, "%s message was left out by rule.|%s messages were left out by rule.")
}

// warned mentions checks that warn; they do not change the verdict, but the
// reader of one page must not miss them.
func (d *Document) warned() string {
	n := d.outcomes(mailproof.OutcomeWarn)
	if n == 0 {
		return ""
	}
	return d.form(n, "%s check gives a warning (section 10).|%s checks give a warning (section 10).")
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
		parts = append(parts, d.form(c.Altered, "%s was altered|%s were altered"))
	}
	if c.Missing > 0 {
		parts = append(parts, d.form(c.Missing, "%s is missing|%s are missing"))
	}
	if c.Unverifiable > 0 {
		parts = append(parts, d.form(c.Unverifiable, "%s could not be told|%s could not be told"))
	}
	if c.NotChecked > 0 {
		parts = append(parts, d.form(c.NotChecked, "%s was not checked|%s were not checked"))
	}
	return c.Altered + c.Missing + c.Unverifiable + c.NotChecked, d.list(parts)
}

func (d *Document) leadAccepted() string {
	n, what := d.troubles()
	accepted := d.outcomes(mailproof.OutcomeAccepted)
	var head string
	switch {
	case n == 0:
		head = d.t("All %s in scope were found on the new server.", d.count(d.Totals.SourceMessages-d.Totals.Excluded, "message"))
	default:
		head = d.t("Of %s, %s did not arrive intact: %s.", d.messages(), comma(n), what)
		if d.openCount() == 0 && len(d.listed()) > 0 {
			head += d.t(" Each exception was decided by name; none is open.")
		}
	}
	checks := ""
	if accepted > 0 {
		checks = d.form(accepted, "%s check failed and was accepted by name (section 10).|%s checks failed and were accepted by name (section 10).")
	}
	return join(head, checks, d.collapsed(), d.excluded())
}

func (d *Document) leadIncomplete() string {
	c := d.Totals
	var parts []string
	switch {
	case c.Missing > 0:
		parts = append(parts, d.form(c.Missing, "%s of %s is missing: no counterpart was found on the new server.|%s of %s are missing: no counterpart was found on the new server.", d.messages()))
		if c.Altered > 0 {
			parts = append(parts, d.form(c.Altered, "%s more arrived altered.|%s more arrived altered."))
		}
	case c.Altered > 0:
		parts = append(parts, d.form(c.Altered, "%s of %s arrived altered; none is missing.|%s of %s arrived altered; none is missing.", d.messages()))
	case c.DuplicateCollapsed > 0 && d.openOf(mailproof.DuplicateCollapsed) > 0:
		parts = append(parts, d.t("Of %s, %s: the content is there, in fewer copies than on the source.", d.messages(), d.count(c.DuplicateCollapsed, "copy is missing", "copies are missing")))
	case c.Unverifiable == 0 && c.NotChecked == 0:
		parts = append(parts, d.t("Every message in scope was found on the new server, but not every check passed."))
	}
	if c.Unverifiable > 0 {
		parts = append(parts, d.t("Nothing can be said of %s that could not be read or whose counterpart may be among the unread.", d.count(c.Unverifiable, "message")))
	}
	if n := d.openCount(); n > 0 {
		parts = append(parts, d.form(n, "%s exception awaits a decision.|%s exceptions await a decision."))
	}
	if n := d.outcomes(mailproof.OutcomeFail); n > 0 {
		parts = append(parts, d.form(n, "%s check of the domain's DNS failed.|%s checks of the domain's DNS failed."))
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
		why = append(why, d.form(n, "%s of %s could not be read to the end|%s of %s could not be read to the end", d.count(int64(d.listedAccounts()), "account")))
	}
	if c.Unverifiable > 0 {
		why = append(why, d.t("nothing can be said of %s of %s", comma(c.Unverifiable), d.messages()))
	}
	if c.DestinationUnreadable > 0 {
		why = append(why, d.form(c.DestinationUnreadable, "%s message on the destination could not be read|%s messages on the destination could not be read"))
	}
	if unreadFolders > 0 {
		why = append(why, d.form(int64(unreadFolders), "%s source folder could not be read to the end|%s source folders could not be read to the end"))
	}
	if drifted > 0 {
		why = append(why, d.form(int64(drifted), "%s folder changed while being read|%s folders changed while being read"))
	}
	if n := c.NotChecked; n > 0 || c.DestinationNotChecked > 0 {
		what := d.count(n, "source message")
		if n == 0 {
			what = d.count(c.DestinationNotChecked, "destination message")
		}
		why = append(why, d.t("the content of %s was not compared, as the depth was %s", what, or(depthName(d.Depth), d.t("not recorded"))))
	}
	if !d.Balanced() {
		why = append(why, d.t("the ledger does not balance"))
	}
	if n := d.outcomes(mailproof.OutcomeUnknown); n > 0 {
		why = append(why, d.form(n, "%s check of the domain's DNS had no answer|%s checks of the domain's DNS had no answer"))
	}
	if len(why) == 0 {
		why = d.unknowns()
	}
	tail := d.t("What could be read shows nothing missing; that says nothing about the rest.")
	if c.Altered > 0 {
		tail = d.form(c.Altered, "%s message arrived altered; nothing that could be compared is missing.|%s messages arrived altered; nothing that could be compared is missing.")
	}
	if c.Missing > 0 {
		tail = d.form(c.Missing, "Of what could be compared, %s message is missing.|Of what could be compared, %s messages are missing.")
	}
	if c.SourceMessages == 0 {
		tail = d.t("The source inventory holds no message.")
	}
	return join(d.t("No conclusion can be drawn: ")+strings.Join(why, d.t("; "))+d.t("."), tail)
}

// unknowns says in the findings' own words what could not be told.
func (d *Document) unknowns() []string {
	var out []string
	for _, f := range d.Findings {
		if f.Outcome == mailproof.OutcomeUnknown && f.Observed != "" && len(out) < 2 {
			out = append(out, cut(strings.Trim(or(f.Account, d.domain(f.Domain))+", "+oneLine(f.Observed), ", "), 140))
		}
	}
	if len(out) == 0 {
		out = append(out, d.t("the comparison lacks a complete inventory of both sides"))
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
		return d.t("No complete pair of inventories was recorded; nothing is stated about messages.")
	}
	var of []string
	if c.Excluded > 0 {
		of = append(of, d.form(c.Excluded, "%s is excluded by rule|%s are excluded by rule"))
	}
	if c.Unverifiable > 0 {
		of = append(of, d.t("nothing can be said of %s", comma(c.Unverifiable)))
	}
	if c.NotChecked > 0 {
		of = append(of, d.form(c.NotChecked, "%s was not checked|%s were not checked"))
	}
	n := "n = " + comma(c.SourceMessages)
	if len(of) > 0 {
		n = d.t("%s, of which %s", n, d.list(of))
	}
	what := d.t("Every message")
	if c.Unverifiable+c.NotChecked > 0 {
		what = d.t("Every message that could be compared, of those")
	}
	return d.t("%s present in the source inventory taken between %s (%s) was found in the destination inventory taken between %s, at the tier shown%s.",
		what, d.between(d.SourceWindow), n, d.betweenAfter(d.DestinationWindow, d.SourceWindow), d.except())
}

// except names what the sentence of scope does not hold for.
func (d *Document) except() string {
	c := d.Totals
	lost := c.Altered + c.Missing
	switch {
	case lost == 0 && c.DuplicateCollapsed == 0:
		return ""
	case lost == 0:
		return d.t(", except %s", d.count(c.DuplicateCollapsed, "collapsed duplicate"))
	}
	text := d.form(lost, ", except the %s message listed in section 8|, except the %s messages listed in section 8")
	if c.DuplicateCollapsed > 0 {
		text += d.t(" and %s", d.count(c.DuplicateCollapsed, "collapsed duplicate"))
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
		lack = append(lack, d.form(c.Missing, "%s of %s missing|%s of %s missing", comma(inScope)))
	}
	if unread > 0 {
		lack = append(lack, d.form(unread, "%s of %s not told|%s of %s not told", comma(inScope)))
	}
	if c.DuplicateCollapsed > 0 {
		found -= c.DuplicateCollapsed
		lack = append(lack, d.form(c.DuplicateCollapsed, "%s of %s collapsed duplicates|%s of %s collapsed duplicates", comma(inScope)))
	}
	switch {
	case len(lack) > 0:
		return d.t("%s of the messages in scope were found (%s).", d.percent(found, inScope), strings.Join(lack, ", "))
	case d.Verdict == mailproof.Inconclusive || c.DestinationUnreadable+c.DestinationNotChecked > 0:
		return d.t("Of the messages that the inventory shows in scope, %s of %s were found.", comma(found), comma(inScope))
	default:
		return d.t("100 %% of the messages in scope were found (%s of %s).", comma(found), comma(inScope))
	}
}
