package report

import (
	"slices"
	"time"

	"github.com/mailproof/mailproof"
)

// Document is everything that a report says. Its maker fills it from the
// ledger; nothing in it is about looks. Times are UTC, sizes octets. Every
// list may be empty and every text may be: a report then says so, and does not
// invent.
type Document struct {
	Engagement Engagement
	// Issue numbers the reports of an engagement from 1; 0 is not printed.
	Issue     int
	Generated time.Time
	Tool      string // "mailproof 0.1.0"
	Command   string // the command line, which holds no secret
	Depth     mailproof.Depth
	// Sample is what a sample says of all messages; nil where there was none.
	Sample *Sample
	// Previews is what the listings of each account show; empty where none was
	// read at the depth of a preview.
	Previews []mailproof.Preview

	// DomainNames are internationalised domains as people write them, by the
	// form that DNS holds: "xn--bcher-kva.example" is "bücher.example". Those
	// that are not in it are shown as they are.
	DomainNames map[string]string

	// Verdict is what mailproof.Roll made of Findings.
	Verdict mailproof.Verdict
	// Findings are all of them: of every account's comparison and of DNS.
	Findings []mailproof.Finding

	// Totals are the counts of all accounts together.
	Totals   mailproof.Counts
	Accounts []mailproof.AccountResult
	// AccountsListed is the number of accounts that the engagement names; 0
	// where that is the number of Accounts. What is listed and not in Accounts
	// was not compared, and the report says how many those are.
	AccountsListed int

	Passes []mailproof.Pass // in the order in which they began
	// The windows span the inventory passes that the comparison rests on.
	SourceWindow, DestinationWindow   Window
	SourceServers, DestinationServers []mailproof.ServerInfo

	// History tells what each pass found changed, in the order of Passes; empty
	// where the ledger was not asked.
	History []PassChange

	// Exceptions are all message verdicts that are listed, in the order in
	// which they are to be read. Those with the disposition Noted (relocated
	// messages, surplus copies) stand in section 9, the others in section 8.
	Exceptions []mailproof.Exception
	// ExceptionsOmitted counts those that were left off the list for its
	// length. They are in the counts.
	ExceptionsOmitted int64
	// Decisions tells who decided on an exception, when and why, by its ID.
	Decisions map[string]Decision

	// DNS are the findings of the DNS audit, and Observations the exchanges
	// with name servers that they rest on. Those of them that take part in the
	// verdict are among Findings too. Profile names what the records were held
	// against.
	DNS          []mailproof.Finding
	Observations []mailproof.Observation
	Profile      string
	// SafeTimes tell from when on no cache can hold an old answer.
	SafeTimes []SafeTime
	// CutOver is when mail went to the new server; zero: not known, or not yet.
	CutOver time.Time
	// Unconfirmed are the domains of the engagement that no audit of DNS looked
	// at after the cut-over, as DNS holds them. That holds back no verdict, and
	// the report says so: on page one once the cut-over was.
	Unconfirmed []string

	Histogram  Histogram
	Exclusions []Exclusion
	Deletions  []Deletion // on the destination, of all runs; empty where nothing was
	Steps      StepSummary
	Evidence   Evidence

	// Runbook is the checklist of section 6, in its order; empty where the
	// engagement keeps none.
	Runbook []mailproof.RunbookStep
	// Readiness is the latest readiness check; nil where none was recorded.
	Readiness *Readiness
	// Messages yields every single message, for the list of the HTML page and
	// the CSV export; nil where they are not at hand.
	Messages Messages
	// Brand is how the report is dressed; its zero value is mailproof's own
	// dress.
	Brand Brand

	lex    lexicon     // of Brand.Language; set while a report is written
	shared *sharedList // set while the files are written, where two of them have the list
}

// Readiness is what a readiness check found, account by account.
type Readiness struct {
	Taken    time.Time          `json:"taken"`
	Ready    bool               `json:"ready"`
	Accounts []ReadinessAccount `json:"accounts"`
	// Findings are those of servers and of DNS, and not of one account.
	Findings []mailproof.Finding `json:"-"`
	Estimate string              `json:"estimate,omitempty"` // "about 3 h 10 min at the measured 10.4 Mbit/s"
}

// ReadinessAccount is one account's row of a readiness check.
type ReadinessAccount struct {
	Account  string `json:"account"`
	Folders  int    `json:"folders"`
	Messages int64  `json:"messages"`
	Octets   int64  `json:"octets"`
	Ready    bool   `json:"ready"`
	Result   string `json:"result"` // "ready", or what stands in the way and what to do
}

// Brand dresses a report for the company that hands it over, in the language
// of its readers. It changes no number.
type Brand struct {
	Logo []byte // PNG or JPEG; empty: none
	// Accent is the colour of headings and rules as #rrggbb; empty: mailproof's
	// own. The colours of verdicts and marks never change.
	Accent string
	// Language is the BCP 47 tag of the fixed texts: en, de, fr, es or ja;
	// empty: English.
	Language string
	// Fonts are TrueType files for the PDF, beside those of PDFOptions.
	Fonts [][]byte
}

// Engagement is what the parties agreed before the work began.
type Engagement struct {
	ID   string // "NG-2026-11"
	Name string // of the project; the customer's name stands in for it
	// Customers, Providers and Reviewers are those who sign, in this order.
	Customers, Providers, Reviewers []Party
	// IntendedUsers and Purpose stand in section 2; where they are empty, the
	// report has sentences of its own.
	IntendedUsers string
	Purpose       string
	Domains       []string
}

// Party is one person who signs, for an organisation. Either may be empty: the
// line is then left to be filled in by hand.
type Party struct {
	Organisation string
	Name         string
	Role         string // "data protection lead"
}

// Window is the time that an inventory took, from the first reading to the
// last.
type Window struct{ From, To time.Time }

// IsZero reports whether no inventory was recorded.
func (w Window) IsZero() bool { return w.From.IsZero() && w.To.IsZero() }

// Span widens the window to hold the given times; zero times are left out.
func (w *Window) Span(times ...time.Time) {
	for _, t := range times {
		if t.IsZero() {
			continue
		}
		if w.From.IsZero() || t.Before(w.From) {
			w.From = t
		}
		if t.After(w.To) {
			w.To = t
		}
	}
}

// domain is a domain for people: as DNS holds it, and as they write it.
func (d *Document) domain(name string) string {
	if shown := d.DomainNames[name]; shown != "" {
		return name + " (" + shown + ")"
	}
	return name
}

// Decision is the word of a person on an exception.
type Decision struct {
	By   string
	Why  string
	When time.Time
}

// SafeTime is the moment after which no cache that keeps to the TTLs can hold a
// record's old answer.
type SafeTime struct {
	Domain  string    `json:"domain"`
	Name    string    `json:"name"`
	Type    string    `json:"type"`
	Flipped time.Time `json:"flipped,omitzero"` // first seen new on every server
	At      time.Time `json:"at,omitzero"`      // zero: not known
	Why     string    `json:"why,omitempty"`    // why it is not known
}

// Exclusion is a rule that left messages out, and what it left out.
type Exclusion struct {
	Rule     string // "folders of special use \Junk"
	Messages int64
	Accounts int
}

// StepSummary is what the copy passes report of their own work: claims of the
// destination server, never evidence.
type StepSummary struct {
	Appended int64 // messages whose append was acknowledged
	Refused  int64 // appends that the destination answered with NO
	Failed   int64 // appends that could not be carried out
	Flags    int64 // messages whose flags were set anew
	Created  int64 // folders created
}

// Any reports whether anything was copied at all.
func (s StepSummary) Any() bool { return s != StepSummary{} }

// Evidence is what the sealed bundle adds. Its zero value is a report that was
// not sealed, and it says so.
type Evidence struct {
	Bundle         string // "mp1-f2d4d80a3831ca5f"
	KeyFingerprint string // "SHA256:…"
	Roots          []Root
}

// Root is the root of one hash tree (RFC 6962 §2.1).
type Root struct {
	Tree string `json:"tree"` // "data/source.jsonl"
	Size int64  `json:"size"`
	Hash string `json:"hash"` // base64
}

// Histogram counts messages by size on both sides. Class i holds the sizes
// below Limits[i] that the class before does not; the last class is open, so
// there is one class more than there are limits.
type Histogram struct {
	Limits              []int64 // octets, ascending
	Source, Destination []int64
}

// SizeLimits are the class limits of [NewHistogram]: 2 kB, each class twice as
// wide as the one before, to 32 MB, in powers of two.
func SizeLimits() []int64 {
	limits := make([]int64, 15)
	for i := range limits {
		limits[i] = 2048 << i
	}
	return limits
}

// NewHistogram returns an empty histogram with the classes of [SizeLimits].
func NewHistogram() Histogram {
	limits := SizeLimits()
	return Histogram{Limits: limits, Source: make([]int64, len(limits)+1), Destination: make([]int64, len(limits)+1)}
}

// Add counts n messages of the given size in octets.
func (h *Histogram) Add(side mailproof.Side, octets, n int64) {
	class, found := slices.BinarySearch(h.Limits, octets)
	if found {
		class++
	}
	if side == mailproof.Source {
		h.Source[class] += n
	} else {
		h.Destination[class] += n
	}
}

// IsEmpty reports whether there is nothing to draw.
func (h Histogram) IsEmpty() bool {
	nonZero := func(n int64) bool { return n != 0 }
	return len(h.Source) != len(h.Limits)+1 || len(h.Destination) != len(h.Source) ||
		!slices.ContainsFunc(h.Source, nonZero) && !slices.ContainsFunc(h.Destination, nonZero)
}

// FromAccounts fills what follows from the comparison alone: Accounts, Totals,
// Exceptions, ExceptionsOmitted, Findings, both windows, both lists of servers
// and the exclusions by folder rule. It adds to Findings whatever dns holds,
// and sets Verdict to what Roll makes of them.
func (d *Document) FromAccounts(accounts []mailproof.AccountResult, dns []mailproof.Finding) {
	d.Accounts, d.DNS = accounts, dns
	d.Totals, d.Exceptions, d.ExceptionsOmitted, d.Findings = mailproof.Counts{}, nil, 0, nil
	d.SourceWindow, d.DestinationWindow = Window{}, Window{}
	d.SourceServers, d.DestinationServers, d.Exclusions = nil, nil, nil
	rules := map[string]*Exclusion{}
	for i := range accounts {
		a := &accounts[i]
		d.Totals.Add(a.Counts)
		d.Exceptions = append(d.Exceptions, a.Exceptions...)
		d.ExceptionsOmitted += a.ExceptionsOmitted
		d.Findings = append(d.Findings, a.Findings...)
		d.SourceWindow.Span(a.SourceScan.Started, a.SourceScan.Finished)
		d.DestinationWindow.Span(a.DestinationScan.Started, a.DestinationScan.Finished)
		d.SourceServers = addServer(d.SourceServers, a.SourceScan.Server)
		d.DestinationServers = addServer(d.DestinationServers, a.DestinationScan.Server)
		countExclusions(rules, a)
	}
	for _, rule := range sortedKeys(rules) {
		d.Exclusions = append(d.Exclusions, *rules[rule])
	}
	d.Findings = append(d.Findings, dns...)
	d.Verdict = mailproof.Roll(d.Findings)
	SortExceptions(d.Exceptions)
}

func countExclusions(rules map[string]*Exclusion, a *mailproof.AccountResult) {
	here := map[string]bool{}
	count := func(rule string, messages int64) {
		if rule == "" || messages == 0 {
			return
		}
		if rules[rule] == nil {
			rules[rule] = &Exclusion{Rule: rule}
		}
		rules[rule].Messages += messages
		if !here[rule] {
			here[rule] = true
			rules[rule].Accounts++
		}
	}
	for _, f := range a.Folders {
		count(f.SourceScan.Excluded, f.Counts.Excluded)
	}
	for rule, messages := range a.ExcludedBy {
		count(rule, messages)
	}
}

// addServer adds a server once per address and per version: accounts may live
// on many, and most live on one.
func addServer(list []mailproof.ServerInfo, s mailproof.ServerInfo) []mailproof.ServerInfo {
	if s.Address == "" {
		return list
	}
	same := func(t mailproof.ServerInfo) bool { return t.Address == s.Address && t.ID == s.ID && t.TLS == s.TLS }
	if slices.ContainsFunc(list, same) {
		return list
	}
	return append(list, s)
}

// SortExceptions puts exceptions into the order of section 8: missing first,
// then altered, unreadable, and the rest; within those by number.
func SortExceptions(list []mailproof.Exception) {
	slices.SortStableFunc(list, func(a, b mailproof.Exception) int {
		return compareAll(
			exceptionRank(a.Verdict)-exceptionRank(b.Verdict),
			len(a.ID)-len(b.ID), // E-999 stands before E-1000
			compareStrings(a.ID, b.ID),
			compareStrings(a.Account, b.Account),
			compareStrings(a.Mailbox, b.Mailbox),
			int(int64(a.Key.UID)-int64(b.Key.UID)),
		)
	})
}

func exceptionRank(v mailproof.MessageVerdict) int {
	order := []mailproof.MessageVerdict{mailproof.Missing, mailproof.Altered, mailproof.Unverifiable, mailproof.DuplicateCollapsed,
		mailproof.NotChecked, mailproof.Extra, mailproof.DuplicateSurplus, mailproof.Relocated}
	if i := slices.Index(order, v); i >= 0 {
		return i
	}
	return len(order)
}

// listed are the exceptions of section 8, and noted those of section 9.
func (d *Document) listed() []mailproof.Exception { return d.exceptionsWhere(false) }
func (d *Document) noted() []mailproof.Exception  { return d.exceptionsWhere(true) }

func (d *Document) exceptionsWhere(noted bool) []mailproof.Exception {
	n := 0
	for i := range d.Exceptions {
		if (d.Exceptions[i].Disposition == mailproof.Noted) == noted {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	out := make([]mailproof.Exception, 0, n)
	for i := range d.Exceptions {
		if (d.Exceptions[i].Disposition == mailproof.Noted) == noted {
			out = append(out, d.Exceptions[i])
		}
	}
	return out
}

// tally counts the exceptions of section 8 by disposition.
func (d *Document) tally() map[mailproof.Disposition]int64 {
	n := map[mailproof.Disposition]int64{}
	for i := range d.Exceptions {
		n[d.Exceptions[i].Disposition]++
	}
	return n
}

// folders counts the source folders, those of them that were left out by a
// rule or could not be read to the end, and those of either side that changed
// while they were read.
func (d *Document) folders() (all, excluded, unread, drifted int) {
	for _, a := range d.Accounts {
		for _, f := range a.Folders {
			if f.SourceScan.Drifted || f.DestinationScan.Drifted {
				drifted++
			}
			if f.Source == "" || f.SourceScan.NoSelect {
				continue
			}
			all++
			switch {
			case f.SourceScan.Excluded != "":
				excluded++
			case !f.SourceScan.Complete || f.SourceScan.Error != "":
				unread++
			}
		}
	}
	return all, excluded, unread, drifted
}
