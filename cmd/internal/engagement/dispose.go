package engagement

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
)

// maxDecided bounds how many exceptions of one account one decision may cover.
const maxDecided = 250_000

// listAtMost is how many exceptions of one account a comparison lists; 0 means
// maxExceptions.
type listAtMost int

// DisposeOptions say what is decided, and on what. Without IDs, Findings and
// filters nothing is chosen.
type DisposeOptions struct {
	IDs      []string // "E-001", or "E-001..E-050"
	Findings []string // "spf.lookups@example.com": check and domain, or check and account

	// What an exception must match to be chosen; an empty list matches all.
	Verdicts []mailproof.MessageVerdict
	Accounts []string
	Folders  []string // patterns as of path.Match, without regard to case
	Reasons  []string // codes

	As      mailproof.Disposition
	By, Why string
	DryRun  bool
}

// byFilter reports whether exceptions are chosen by what they are.
func (o *DisposeOptions) byFilter() bool {
	return len(o.Verdicts)+len(o.Accounts)+len(o.Folders)+len(o.Reasons) > 0
}

// Disposed is what a decision came to.
type Disposed struct {
	Exceptions []mailproof.Exception // that it covers, as they were before
	Findings   []mailproof.Finding   // the same
	Same       int                   // that match and are decided on already
	Pass       mailproof.PassID      // the diff that it is about; 0 where nothing was recorded
	Before     Comparison
	After      Comparison
}

var errNothingChosen = errors.New("no exception was named, and no filter given")

// UnknownExceptions are numbers that the present comparison does not have.
type UnknownExceptions struct {
	IDs  []string
	Gone map[string]string // what is known of those that it had
}

func (u *UnknownExceptions) Error() string {
	var parts []string
	for _, id := range u.IDs {
		if why := u.Gone[id]; why != "" {
			id += " (" + why + ")"
		}
		parts = append(parts, id)
	}
	return "not among the exceptions as they stand: " + strings.Join(parts, ", ")
}

// Dispose records a decision on exceptions and findings. It compares first, as
// diff does: what is decided on is what is found now. If the latest recorded
// diff does not show that, this one is recorded.
func (e *Engagement) Dispose(ctx context.Context, o DisposeOptions) (Disposed, error) {
	var out Disposed
	if len(o.IDs)+len(o.Findings) == 0 && !o.byFilter() {
		return out, errNothingChosen
	}
	if o.As == mailproof.Noted {
		return out, errors.New("noted is not for people to say: it marks what needs no decision")
	}
	e.most = maxDecided
	defer func() { e.most = 0 }()
	var err error
	if out.Before, err = e.Compare(ctx, nil); err != nil {
		return out, err
	}
	if err := o.choose(&out); err != nil {
		var unknown *UnknownExceptions
		if errors.As(err, &unknown) {
			unknown.Gone, _ = e.gone(ctx, unknown.IDs) // the error stands without it
		}
		return out, err
	}
	if err := e.chooseFindings(ctx, &o, &out); err != nil {
		return out, err
	}
	if o.DryRun || len(out.Exceptions)+len(out.Findings) == 0 {
		return out, nil
	}
	if o.By == "" || strings.TrimSpace(o.Why) == "" {
		return out, errors.New("a decision names who made it and why")
	}
	if len(out.Exceptions) > 0 {
		if err := e.disposeExceptions(ctx, &o, &out); err != nil {
			return out, err
		}
	}
	if len(out.Findings) > 0 {
		var list []ledger.FindingDecision
		for i := range out.Findings {
			f := &out.Findings[i]
			list = append(list, ledger.FindingDecision{Check: f.Check, Subject: ledger.Subject(f), Outcome: f.Outcome, Observed: f.Observed, Disposition: o.As, By: o.By, Why: o.Why})
		}
		if err := e.ledger.DecideFindings(ctx, list); err != nil {
			return out, err
		}
	}
	out.After, err = e.Compare(ctx, nil)
	return out, err
}

func (e *Engagement) disposeExceptions(ctx context.Context, o *DisposeOptions, out *Disposed) error {
	pass, err := e.recordedDiff(ctx, out)
	if err != nil {
		return err
	}
	ids := make([]string, len(out.Exceptions))
	for i := range out.Exceptions {
		ids[i] = out.Exceptions[i].ID
	}
	out.Pass = pass
	return e.ledger.RecordDispositions(ctx, pass, ids, ledger.Decision{Disposition: o.As, By: o.By, Why: o.Why})
}

// choose finds the exceptions that are meant, and numbers that mean nothing.
func (o *DisposeOptions) choose(out *Disposed) error {
	wanted, err := expandIDs(o.IDs)
	if err != nil {
		return err
	}
	found := map[string]bool{}
	var noted []string
	for i := range out.Before.Accounts {
		for _, x := range out.Before.Accounts[i].Exceptions {
			named := wanted[plainID(x.ID)]
			found[plainID(x.ID)] = true
			switch {
			case named && x.Disposition == mailproof.Noted:
				noted = append(noted, x.ID)
			case x.Disposition == mailproof.Noted, len(wanted) > 0 && !named, len(wanted) == 0 && !o.byFilter(), !o.match(&x):
			case x.Disposition == o.As && o.As != mailproof.Open, len(wanted) == 0 && o.As != mailproof.Open && x.Disposition != mailproof.Open:
				// A filter does not overrule what somebody decided by name.
				out.Same++
			default:
				out.Exceptions = append(out.Exceptions, x)
			}
		}
	}
	if len(noted) > 0 {
		return fmt.Errorf("%s is for the record and needs no decision", strings.Join(noted, ", "))
	}
	var unknown []string
	for _, id := range o.IDs {
		if !strings.Contains(id, "..") && !found[plainID(id)] {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) > 0 {
		return &UnknownExceptions{IDs: unknown}
	}
	return nil
}

// expandIDs reads numbers and ranges of them.
func expandIDs(ids []string) (map[string]bool, error) {
	out := map[string]bool{}
	for _, id := range ids {
		first, last, ranged := strings.Cut(id, "..")
		series, from, ok := splitID(first)
		to := from
		if ranged && ok {
			var other string
			other, to, ok = splitID(last)
			ok = ok && other == series && from <= to && to-from < 10*maxDecided
		}
		if !ok {
			return nil, fmt.Errorf("%q is no number of an exception: write E-001, or E-001..E-050", id)
		}
		for n := from; n <= to; n++ {
			out[series+strconv.Itoa(n)] = true
		}
	}
	return out, nil
}

func splitID(id string) (series string, number int, ok bool) {
	plain := plainID(strings.TrimSpace(id))
	if len(plain) < 2 || plain[0] != 'E' && plain[0] != 'N' {
		return "", 0, false
	}
	n, err := strconv.Atoi(plain[1:])
	return plain[:1], n, err == nil && n > 0
}

// match reports whether an exception is what the filters ask for.
func (o *DisposeOptions) match(x *mailproof.Exception) bool {
	fold := func(want []string, has string) bool {
		return len(want) == 0 || slices.ContainsFunc(want, func(s string) bool { return strings.EqualFold(s, has) })
	}
	folder := func(pattern string) bool {
		ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(x.Mailbox))
		return ok || err != nil && strings.EqualFold(pattern, x.Mailbox) || strings.EqualFold(pattern, x.Mailbox)
	}
	reason := func(code string) bool {
		return slices.ContainsFunc(x.Reasons, func(r mailproof.Reason) bool { return strings.EqualFold(r.Code, code) })
	}
	return (len(o.Verdicts) == 0 || slices.Contains(o.Verdicts, x.Verdict)) &&
		fold(o.Accounts, x.Account) && (len(o.Folders) == 0 || slices.ContainsFunc(o.Folders, folder)) && (len(o.Reasons) == 0 || slices.ContainsFunc(o.Reasons, reason))
}

// chooseFindings finds the findings that are meant.
func (e *Engagement) chooseFindings(ctx context.Context, o *DisposeOptions, out *Disposed) error {
	if len(o.Findings) == 0 {
		return nil
	}
	if o.As == mailproof.Fixed {
		return errors.New("a finding is not called fixed: the next mailproof dns or inventory shows whether it is")
	}
	all, err := e.plainFindings(ctx, out.Before)
	if err != nil {
		return err
	}
	for _, name := range o.Findings {
		check, subject, ok := strings.Cut(name, "@")
		if !ok {
			return fmt.Errorf("finding %q: write CHECK@DOMAIN or CHECK@ACCOUNT, as spf.lookups@example.com", name)
		}
		n, reason := 0, ""
		for _, f := range all {
			switch {
			case f.Check != check || !strings.EqualFold(ledger.Subject(&f), subject):
			case f.Outcome == mailproof.OutcomePass || f.Outcome == mailproof.OutcomeInfo || f.Outcome == mailproof.OutcomeWarn:
				reason = cmp.Or(reason, "it does not stand in the way ("+f.Outcome.String()+")")
			case !decidable(&f):
				reason = "nobody can accept it: " + f.Observed
			default:
				out.Findings = append(out.Findings, f)
				n++
			}
		}
		if n == 0 {
			return fmt.Errorf("finding %s: %s", name, cmp.Or(reason, "there is none of that name"))
		}
	}
	return nil
}

// plainFindings are the findings of the engagement without what was decided on
// them.
func (e *Engagement) plainFindings(ctx context.Context, c Comparison) ([]mailproof.Finding, error) {
	var all []mailproof.Finding
	for i := range c.Accounts {
		for _, f := range c.Accounts[i].Findings {
			all = append(all, undecided(f))
		}
	}
	audits, err := e.ledger.LatestDNS(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range audits {
		all = append(all, ofPhase(a.Findings, mailproof.Confirmation)...)
	}
	return all, nil
}

// undecided takes back what accept wrote into a finding.
func undecided(f mailproof.Finding) mailproof.Finding {
	if f.Outcome != mailproof.OutcomeAccepted || strings.HasPrefix(f.Check, "messages.") {
		return f
	}
	for _, word := range []string{"; accepted by ", "; waived by "} {
		if i := strings.LastIndex(f.Observed, word); i >= 0 {
			f.Observed, f.Outcome = f.Observed[:i], mailproof.OutcomeUnknown
		}
	}
	return f
}

// recordedDiff is the latest diff of the ledger if it shows the chosen
// exceptions as they are now; else the comparison is recorded as a new one.
func (e *Engagement) recordedDiff(ctx context.Context, out *Disposed) (mailproof.PassID, error) {
	pass, recorded, err := e.ledger.LatestExceptions(ctx)
	if err != nil {
		return 0, err
	}
	scans := map[string]readings{}
	for i := range out.Before.Accounts {
		a := &out.Before.Accounts[i]
		scans[a.Account] = readings{a.SourceScan.Pass, a.DestinationScan.Pass}
	}
	same := pass != 0
	for i := range out.Exceptions {
		x := &out.Exceptions[i]
		was, ok := recorded[x.ID]
		same = same && ok && was.Verdict == x.Verdict && slices.Equal(was.Reasons, x.Reasons) && scans[x.Account] == (readings{was.SourcePass, was.DestinationPass})
	}
	if same {
		return pass, nil
	}
	return e.recordDiff(ctx, out.Before)
}

// gone says what is known of exceptions that are no longer found.
func (e *Engagement) gone(ctx context.Context, ids []string) (map[string]string, error) {
	decided, err := e.ledger.Decided(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, d := range decided {
		for _, id := range ids {
			if plainID(id) == plainID(d.Exception) {
				out[id] = "no longer found; " + d.Disposition.String() + " by " + d.By
			}
		}
	}
	return out, nil
}
