package report

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailproof/mailproof"
)

// The CSV export: every table of the report, one file each, after RFC 4180:
// UTF-8 without a mark, a head, comma, CRLF, quotes doubled. Times are RFC 3339
// in UTC, numbers plain digits, truth true or false.
//
// A spreadsheet takes a cell that begins with = + - @ or a tab for a formula and
// carries it out. Subjects and folder names come from strangers; so a text cell
// that begins with one of those, with one of their full-width forms, with a line
// end or with an apostrophe, gets an apostrophe before it. Whoever wants the
// exact text takes one leading apostrophe off; report.json has none. U+0000 is
// written as ⟨U+0000⟩, and what is not UTF-8 as U+FFFD.

// csvTable is one table of the export.
type csvTable struct {
	name string // without .csv
	head []string
	rows func(yield func(csvRow) bool)
}

// csvRow are the cells of a line: text is foreign or ours, the others are
// written as they are.
type csvRow []any

// csvWriter writes lines; the first error stays.
type csvWriter struct {
	w   *bufio.Writer
	err error
}

func (c *csvWriter) line(cells csvRow) {
	for i, cell := range cells {
		if i > 0 {
			c.put(",")
		}
		c.put(csvCell(cell))
	}
	c.put("\r\n")
}

func (c *csvWriter) put(s string) {
	if c.err == nil {
		_, c.err = c.w.WriteString(s)
	}
}

func csvCell(v any) string {
	switch v := v.(type) {
	case string:
		return csvText(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	case uint32:
		return strconv.FormatUint(uint64(v), 10)
	case mailproof.UID:
		return strconv.FormatUint(uint64(v), 10)
	case mailproof.PassID:
		return strconv.FormatInt(int64(v), 10)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339)
	case fmt.Stringer:
		return csvText(v.String())
	}
	return csvText(fmt.Sprint(v))
}

// csvText writes a text cell; see above for the apostrophe.
func csvText(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "⟨U+0000⟩")
	if r, _ := utf8.DecodeRuneInString(s); strings.ContainsRune("=+-@\t\r\n'＝＋－＠", r) && s != "" {
		s = "'" + s
	}
	if strings.ContainsAny(s, "\",;\t\r\n") || strings.HasPrefix(s, " ") || strings.HasSuffix(s, " ") {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

func (t csvTable) write(w io.Writer) error {
	c := &csvWriter{w: bufio.NewWriterSize(w, 64<<10)}
	head := make(csvRow, len(t.head))
	for i, h := range t.head {
		head[i] = h
	}
	c.line(head)
	for r := range t.rows {
		c.line(r)
		if c.err != nil {
			return c.err
		}
	}
	if c.err != nil {
		return c.err
	}
	return c.w.Flush()
}

// each makes the rows of a table of a list.
func each[T any](list []T, row func(T) csvRow) func(func(csvRow) bool) {
	return func(yield func(csvRow) bool) {
		for _, v := range list {
			if !yield(row(v)) {
				return
			}
		}
	}
}

// WriteCSV writes every table of the report into dir, one file each, and
// messages.csv with every message where the document has them. Existing files
// of those names are replaced, each whole or not at all. It returns their
// names.
func (d *Document) WriteCSV(dir string) (names []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("report: CSV: %w", err)
	}
	put := func(name string, write func(io.Writer) error) error {
		beside, err := writeBeside(dir, name, write)
		if err == nil {
			err = os.Rename(beside, filepath.Join(dir, name))
		}
		if err != nil {
			if beside != "" {
				_ = os.Remove(beside) // the error of writing is what counts
			}
			return fmt.Errorf("report: %s: %w", name, err)
		}
		names = append(names, name)
		return nil
	}
	for _, t := range d.csvTables() {
		if err := put(t.name+".csv", t.write); err != nil {
			return names, err
		}
	}
	if d.Messages != nil {
		if err := put("messages.csv", d.WriteMessagesCSV); err != nil {
			return names, err
		}
	}
	return names, syncDir(dir)
}

var countHead = []string{"source_messages", "destination_messages", "identical", "identical_normalised", "equivalent", "equivalent_with_notes", "equivalent_text", "relocated", "altered",
	"missing", "duplicate_collapsed", "excluded", "unverifiable", "not_checked", "extra", "duplicate_surplus", "destination_unreadable", "destination_not_checked", "destination_paired", "destination_excluded"}

func countRow(c mailproof.Counts) csvRow {
	return csvRow{c.SourceMessages, c.DestinationMessages, c.Identical, c.IdenticalNormalised, c.Equivalent, c.EquivalentWithNotes, c.EquivalentText, c.Relocated, c.Altered,
		c.Missing, c.DuplicateCollapsed, c.Excluded, c.Unverifiable, c.NotChecked, c.Extra, c.DuplicateSurplus, c.DestinationUnreadable, c.DestinationNotChecked, c.DestinationPairedHere, c.DestinationExcluded}
}

// csvTables are the tables of the export but for the list of messages.
func (d *Document) csvTables() []csvTable {
	return []csvTable{
		d.ledgerCSV(), d.accountsCSV(), d.foldersCSV(), d.exceptionsCSV(), d.findingsCSV("findings", d.Findings), d.findingsCSV("dns", d.DNS), d.observationsCSV(), d.safeTimesCSV(),
		d.passesCSV(), d.runbookCSV(), d.readinessCSV(), d.serversCSV(), d.exclusionsCSV(), d.sizesCSV(), d.rootsCSV(),
	}
}

// ledgerCSV is the equation: each term with its line.
func (d *Document) ledgerCSV() csvTable {
	c := d.Totals
	terms := []struct {
		line, term string
		n          int64
	}{
		{"source", "total", c.SourceMessages}, {"source", "identical", c.Identical}, {"source", "identical_normalised", c.IdenticalNormalised}, {"source", "equivalent", c.Equivalent},
		{"source", "equivalent_with_notes", c.EquivalentWithNotes}, {"source", "equivalent_text", c.EquivalentText}, {"source", "relocated", c.Relocated}, {"source", "altered", c.Altered},
		{"source", "missing", c.Missing}, {"source", "duplicate_collapsed", c.DuplicateCollapsed}, {"source", "excluded", c.Excluded}, {"source", "unreadable", c.Unverifiable},
		{"source", "not_checked", c.NotChecked},
		{"destination", "total", c.DestinationMessages}, {"destination", "paired", c.DestinationPairedHere}, {"destination", "extra", c.Extra},
		{"destination", "duplicate_surplus", c.DuplicateSurplus}, {"destination", "unreadable", c.DestinationUnreadable}, {"destination", "not_checked", c.DestinationNotChecked},
		{"destination", "excluded", c.DestinationExcluded},
	}
	return csvTable{"ledger", []string{"line", "term", "messages"}, func(yield func(csvRow) bool) {
		for _, t := range terms {
			if !yield(csvRow{t.line, t.term, t.n}) {
				return
			}
		}
	}}
}

func (d *Document) accountsCSV() csvTable {
	head := append(append([]string{"account", "verdict", "balanced"}, countHead...), "flags_differ", "dates_differ", "signatures_changed", "source_octets", "destination_octets", "source_error", "destination_error")
	return csvTable{"accounts", head, each(d.Accounts, func(a mailproof.AccountResult) csvRow {
		r := append(csvRow{a.Account, a.Verdict, a.Counts.Balanced()}, countRow(a.Counts)...)
		return append(r, a.FlagsDiffer, a.DatesDiffer, a.SignaturesChanged, a.SourceBytes, a.DestinationBytes, a.SourceScan.Error, a.DestinationScan.Error)
	})}
}

func (d *Document) foldersCSV() csvTable {
	state := func(side string) []string {
		var out []string
		for _, when := range []string{"before", "after"} {
			for _, what := range []string{"uidvalidity", "uidnext", "exists", "highestmodseq"} {
				out = append(out, side+"_"+what+"_"+when)
			}
		}
		return append(out, side+"_read_to_end", side+"_drifted", side+"_excluded", side+"_error")
	}
	head := append(append([]string{"account", "source_folder", "destination_folder"}, countHead...), "flags_differ", "dates_differ")
	head = append(append(head, state("source")...), state("destination")...)
	scan := func(name string, s mailproof.MailboxScan) csvRow {
		if name == "" {
			return csvRow{"", "", "", "", "", "", "", "", "", "", "", ""}
		}
		var r csvRow
		for _, m := range []mailproof.MailboxState{s.Before, s.After} {
			r = append(r, m.UIDValidity, m.UIDNext, m.Exists, int64(m.HighestModSeq))
		}
		return append(r, s.Complete, s.Drifted, s.Excluded, s.Error)
	}
	return csvTable{"folders", head, func(yield func(csvRow) bool) {
		for _, a := range d.Accounts {
			for _, f := range a.Folders {
				r := append(append(csvRow{a.Account, f.Source, f.Destination}, countRow(f.Counts)...), f.FlagsDiffer, f.DatesDiffer)
				if !yield(append(append(r, scan(f.Source, f.SourceScan)...), scan(f.Destination, f.DestinationScan)...)) {
					return
				}
			}
		}
	}}
}

func (d *Document) exceptionsCSV() csvTable {
	head := []string{"id", "account", "side", "folder", "uidvalidity", "uid", "message_id", "subject", "size", "verdict", "tier", "reasons", "disposition", "decided_by", "decided_why", "decided_when",
		"counterpart_folder", "counterpart_uidvalidity", "counterpart_uid"}
	return csvTable{"exceptions", head, each(d.Exceptions, func(e mailproof.Exception) csvRow {
		dec := d.Decisions[e.ID]
		side, tier := "", ""
		if e.Key.Side != 0 {
			side = e.Key.Side.String()
		}
		if e.Tier != mailproof.TierNone {
			tier = e.Tier.String()
		}
		var validity, uid any = "", ""
		if e.Counterpart.UID != 0 {
			validity, uid = e.Counterpart.UIDValidity, e.Counterpart.UID
		}
		return csvRow{e.ID, e.Account, side, e.Mailbox, e.Key.UIDValidity, e.Key.UID, e.MessageID, e.Subject, e.Size, e.Verdict, tier, oneLineReasons(e.Reasons), e.Disposition,
			dec.By, dec.Why, dec.When, e.Counterpart.Mailbox, validity, uid}
	})}
}

func (d *Document) findingsCSV(name string, list []mailproof.Finding) csvTable {
	return csvTable{name, []string{"check", "outcome", "phase", "account", "folder", "domain", "expected", "observed", "remedy", "reference", "time"}, each(list, func(f mailproof.Finding) csvRow {
		phase := ""
		if f.Phase != mailproof.PhaseNone {
			phase = f.Phase.String()
		}
		return csvRow{f.Check, f.Outcome, phase, f.Account, f.Mailbox, f.Domain, f.Expected, f.Observed, f.Remedy, f.Reference, f.Time}
	})}
}

func (d *Document) observationsCSV() csvTable {
	return csvTable{"dns_observations", []string{"time", "domain", "question", "type", "server", "role", "rcode", "authoritative", "authenticated", "min_ttl", "max_ttl", "records", "error"},
		each(d.Observations, func(o mailproof.Observation) csvRow {
			return csvRow{o.Time, o.Domain, o.Question, o.Type, o.Server, o.Role, o.RCode, o.AA, o.AD, int64(o.MinTTL), int64(o.MaxTTL), strings.Join(o.Records, "\n"), o.Error}
		})}
}

func (d *Document) safeTimesCSV() csvTable {
	return csvTable{"dns_safe_times", []string{"domain", "name", "type", "changed", "safe_from", "why_not_known"}, each(d.SafeTimes, func(s SafeTime) csvRow {
		return csvRow{s.Domain, s.Name, s.Type, s.Flipped, s.At, s.Why}
	})}
}

func (d *Document) passesCSV() csvTable {
	return csvTable{"passes", []string{"id", "kind", "side", "depth", "state", "started", "finished", "messages", "octets", "error"}, each(d.Passes, func(p mailproof.Pass) csvRow {
		side := ""
		if p.Side != 0 {
			side = p.Side.String()
		}
		return csvRow{p.ID, p.Kind, side, p.Depth, p.State, p.Started, p.Finished, p.Messages, p.Bytes, p.Error}
	})}
}

func (d *Document) runbookCSV() csvTable {
	return csvTable{"runbook", []string{"id", "phase", "title", "owner", "evidence", "state", "basis", "by", "when", "note"}, each(d.Runbook, func(s mailproof.RunbookStep) csvRow {
		return csvRow{s.ID, s.Phase, s.Title, s.Owner, s.Evidence, s.State, s.Basis, s.By, s.When, s.Note}
	})}
}

func (d *Document) readinessCSV() csvTable {
	var list []ReadinessAccount
	if d.Readiness != nil {
		list = d.Readiness.Accounts
	}
	return csvTable{"readiness", []string{"account", "folders", "messages", "octets", "ready", "result"}, each(list, func(a ReadinessAccount) csvRow {
		return csvRow{a.Account, a.Folders, a.Messages, a.Octets, a.Ready, a.Result}
	})}
}

func (d *Document) serversCSV() csvTable {
	type entry struct {
		side string
		s    mailproof.ServerInfo
	}
	var list []entry
	for _, s := range d.SourceServers {
		list = append(list, entry{"source", s})
	}
	for _, s := range d.DestinationServers {
		list = append(list, entry{"destination", s})
	}
	return csvTable{"servers", []string{"side", "address", "peer", "id", "greeting", "capabilities", "tls", "certificate_verified", "certificate_until", "mechanism", "append_limit"},
		each(list, func(e entry) csvRow {
			return csvRow{e.side, e.s.Address, e.s.Peer, e.s.ID, e.s.Greeting, strings.Join(e.s.Capabilities, " "), e.s.TLS, e.s.CertVerified, e.s.CertNotAfter, e.s.Mechanism, e.s.AppendLimit}
		})}
}

func (d *Document) exclusionsCSV() csvTable {
	return csvTable{"exclusions", []string{"rule", "messages", "accounts"}, each(d.Exclusions, func(e Exclusion) csvRow { return csvRow{e.Rule, e.Messages, e.Accounts} })}
}

func (d *Document) sizesCSV() csvTable {
	return csvTable{"sizes", []string{"below_octets", "source", "destination"}, each(d.Histogram.json(), func(c JSONSizeClass) csvRow {
		var below any = ""
		if c.Below != nil {
			below = *c.Below
		}
		return csvRow{below, c.Source, c.Destination}
	})}
}

func (d *Document) rootsCSV() csvTable {
	return csvTable{"roots", []string{"tree", "size", "root"}, each(d.Evidence.Roots, func(r Root) csvRow { return csvRow{r.Tree, r.Size, r.Hash} })}
}
