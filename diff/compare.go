package diff

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/mailproof/mailproof"
)

// Compare pairs the two inventories of one account and says of every message
// what was found. A nil inventory is an account that was never scanned. The
// error is one of reading the inventories, of OnResult or of the context;
// whatever is wrong with the mail is in the result.
func Compare(ctx context.Context, source, destination Inventory, o Options) (mailproof.AccountResult, error) {
	e := newEngine(ctx, source, destination, o)
	e.labelRules = &o.Rules
	a := newAccount(e, o)
	if err := e.run(a); err != nil {
		return mailproof.AccountResult{}, fmt.Errorf("compare: %w", err)
	}
	return a.finish(), nil
}

// account is the sink that makes an AccountResult.
type account struct {
	e         *engine
	o         Options
	result    mailproof.AccountResult
	srcFolder []int // mailbox → index into result.Folders
	dstFolder []int
	open      []mailproof.Exception // that need, or needed, a decision
	noted     []mailproof.Exception
	omitted   int64
	tallies   map[string]*tally // by check
	unlabel   map[string]int64  // source folder → messages that lack a label
}

// tally counts the exceptions of one check.
type tally struct {
	total, accepted int64
	folders         map[string]int64
}

func newAccount(e *engine, o Options) *account {
	a := &account{e: e, o: o, tallies: map[string]*tally{}, unlabel: map[string]int64{}}
	a.result.SourceScan, a.result.DestinationScan = e.src.scan, e.dst.scan
	a.result.Account = cmp.Or(e.src.scan.Account, e.dst.scan.Account)
	a.srcFolder, a.dstFolder = slices.Repeat([]int{-1}, len(e.src.boxes)), slices.Repeat([]int{-1}, len(e.dst.boxes))
	for i := range e.src.boxes {
		a.addSourceFolder(i)
	}
	for j := range e.dst.boxes {
		a.addDestinationFolder(j)
	}
	return a
}

// silent reports whether a mailbox has no line in the result: it cannot hold
// messages and holds none.
func silent(b *mailproof.MailboxScan) bool { return b.NoSelect && b.Present == 0 }

func (a *account) addSourceFolder(i int) {
	box := &a.e.src.boxes[i]
	if silent(box) {
		return
	}
	f := mailproof.FolderResult{Source: box.Name, SourceScan: *box}
	if name, ok := a.e.folders.Target(box.Name); ok && !a.e.src.out[i] {
		f.Destination = name
	}
	switch {
	case box.Excluded != "": // announced, and not read
		f.Counts.SourceMessages = int64(box.Before.Exists)
		f.Counts.Excluded = int64(box.Before.Exists)
	default:
		f.Counts.SourceMessages = box.Present
	}
	a.srcFolder[i] = len(a.result.Folders)
	a.result.Folders = append(a.result.Folders, f)
}

// addDestinationFolder gives a destination mailbox to the first source folder
// that is mapped to it, or a line of its own. Where rules merge folders, the
// terms of the destination stand on the first of their lines.
func (a *account) addDestinationFolder(j int) {
	box := &a.e.dst.boxes[j]
	at := -1
	for i, target := range a.e.target {
		if target != j || a.srcFolder[i] < 0 {
			continue
		}
		a.result.Folders[a.srcFolder[i]].DestinationScan = *box
		if at < 0 {
			at = a.srcFolder[i]
		}
	}
	if at < 0 {
		if silent(box) {
			return
		}
		at = len(a.result.Folders)
		a.result.Folders = append(a.result.Folders, mailproof.FolderResult{Destination: box.Name, DestinationScan: *box})
	}
	a.dstFolder[j] = at
	c := &a.result.Folders[at].Counts
	if box.Excluded != "" {
		c.DestinationMessages += int64(box.Before.Exists)
		c.DestinationNotChecked += int64(box.Before.Exists)
		return
	}
	c.DestinationMessages += box.Present
}

// folder returns the line of a message's folder.
func (a *account) folder(s *side, r *mailproof.Row) (*mailproof.FolderResult, error) {
	at := a.srcFolder
	if s == a.e.dst {
		at = a.dstFolder
	}
	if at[r.Mailbox] < 0 {
		return nil, fmt.Errorf("%v: the folder is listed as holding no messages", s.key(r))
	}
	return &a.result.Folders[at[r.Mailbox]], nil
}

func (a *account) addBytes(s *side, r *mailproof.Row) {
	n := r.Octets
	if r.State != mailproof.Read {
		n = r.Size
	}
	if s == a.e.src {
		a.result.SourceBytes += n
	} else {
		a.result.DestinationBytes += n
	}
}

func (a *account) unread(s *side, r *mailproof.Row) error {
	if s.boxes[r.Mailbox].Excluded != "" {
		return nil // counted as announced
	}
	f, err := a.folder(s, r)
	if err != nil {
		return err
	}
	a.addBytes(s, r)
	res := Result{Verdict: mailproof.Unverifiable}
	switch {
	case s.out[r.Mailbox]:
		rule, _ := a.o.Rules.Excluded(s.boxes[r.Mailbox].Mailbox)
		res.Verdict, res.Reasons = mailproof.Excluded, []mailproof.Reason{{Code: ReasonExcluded, Evidence: rule}}
	case s.omits(r):
		rule, _ := s.scope.Omits(r.InternalDate, r.Size)
		res.Verdict, res.Reasons = mailproof.Excluded, []mailproof.Reason{{Code: ReasonExcluded, Evidence: rule}}
	case r.State == mailproof.Unreadable:
		res.Reasons = []mailproof.Reason{{Code: ReasonUnreadable, Evidence: r.Reason}}
	default:
		res.Verdict, res.Reasons = mailproof.NotChecked, []mailproof.Reason{{Code: ReasonUnread}}
	}
	a.leftOut(s, &res)
	switch {
	case s == a.e.src:
		f.Counts.Count(res.Verdict)
	case res.Verdict == mailproof.Unverifiable:
		f.Counts.DestinationUnreadable++
	default:
		f.Counts.DestinationNotChecked++
	}
	return a.single(s, r, res, nil)
}

func (a *account) paired(p *pair) error {
	j, err := a.e.judge(p)
	if err != nil {
		return err
	}
	if j.stub {
		return a.stubbed(p, j)
	}
	f, err := a.folder(a.e.src, p.src)
	if err != nil {
		return err
	}
	g, err := a.folder(a.e.dst, p.dst)
	if err != nil {
		return err
	}
	a.addBytes(a.e.src, p.src)
	a.addBytes(a.e.dst, p.dst)
	f.Counts.Count(j.verdict)
	g.Counts.CountPaired()
	res := Result{
		Verdict: j.verdict, Tier: j.tier, Reasons: j.reasons, Signature: j.signature,
		Source: a.e.src.key(p.src), SourceRow: p.src, Destination: a.e.dst.key(p.dst), DestinationRow: p.dst,
		Flags: flagsReason(p), Date: dateReason(p),
	}
	if j.verdict != mailproof.Altered {
		if res.Labels, err = a.e.missingLabels(p); err != nil {
			return err
		}
	}
	if res.Labels != nil {
		a.unlabel[res.Source.Mailbox]++
	}
	if res.Flags != nil {
		f.FlagsDiffer++
	}
	if res.Date != nil {
		f.DatesDiffer++
	}
	if res.Signature {
		f.SignaturesChanged++
	}
	return a.report(res, j.src, j.dst)
}

// stubbed takes a pair of which one half is a server's notice: nothing is
// known of that half, and so nothing of the pair.
func (a *account) stubbed(p *pair, j *judgement) error {
	f, err := a.folder(a.e.src, p.src)
	if err != nil {
		return err
	}
	g, err := a.folder(a.e.dst, p.dst)
	if err != nil {
		return err
	}
	a.addBytes(a.e.src, p.src)
	a.addBytes(a.e.dst, p.dst)
	f.Counts.Count(mailproof.Unverifiable)
	g.Counts.DestinationUnreadable++
	where := mailproof.Source
	if j.dst.Fingerprint.Detail.Stub {
		where = mailproof.Destination
	}
	res := Result{
		Verdict: mailproof.Unverifiable, Tier: p.tier, Source: a.e.src.key(p.src), SourceRow: p.src,
		Destination: a.e.dst.key(p.dst), DestinationRow: p.dst,
		Reasons: []mailproof.Reason{{Code: ReasonServerStub, Evidence: fmt.Sprintf("the %v server put a notice in the place of the message", where)}},
	}
	return a.report(res, j.src, j.dst)
}

func (a *account) leftover(s *side, r *mailproof.Row, twin bool) error {
	f, err := a.folder(s, r)
	if err != nil {
		return err
	}
	a.addBytes(s, r)
	res := a.judgeLeftover(s, r, twin)
	switch {
	case s == a.e.dst && res.Verdict == mailproof.NotChecked:
		f.Counts.DestinationNotChecked++
	case s == a.e.dst && res.Verdict == mailproof.Excluded:
		f.Counts.DestinationExcluded++
	default:
		f.Counts.Count(res.Verdict)
	}
	return a.single(s, r, res, nil)
}

// judgeLeftover makes the verdict on a message that was read and has no
// counterpart.
func (a *account) judgeLeftover(s *side, r *mailproof.Row, twin bool) Result {
	var res Result
	if s == a.e.dst {
		if rule, ok := a.beyond(r); ok {
			return Result{Verdict: mailproof.Excluded, Reasons: []mailproof.Reason{{Code: ReasonExcluded, Evidence: rule}}}
		}
		res.Verdict = mailproof.Extra
		if twin {
			res.Verdict, res.Tier = mailproof.DuplicateSurplus, mailproof.T2
		}
		if a.e.srcReading.listed > 0 {
			// Its original may be among the source messages that the sample left
			// out: nothing is known of it.
			res.Verdict, res.Tier = mailproof.NotChecked, mailproof.TierNone
		}
		switch {
		case a.o.Baseline == 0:
		case r.FirstPass <= a.o.Baseline:
			res.Reasons = append(res.Reasons, mailproof.Reason{Code: ReasonPreExisting})
		default:
			res.Reasons = append(res.Reasons, mailproof.Reason{Code: ReasonArrivedLater})
		}
		if !a.e.srcReading.complete() {
			res.Reasons = append(res.Reasons, a.e.srcReading.reason(a.e.src))
		}
		return res
	}
	switch {
	case !a.e.dstReading.complete():
		res.Verdict = mailproof.Unverifiable
		res.Reasons = append(res.Reasons, a.e.dstReading.reason(a.e.dst))
	case twin:
		res.Verdict, res.Tier = mailproof.DuplicateCollapsed, mailproof.T2
		if hidden, ok := a.e.hiddenLabel(r); ok {
			res.Reasons = append(res.Reasons, *hidden)
		} else if a.e.labels[labelOf(r)] {
			name := quote(a.e.src.boxes[r.Mailbox].Name)
			res.Reasons = append(res.Reasons, mailproof.Reason{Code: ReasonLabel, Evidence: "the message itself is on the destination; its label " + name + " is not"})
		}
	default:
		res.Verdict = mailproof.Missing
		if r.Hash(mailproof.T3).IsZero() {
			res.Reasons = append(res.Reasons, mailproof.Reason{Code: ReasonNoMessageID, Evidence: "missing or unrecognisable"})
		}
	}
	return res
}

// single reports on a message without counterpart.
func (a *account) single(s *side, r *mailproof.Row, res Result, m *mailproof.Message) error {
	if s == a.e.src {
		res.Source, res.SourceRow = s.key(r), r
		return a.report(res, m, nil)
	}
	res.Destination, res.DestinationRow = s.key(r), r
	return a.report(res, nil, m)
}

func (a *account) report(res Result, src, dst *mailproof.Message) error {
	if err := a.except(&res, src, dst); err != nil {
		return err
	}
	if a.o.OnResult != nil {
		return a.o.OnResult(res)
	}
	return nil
}

// flagsReason says how the flags and keywords of a pair differ.
func flagsReason(p *pair) *mailproof.Reason {
	if p.src.Flags.Equal(p.dst.Flags) {
		return nil
	}
	a, b := mailproof.NewFlags(p.src.Flags...), mailproof.NewFlags(p.dst.Flags...)
	if a.Equal(b) {
		return nil
	}
	return &mailproof.Reason{Code: ReasonFlags, Evidence: printable(a.String()) + " → " + printable(b.String())}
}

// dateReason says how the INTERNALDATEs of a pair differ: as instants, by more
// than a second, where both can be relied on.
func dateReason(p *pair) *mailproof.Reason {
	a, b := p.src.InternalDate, p.dst.InternalDate
	if !reliable(a) || !reliable(b) {
		return nil
	}
	d := b.Sub(a)
	if d.Abs() <= second {
		return nil
	}
	return &mailproof.Reason{Code: ReasonDates, Evidence: fmt.Sprintf("%s (%s → %s)", shift(d), a.UTC().Format(stamp), b.UTC().Format(stamp))}
}
