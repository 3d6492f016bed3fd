package evidence

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// tally counts what the lines say, to be held against the report.
type tally struct {
	total      mailproof.Counts
	accounts   map[string]*mailproof.Counts
	folders    map[folderKey]*mailproof.Counts
	exceptions map[string]exceptionAt
}

type folderKey struct{ side, account, folder string }

type exceptionAt struct {
	line    int64
	verdict string
	tier    string // as the report writes it: none where there is none
	at      position
}

func newTally() *tally {
	return &tally{accounts: map[string]*mailproof.Counts{}, folders: map[folderKey]*mailproof.Counts{}, exceptions: map[string]exceptionAt{}}
}

// each runs f on the counts that a message of a folder belongs to.
func (t *tally) each(side, account, folder string, f func(*mailproof.Counts)) {
	f(&t.total)
	// What is kept gets names of its own: these are parts of a whole line.
	of := t.accounts[account]
	if of == nil {
		of = &mailproof.Counts{}
		t.accounts[strings.Clone(account)] = of
	}
	f(of)
	of = t.folders[folderKey{side, account, folder}]
	if of == nil {
		of = &mailproof.Counts{}
		t.folders[folderKey{side, strings.Clone(account), strings.Clone(folder)}] = of
	}
	f(of)
}

func (t *tally) source(m *messageLine, bad bool) {
	if !bad {
		t.each(treeSource, m.Account, m.Folder, func(c *mailproof.Counts) { c.SourceMessages++ })
	}
}

func (t *tally) destination(m *messageLine, bad bool) {
	if !bad {
		t.each(treeDestination, m.Account, m.Folder, func(c *mailproof.Counts) { c.DestinationMessages++ })
	}
}

// verdict counts a verdict on both sides of the equation.
func (t *tally) verdict(v *verifier, in *treeReader, l *verdictLine) {
	var mv mailproof.MessageVerdict
	if err := mv.UnmarshalText([]byte(l.Verdict)); err != nil || l.Verdict == "" {
		v.problem(CheckVerdicts, in.file, in.in.n, "%q is no verdict", cutText(l.Verdict))
		return
	}
	if want := tierOf[l.Verdict]; want != "" && l.Tier != want {
		v.problem(CheckVerdicts, in.file, in.in.n, "%s rests on tier %s, and the line says %q", l.Verdict, want, cutText(l.Tier))
	}
	if mv.Paired() != (l.Side == treeSource && l.Destination.Line != 0 && mv != mailproof.Unverifiable) {
		v.problem(CheckVerdicts, in.file, in.in.n, "%s goes with a counterpart, or without, and here it is the other way", l.Verdict)
	}
	if l.Side == treeSource {
		t.each(treeSource, l.Account, l.Folder, func(c *mailproof.Counts) { c.Count(mv) })
	}
	t.verdictDestination(mv, l)
	if l.Exception == "" {
		return
	}
	if _, twice := t.exceptions[l.Exception]; twice {
		v.problem(CheckVerdicts, in.file, in.in.n, "the number %s stands at another message too", cutText(l.Exception))
	}
	at := position{strings.Clone(l.Account), strings.Clone(l.Folder), l.UIDValidity, l.UID}
	t.exceptions[strings.Clone(l.Exception)] = exceptionAt{in.in.n, mv.String(), or(strings.Clone(l.Tier), mailproof.TierNone.String()), at}
}

func (t *tally) verdictDestination(mv mailproof.MessageVerdict, l *verdictLine) {
	count := func(folder string, f func(*mailproof.Counts)) { t.each(treeDestination, l.Account, folder, f) }
	switch {
	case l.Side == treeSource && l.Destination.Line == 0:
	case l.Side == treeSource && mv.Paired():
		count(l.ToFolder, func(c *mailproof.Counts) { c.CountPaired() })
	case l.Side == treeSource, mv == mailproof.Unverifiable:
		folder := l.Folder
		if l.Side == treeSource {
			folder = l.ToFolder
		}
		count(folder, func(c *mailproof.Counts) { c.DestinationUnreadable++ })
	case mv == mailproof.Extra, mv == mailproof.DuplicateSurplus:
		count(l.Folder, func(c *mailproof.Counts) { c.Count(mv) })
	case mv == mailproof.Excluded:
		count(l.Folder, func(c *mailproof.Counts) { c.DestinationExcluded++ })
	default:
		count(l.Folder, func(c *mailproof.Counts) { c.DestinationNotChecked++ })
	}
}

// sourceTerms and destinationTerms are the halves of an equation.
func sourceTerms(c mailproof.Counts) mailproof.Counts {
	c.Extra, c.DuplicateSurplus, c.DestinationUnreadable, c.DestinationNotChecked, c.DestinationPairedHere, c.DestinationMessages = 0, 0, 0, 0, 0, 0
	c.DestinationExcluded = 0
	return c
}

func destinationTerms(c mailproof.Counts) mailproof.Counts {
	return mailproof.Counts{Extra: c.Extra, DuplicateSurplus: c.DuplicateSurplus, DestinationUnreadable: c.DestinationUnreadable,
		DestinationNotChecked: c.DestinationNotChecked, DestinationExcluded: c.DestinationExcluded, DestinationPairedHere: c.DestinationPairedHere, DestinationMessages: c.DestinationMessages}
}

// reportJSON is what a verification reads of report.json, schema
// mailproof/report/1.
type reportJSON struct {
	Schema   string            `json:"schema"`
	Verdict  mailproof.Verdict `json:"verdict"`
	ExitCode int               `json:"exit_code"`
	Ledger   struct {
		Balanced    bool  `json:"balanced"`
		Source      int64 `json:"source"`
		Destination int64 `json:"destination"`
	} `json:"ledger"`
	Totals   mailproof.Counts `json:"totals"`
	Accounts []struct {
		Name    string           `json:"name"`
		Counts  mailproof.Counts `json:"counts"`
		Folders []reportFolder   `json:"folders"`
	} `json:"accounts"`
	Exceptions        []reportException       `json:"exceptions"`
	ExceptionsOmitted int64                   `json:"exceptions_omitted"`
	Findings          []reportFinding         `json:"findings"`
	DNS               []reportFinding         `json:"dns"`
	Observations      []mailproof.Observation `json:"observations"`
	Passes            []reportPass            `json:"passes"`
	Runbook           []mailproof.RunbookStep `json:"runbook"`
	Deletions         []reportDeletion        `json:"deletions"`
	Evidence          struct {
		Bundle         string         `json:"bundle"`
		KeyFingerprint string         `json:"key_fingerprint"`
		Roots          []VerifiedRoot `json:"roots"`
	} `json:"evidence"`
}

type reportFolder struct {
	Source           string           `json:"source"`
	Destination      string           `json:"destination"`
	Counts           mailproof.Counts `json:"counts"`
	SourceState      *folderState     `json:"source_state"`
	DestinationState *folderState     `json:"destination_state"`
}

type folderState struct {
	Before   mailproof.MailboxState `json:"before"`
	Excluded string                 `json:"excluded"`
}

// announced are the messages of folders that a rule left out: their servers
// counted them and nobody listed them.
func (s *folderState) announced() int64 {
	if s == nil || s.Excluded == "" {
		return 0
	}
	return int64(s.Before.Exists)
}

// maxReport bounds report.json in octets.
const maxReport = 1 << 30

const reportSchema = "mailproof/report/1"

// checkReport holds the report against everything else.
func (v *verifier) checkReport() {
	r, err := v.readReport()
	if err != nil {
		v.problem(CheckReport, fileReportJSON, 0, "%v", err)
		v.done(CheckReport, "")
		return
	}
	v.checkRecords(r)
	v.checkAccepted(r)
	v.checkEquation(r)
	v.checkExceptions(r)
	v.checkCitations(r)
	findings := make([]mailproof.Finding, len(r.Findings))
	for i, f := range r.Findings {
		findings[i] = mailproof.Finding{Check: f.Check, Outcome: f.Outcome}
	}
	if rolled := mailproof.Roll(findings); rolled != r.Verdict || r.ExitCode != r.Verdict.ExitCode() {
		v.problem(CheckReport, fileReportJSON, 0, "says %s, and its findings make %s", r.Verdict, rolled)
	}
	if v.info[labelVerdict] != r.Verdict.String() {
		v.problem(CheckReport, fileBagInfo, 0, "says %s, and the report %s", cutText(v.info[labelVerdict]), r.Verdict)
	}
	v.done(CheckReport, "it cites this bundle and says the same numbers")
}

func (v *verifier) readReport() (r *reportJSON, err error) {
	f, err := v.store.open(fileReportJSON)
	if err != nil {
		return nil, fmt.Errorf("%s", readError(err))
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	in := json.NewDecoder(io.LimitReader(f, maxReport))
	r = &reportJSON{}
	if err := in.Decode(r); err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if r.Schema != reportSchema {
		return nil, fmt.Errorf("has the schema %q, this program reads %q", cutText(r.Schema), reportSchema)
	}
	return r, nil
}

// checkEquation holds the counts of the report against those of the lines: in
// total, for every account and for every folder.
func (v *verifier) checkEquation(r *reportJSON) {
	wrong := func(format string, args ...any) { v.problem(CheckEquation, fileReportJSON, 0, format, args...) }
	if !r.Totals.Balanced() || !r.Ledger.Balanced {
		wrong("the ledger equation does not balance")
		if r.Verdict != mailproof.Inconclusive && r.Verdict != mailproof.Incomplete {
			wrong("and yet the verdict is %s", r.Verdict)
		}
	}
	if r.Ledger.Source != r.Totals.SourceMessages || r.Ledger.Destination != r.Totals.DestinationMessages {
		wrong("the ledger and the totals state different numbers")
	}
	if bad := r.Totals.Missing + r.Totals.Altered + r.Totals.DuplicateCollapsed + r.Totals.Unverifiable + r.Totals.NotChecked; r.Verdict == mailproof.Complete && bad > 0 {
		wrong("the verdict is %s, and %d messages are missing, altered, collapsed or not verified", r.Verdict, bad)
	}
	if !v.profile.HasLines() {
		v.checkSizes(r)
		v.done(CheckEquation, "the report's equation balances, and its totals are the sizes that are signed")
		return
	}
	var outSource, outDestination int64
	seen := map[string]bool{}
	for i := range r.Accounts {
		a := &r.Accounts[i]
		seen[a.Name] = true
		s, d := v.checkFolders(a.Name, a.Folders)
		outSource, outDestination = outSource+s, outDestination+d
		v.compareCounts("account "+a.Name, a.Counts, v.tally.accounts[a.Name], s, d)
	}
	for name := range v.tally.accounts {
		if !seen[name] {
			wrong("does not know the account %s", cutText(name))
		}
	}
	v.compareCounts("the engagement", r.Totals, &v.tally.total, outSource, outDestination)
	v.done(CheckEquation, "source %d and destination %d balance, counted from the verdicts", r.Totals.SourceMessages, r.Totals.DestinationMessages)
}

// compareCounts compares with what was counted, and the messages of excluded
// folders, which have no lines.
func (v *verifier) compareCounts(what string, says mailproof.Counts, counted *mailproof.Counts, outSource, outDestination int64) {
	var c mailproof.Counts
	if counted != nil {
		c = *counted
	}
	c.SourceMessages += outSource
	c.Excluded += outSource
	c.DestinationMessages += outDestination
	c.DestinationNotChecked += outDestination
	if c != says {
		v.problem(CheckEquation, fileReportJSON, 0, "%s: %s", cutText(what), difference(says, c))
	}
}

// difference names the terms that differ.
func difference(says, counted mailproof.Counts) string {
	var parts []string
	var a, b map[string]int64
	if remarshal(says, &a) != nil || remarshal(counted, &b) != nil {
		return "the counts differ"
	}
	keys := maps.Clone(a) // a term may be left out where it is 0
	maps.Copy(keys, b)
	for _, k := range sortedNames(keys) {
		if a[k] != b[k] {
			parts = append(parts, fmt.Sprintf("%s: the report says %d, the lines make %d", strings.ReplaceAll(k, "_", " "), a[k], b[k]))
		}
	}
	return strings.Join(parts, "; ")
}

func remarshal(v, into any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// checkFolders compares folder by folder, and returns how many messages of each
// side lie in excluded ones. Where folders were merged, the terms of the
// destination stand at the first of them.
func (v *verifier) checkFolders(account string, folders []reportFolder) (outSource, outDestination int64) {
	says := map[folderKey]*mailproof.Counts{}
	add := func(side, name string, c mailproof.Counts) {
		k := folderKey{side, account, name}
		if says[k] == nil {
			says[k] = &mailproof.Counts{}
		}
		says[k].Add(c)
	}
	out := map[string]bool{}
	for i := range folders {
		f := &folders[i]
		s, d := f.SourceState.announced(), f.DestinationState.announced()
		outSource += s
		if f.Source != "" {
			c := sourceTerms(f.Counts)
			c.SourceMessages -= s
			c.Excluded -= s
			add(treeSource, f.Source, c)
		}
		if f.Destination != "" {
			c := destinationTerms(f.Counts)
			if !out[f.Destination] {
				out[f.Destination] = true
				outDestination += d
				c.DestinationMessages -= d
				c.DestinationNotChecked -= d
			}
			add(treeDestination, f.Destination, c)
		}
	}
	for k := range v.tally.folders {
		if k.account == account && says[k] == nil {
			says[k] = &mailproof.Counts{} // the report does not know the folder
		}
	}
	for _, k := range sortedFolders(says) {
		c := says[k]
		var counted mailproof.Counts
		if have := v.tally.folders[k]; have != nil {
			counted = *have
		}
		if *c != counted {
			v.problem(CheckEquation, fileReportJSON, 0, "account %s, %s folder %q: %s", cutText(account), k.side, cutText(k.folder), difference(*c, counted))
		}
	}
	return outSource, outDestination
}

func sortedFolders(m map[folderKey]*mailproof.Counts) []folderKey {
	keys := make([]folderKey, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b folderKey) int {
		return cmp.Or(strings.Compare(b.side, a.side), strings.Compare(a.folder, b.folder))
	})
	return keys
}

// checkSizes compares the totals with the sizes of trees whose lines are not
// there. Messages of excluded folders have no lines.
func (v *verifier) checkSizes(r *reportJSON) {
	var outSource, outDestination int64
	for _, a := range r.Accounts {
		seen := map[string]bool{}
		for _, f := range a.Folders {
			outSource += f.SourceState.announced()
			if !seen[f.Destination] {
				outDestination += f.DestinationState.announced()
			}
			seen[f.Destination] = true
		}
	}
	for _, c := range []struct {
		tree      string
		says, out int64
	}{{treeSource, r.Totals.SourceMessages, outSource}, {treeDestination, r.Totals.DestinationMessages, outDestination}} {
		if have, ok := v.checkpoints[c.tree]; ok && have.Size != c.says-c.out {
			v.problem(CheckEquation, fileReportJSON, 0, "states %d messages of the %s, and %d are signed", c.says-c.out, c.tree, have.Size)
		}
	}
}

// checkExceptions compares the exceptions of the report with the verdicts that
// have their numbers.
func (v *verifier) checkExceptions(r *reportJSON) {
	if !v.profile.HasLines() {
		return
	}
	listed := map[string]bool{}
	for _, e := range r.Exceptions {
		listed[e.ID] = true
		have, ok := v.tally.exceptions[e.ID]
		switch at := (position{e.Account, e.Folder, e.UIDValidity, e.UID}); {
		case !ok:
			v.problem(CheckReport, fileReportJSON, 0, "lists %s, which no verdict has for a number", cutText(e.ID))
		case have.verdict != e.Verdict || have.at != at || e.Tier != "" && e.Tier != have.tier:
			v.problem(CheckReport, fileReportJSON, 0, "lists %s as %s at tier %s of %v, and line %d of %s says %s at tier %s of %v", cutText(e.ID), cutText(e.Verdict), cutText(e.Tier), at,
				have.line, linesFile(treeVerdicts), cutText(have.verdict), have.tier, have.at)
		}
	}
	for _, id := range sortedNames(v.tally.exceptions) {
		if !listed[id] {
			v.problem(CheckReport, fileReportJSON, 0, "does not list %s, which line %d of %s names", cutText(id), v.tally.exceptions[id].line, linesFile(treeVerdicts))
		}
	}
}

// checkCitations checks that the report cites this bundle's roots and key. The
// text of the PDF is not read; that it is the signed file is checked by its
// hash.
func (v *verifier) checkCitations(r *reportJSON) {
	e := r.Evidence
	if e.Bundle != v.info[labelID] || e.KeyFingerprint != v.signer.Fingerprint() {
		v.problem(CheckReport, fileReportJSON, 0, "cites bundle %s and key %s", cutText(e.Bundle), cutText(e.KeyFingerprint))
	}
	want := []VerifiedRoot{}
	for _, t := range treeNames {
		if c, ok := v.checkpoints[t]; ok {
			want = append(want, VerifiedRoot{linesFile(t), c.Size, c.Hash.String()})
		}
	}
	if !slices.Equal(e.Roots, want) {
		v.problem(CheckReport, fileReportJSON, 0, "cites other roots than those that are signed")
	}
	if !v.files[fileReportHTML] {
		return
	}
	missing, err := v.notIn(fileReportHTML, append([]string{v.info[labelID], v.signer.Fingerprint()}, hashes(want)...))
	if err != nil {
		v.problem(CheckReport, fileReportHTML, 0, "%s", readError(err))
	}
	for _, s := range missing {
		v.problem(CheckReport, fileReportHTML, 0, "does not cite %s", s)
	}
}

// htmlOverlap is longer than any citation with each of its characters escaped.
const htmlOverlap = 1 << 10

// notIn looks for texts in a page, piece by piece: it may hold every message.
func (v *verifier) notIn(name string, texts []string) (missing []string, err error) {
	f, err := v.store.open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	missing = slices.DeleteFunc(texts, func(s string) bool { return s == "" })
	piece := make([]byte, 0, 64<<10)
	for len(missing) > 0 {
		keep := min(len(piece), htmlOverlap)
		copy(piece[:keep], piece[len(piece)-keep:])
		n, err := io.ReadFull(f, piece[keep:cap(piece)])
		piece = piece[:keep+n]
		page := html.UnescapeString(string(piece))
		missing = slices.DeleteFunc(missing, func(s string) bool { return strings.Contains(page, s) })
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return missing, nil
}

func hashes(roots []VerifiedRoot) []string {
	out := make([]string, len(roots))
	for i, r := range roots {
		out[i] = r.Hash
	}
	return out
}
