package report

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/report/chart"
)

// comma writes a number with commas and a true minus.
func comma(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "−", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// percent writes part of whole, rounded down to three decimals, so that
// nothing short of the whole ever reads as the whole.
func (d *Document) percent(part, whole int64) string {
	if whole <= 0 || part < 0 || part > whole {
		return d.t("no share")
	}
	if part == whole {
		return "100 %"
	}
	q := new(big.Int).Mul(big.NewInt(part), big.NewInt(100_000))
	q.Quo(q, big.NewInt(whole))
	thousandths := q.Int64()
	return fmt.Sprintf("%d.%03d %%", thousandths/1000, thousandths%1000)
}

// octets writes a size, exact and then readable.
func (d *Document) octets(n int64) string {
	const unit = 1000
	switch {
	case n < unit:
		return d.count(n, "octet")
	case n < unit*unit:
		return fmt.Sprintf("%.2f kB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.2f MB", float64(n)/(unit*unit))
	default:
		return fmt.Sprintf("%.2f GB", float64(n)/(unit*unit*unit))
	}
}

// classLabel writes a class limit of the histogram, a power of two.
func (d *Document) classLabel(limit int64, first bool) string {
	switch {
	case limit == 1<<20:
		return "1 MB"
	case limit > 1<<20 && limit%(1<<20) == 0:
		if limit == 32<<20 {
			return "32 MB"
		}
		return strconv.FormatInt(limit>>20, 10)
	case limit%(1<<10) == 0 && first:
		return strconv.FormatInt(limit>>10, 10) + " kB"
	case limit%(1<<10) == 0:
		return strconv.FormatInt(limit>>10, 10)
	default:
		return comma(limit)
	}
}

// between writes a window without saying the day twice.
func (d *Document) between(w Window) string {
	from, to := d.ends(w)
	return d.t("%s and %s UTC", from, to)
}

// span is a window from its beginning to its end, which has a name.
func (d *Document) span(w Window, end string) string {
	from, to := d.ends(w)
	return d.t("%s to %s %s UTC", from, end, to)
}

func (d *Document) ends(w Window) (from, to string) {
	const full = "2 Jan 2006 15:04:05"
	layout := "15:04:05"
	if w.From.UTC().Format(time.DateOnly) != w.To.UTC().Format(time.DateOnly) {
		layout = full
	}
	return d.date(w.From, full), d.date(w.To, layout)
}

// betweenAfter is between, without the day where the window before began and
// ended on the same one.
func (d *Document) betweenAfter(w, before Window) string {
	day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	if that := day(before.From); that != day(before.To) || that != day(w.From) || that != day(w.To) {
		return d.between(w)
	}
	return d.t("%s and %s UTC", w.From.UTC().Format("15:04:05"), w.To.UTC().Format("15:04:05"))
}

// list joins words: "a", "a and b", "a, b and c".
func (d *Document) list(words []string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	return d.t("%s and %s", strings.Join(words[:len(words)-1], d.t(", ")), words[len(words)-1])
}

// cut shortens a foreign text to at most n runes, and says so with an ellipsis.
func cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := 0
	for i := range s {
		if runes == n-1 {
			return s[:i] + "…"
		}
		runes++
	}
	return s
}

// cutMiddle shortens a name to at most n runes, in its middle: how an address or
// the path of a folder begins and how it ends says more than what is between.
// No accent is parted from its letter.
func cutMiddle(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	if n < 3 {
		return cut(s, n)
	}
	joined := func(r rune) bool { return unicode.Is(unicode.M, r) || r == '\u200d' || r == '\u200c' }
	head, tail := n-1-(n-1)/2, len(runes)-(n-1)/2
	for tail < len(runes) && joined(runes[tail]) {
		tail++
	}
	for head > 0 && joined(runes[head]) {
		head-- // its letter stays behind with it
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}

// oneLine puts the lines of a text of ours behind one another.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	r, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(string(r)) + s[n:]
}

// or returns the first text that is not empty.
func or(texts ...string) string {
	for _, t := range texts {
		if strings.TrimSpace(t) != "" {
			return t
		}
	}
	return ""
}

// verdictMark is the sign of a verdict. Inconclusive is the default here too.
func verdictMark(v mailproof.Verdict) chart.Mark {
	switch v {
	case mailproof.Complete:
		return chart.MarkComplete
	case mailproof.CompleteWithAcceptedExceptions:
		return chart.MarkAccepted
	case mailproof.Incomplete:
		return chart.MarkIncomplete
	}
	return chart.MarkInconclusive
}

// headline is the verdict as it is set. A verdict keeps its English name in
// every language, as report.json and the exit code have it; gloss stands beside
// it where the report is not English.
func (d *Document) headline() []string {
	return verdictLines(d.Verdict)
}

func (d *Document) gloss() string {
	if d.lex == nil {
		return ""
	}
	return d.t(strings.ToLower(d.Verdict.String()))
}

// verdictLines breaks the headline as it is set.
func verdictLines(v mailproof.Verdict) []string {
	if v == mailproof.CompleteWithAcceptedExceptions {
		return []string{"COMPLETE", "WITH ACCEPTED EXCEPTIONS"}
	}
	return []string{v.String()}
}

var messageMarks = map[mailproof.MessageVerdict]chart.Mark{
	mailproof.Identical: chart.MarkIdentical, mailproof.IdenticalNormalised: chart.MarkIdentical,
	mailproof.Equivalent: chart.MarkEquivalent, mailproof.EquivalentWithNotes: chart.MarkEquivalent, mailproof.EquivalentText: chart.MarkEquivalent,
	mailproof.Relocated: chart.MarkRelocated, mailproof.Altered: chart.MarkAltered, mailproof.Missing: chart.MarkMissing,
	mailproof.DuplicateCollapsed: chart.MarkCollapsed, mailproof.Excluded: chart.MarkExcluded, mailproof.NotChecked: chart.MarkUnchecked,
	mailproof.Unverifiable: chart.MarkUnread, mailproof.Extra: chart.MarkExcluded, mailproof.DuplicateSurplus: chart.MarkCollapsed,
}

// verdictWords are the verdicts as people read them.
var verdictWords = map[mailproof.MessageVerdict]string{
	mailproof.Identical: "identical", mailproof.IdenticalNormalised: "identical, normalised", mailproof.Equivalent: "equivalent",
	mailproof.EquivalentWithNotes: "equivalent, with notes", mailproof.EquivalentText: "equivalent text", mailproof.Relocated: "relocated",
	mailproof.Altered: "altered", mailproof.Missing: "missing", mailproof.DuplicateCollapsed: "collapsed duplicate",
	mailproof.Extra: "pre-existing or extra", mailproof.DuplicateSurplus: "surplus duplicate", mailproof.Excluded: "excluded by rule",
	mailproof.NotChecked: "not checked", mailproof.Unverifiable: "unreadable",
}

// verdictForms are the forms of a number of messages of a verdict.
func verdictForms(v mailproof.MessageVerdict) string {
	one := "%s " + verdictWords[v]
	if v == mailproof.DuplicateCollapsed || v == mailproof.DuplicateSurplus {
		return one + "|" + one + "s"
	}
	return one + "|" + one
}

// verdictOf are the forms of a number of accounts of a verdict.
func verdictOf(v mailproof.Verdict) string {
	one := "%s " + strings.ToLower(v.String())
	return one + "|" + one
}

func dispositionMark(d mailproof.Disposition) chart.Mark {
	switch d {
	case mailproof.Accepted:
		return chart.MarkAcceptedByName
	case mailproof.Fixed:
		return chart.MarkFixed
	case mailproof.Waived:
		return chart.MarkWaived
	case mailproof.Noted:
		return chart.MarkInfo
	}
	return chart.MarkOpen
}

func outcomeMark(o mailproof.Outcome) chart.Mark {
	switch o {
	case mailproof.OutcomePass:
		return chart.MarkPass
	case mailproof.OutcomeWarn:
		return chart.MarkWarn
	case mailproof.OutcomeFail:
		return chart.MarkFail
	case mailproof.OutcomeInfo:
		return chart.MarkInfo
	case mailproof.OutcomeAccepted:
		return chart.MarkAcceptedByName
	}
	return chart.MarkUnknown
}
