package engagement

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/diff"
	"github.com/mailproof/mailproof/report"
	"github.com/mailproof/mailproof/report/evidence"
)

// The files of an engagement that sealing makes.
const (
	BundleDir = "bundle"
	// RevealFile holds the key of the pseudonyms and what they stand for. It
	// stays with whoever sealed.
	RevealFile = "mailproof.reveal"
)

// SealOptions says what kind of bundle is made of an engagement.
type SealOptions struct {
	Out       string // the directory to make
	Profile   evidence.Profile
	Key       evidence.Key
	Reveal    string // the reveal map; needed where the profile is not Full
	Kept      string // where a summary leaves its lines
	Timestamp *evidence.TimestampOptions
	// SignPDF signs report.pdf in its place; nil leaves it unsigned.
	SignPDF func(path string) error
	Dress   func(*report.Document) // changes how the report looks; nil leaves it
	// Progress is told the number of lines written so far, and Planned, before
	// the first, about how many there will be; nil is told nothing.
	Progress, Planned func(lines int64)
	// Told is told what the user should know of the ledger; nil is told nothing.
	Told func(text string)
}

// ErrHistory says that the ledger is not as it was written.
var ErrHistory = errors.New("the history of the ledger does not hold")

// ErrUnlinked says that something stands in the ledger that its history does not
// hold.
var ErrUnlinked = errors.New("something stands outside of the ledger's history")

// Seal compares everything once more, writes the bundle and records it in the
// ledger. Of a full bundle, the report in the engagement's directory becomes
// the one in the bundle.
func (e *Engagement) Seal(ctx context.Context, o SealOptions) (evidence.Sealed, *report.Document, error) {
	var none evidence.Sealed
	// There is nothing to drain: a bundle is whole or is not there.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-e.Stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	h := e.startHistory(ctx, cancel)
	s, x, err := e.buildBundle(ctx, o, h)
	// What the history says comes first: a build that failed may have met what
	// somebody changed.
	told, broken := h.wait()
	if told != "" && o.Told != nil {
		o.Told(told)
	}
	if err := cmp.Or(broken, err); err != nil {
		return none, nil, err
	}
	return s, x.document, e.ledger.RecordSeal(ctx, sealOf(s))
}

// buildBundle writes the bundle, beside the check of the history.
func (e *Engagement) buildBundle(ctx context.Context, o SealOptions, h *historyCheck) (s evidence.Sealed, x *sealing, err error) {
	x = &sealing{e: e, o: o, history: h, exceptions: map[mailproof.MessageKey]string{}}
	build := evidence.Options{
		Dir: o.Out, Profile: o.Profile, Key: o.Key, Tool: e.Tool, Timestamp: o.Timestamp, Kept: o.Kept, Progress: o.Progress,
	}
	if o.Profile != evidence.Full {
		m, err := openReveal(o.Reveal)
		if err != nil {
			return s, x, err
		}
		x.reveal, build.PseudonymKey = m, m.key
	}
	if err := x.plan(ctx); err != nil {
		return s, x, err
	}
	s, err = evidence.Build(ctx, x, build)
	return s, x, err
}

// historyCheck is historyHolds under way: it reads the whole ledger, as the
// building of a bundle does, and the one takes as long as the other.
type historyCheck struct {
	done chan struct{}
	told string
	err  error
}

// startHistory begins the check. One that fails stops everything else: nothing
// is sealed before the check has come to its end ([sealing.Records] waits).
func (e *Engagement) startHistory(ctx context.Context, stop func()) *historyCheck {
	h := &historyCheck{done: make(chan struct{})}
	go func() {
		defer close(h.done)
		if h.told, h.err = e.historyHolds(ctx); h.err != nil {
			stop()
		}
	}()
	return h
}

// wait returns what the user should know, and why the history does not hold.
func (h *historyCheck) wait() (told string, err error) {
	<-h.done
	return h.told, h.err
}

// historyHolds computes the ledger's chain anew: what was changed in the file
// since it was written is not sealed as if it had been found, and neither is a
// word or a finished pass that no link holds, as nothing tells since when it is
// there. A pass that was cut off has no link yet, and gets it; told says so.
func (e *Engagement) historyHolds(ctx context.Context) (told string, err error) {
	v, err := e.ledger.VerifyChain(ctx, nil)
	if err != nil {
		return "", err
	}
	if !v.Whole() {
		bad := v.Bad[0]
		what := "rows that belong to no pass"
		if bad.Seq != 0 {
			what = fmt.Sprintf("link %d of %d, made %s", bad.Seq, v.Links, bad.Made)
		}
		if len(bad.What) > 0 {
			what += ": " + bad.What[0]
		}
		return "", fmt.Errorf("%w: %s", ErrHistory, what)
	}
	if v.Words > 0 {
		return "", fmt.Errorf("%w: %s of decisions, attestations or probes", ErrUnlinked, terminal.Of(v.Words, "row", "rows"))
	}
	if len(v.Open) == 0 {
		return "", nil
	}
	passes, err := e.ledger.Passes(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range passes {
		if p.State != mailproof.PassRunning && slices.Contains(v.Open, p.ID) {
			return "", fmt.Errorf("%w: pass %d, which ended %s", ErrUnlinked, p.ID, terminal.Time(p.Finished))
		}
	}
	if err := e.ledger.Link(ctx); err != nil {
		return "", err
	}
	return terminal.Of(int64(len(v.Open)), "pass", "passes") + " cut off before the end had no link in the history: taken in as it stands", nil
}

func sealOf(s evidence.Sealed) ledger.Seal {
	path, err := filepath.Abs(s.Dir)
	if err != nil {
		path = s.Dir
	}
	out := ledger.Seal{Bundle: s.Bundle, Sealed: s.Sealed, Privacy: s.Profile.String(), Verdict: s.Verdict.String(), Fingerprint: s.Fingerprint, TagManifest: s.TagManifest, Path: path}
	for _, r := range s.Roots {
		out.Roots = append(out.Roots, ledger.Root{Tree: r.File(), Size: r.Size, Hash: r.String()})
	}
	return out
}

// Seals are the bundles that were made of the engagement, the oldest first.
func (e *Engagement) Seals(ctx context.Context) ([]ledger.Seal, error) { return e.ledger.Seals(ctx) }

// sealing is an engagement as evidence reads it.
type sealing struct {
	e          *Engagement
	o          SealOptions
	history    *historyCheck
	reveal     *revealMap // nil where the profile is Full
	comparison Comparison
	document   *report.Document
	exceptions map[mailproof.MessageKey]string
}

func (x *sealing) Accounts(ctx context.Context) ([]string, error) {
	names, err := x.e.everybody(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		x.reveal.add(evidence.FieldAccount, name)
	}
	return names, nil
}

func (x *sealing) Inventory(ctx context.Context, account string, side mailproof.Side) (evidence.Inventory, error) {
	inv, err := x.e.ledger.Inventory(ctx, account, side)
	if errors.Is(err, ledger.ErrUnknown) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := sealedInventory{Inventory: inv, scans: inv.Mailboxes()}
	for _, name := range s.Folders() {
		x.reveal.add(evidence.FieldFolder, name)
	}
	return s, nil
}

// sealedInventory is an inventory of the ledger, folder by folder.
type sealedInventory struct {
	*ledger.Inventory
	scans []mailproof.MailboxScan
}

func (s sealedInventory) Folders() []string {
	names := make([]string, len(s.scans))
	for i, m := range s.scans {
		names[i] = m.Name
	}
	return names
}

// Messages leaves out folders that a rule excluded from the reading: their
// messages were counted by their server and never listed.
func (s sealedInventory) Messages(ctx context.Context, folder int) iter.Seq2[mailproof.Message, error] {
	if s.scans[folder].Excluded != "" {
		return func(func(mailproof.Message, error) bool) {}
	}
	return s.CaptionsOf(ctx, folder)
}

func (x *sealing) Verdicts(ctx context.Context, emit func(*evidence.Verdict) error) (err error) {
	x.comparison, err = x.e.Compare(ctx, func(r diff.Result) error {
		v := evidence.Verdict{Verdict: r.Verdict, Tier: r.Tier, Reasons: r.Reasons, Beside: r.Beside(), SignatureChanged: r.Signature}
		if r.SourceRow != nil {
			v.Source = r.Source
		}
		if r.DestinationRow != nil {
			v.Destination = r.Destination
		}
		return emit(&v)
	})
	for _, a := range x.comparison.Accounts {
		for _, ex := range a.Exceptions {
			x.exceptions[ex.Key] = ex.ID
		}
	}
	return err
}

// plan tells about how many lines there will be: one for each message, and a
// verdict for each of the larger side.
func (x *sealing) plan(ctx context.Context) error {
	if x.o.Planned == nil {
		return nil
	}
	names, err := x.e.everybody(ctx)
	if err != nil {
		return err
	}
	var planned int64
	for _, name := range names {
		var of [2]int64
		for i, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
			_, folders, ok, err := x.e.ledger.LatestScan(ctx, name, side)
			if err != nil {
				return err
			}
			for j := range folders {
				if ok && folders[j].Excluded == "" {
					of[i] += folders[j].Present
				}
			}
		}
		planned += of[0] + of[1] + max(of[0], of[1])
	}
	x.o.Planned(planned)
	return nil
}

func (x *sealing) Exception(k mailproof.MessageKey) string { return x.exceptions[k] }

// Records takes the document along, which the report is rendered from. It waits
// for the history, whose links are among the records.
func (x *sealing) Records(ctx context.Context) (evidence.Records, error) {
	var r evidence.Records
	if _, err := x.history.wait(); err != nil {
		return r, err
	}
	d, err := x.e.Document(ctx, x.comparison)
	if err != nil {
		return r, err
	}
	if x.o.Dress != nil {
		x.o.Dress(d)
	}
	x.document = d
	r.Verdict, r.Findings, r.Observations = d.Verdict, d.DNS, d.Observations
	decisions, err := x.e.ledger.Decisions(ctx)
	if err != nil {
		return r, err
	}
	for _, c := range decisions {
		r.Decisions = append(r.Decisions, evidence.Decision{Exception: c.Exception, Verdict: c.Verdict, Disposition: c.Disposition, By: c.By, Why: c.Why, At: c.At, Pass: c.Pass})
		x.reveal.add(evidence.FieldPerson, c.By)
	}
	if err := x.said(ctx, &r); err != nil {
		return r, err
	}
	for _, f := range d.DNS {
		x.reveal.add(evidence.FieldDomain, f.Domain)
	}
	r.Passes, err = x.passes(ctx, d.Passes)
	return r, err
}

// said adds what people said beside the decisions on exceptions, and what was
// deleted because they asked for it.
func (x *sealing) said(ctx context.Context, r *evidence.Records) error {
	names, err := x.e.everybody(ctx)
	if err != nil {
		return err
	}
	found, err := x.e.ledger.FindingDecisions(ctx)
	if err != nil {
		return err
	}
	for _, f := range found {
		field := evidence.FieldDomain
		if slices.Contains(names, f.Subject) {
			field = evidence.FieldAccount
		}
		r.FindingDecisions = append(r.FindingDecisions, evidence.FindingDecision{Check: f.Check, Subject: f.Subject, Field: field, Outcome: f.Outcome,
			Observed: f.Observed, Disposition: f.Disposition, By: f.By, Why: f.Why, At: f.At})
		x.reveal.add(field, f.Subject)
		x.reveal.add(evidence.FieldPerson, f.By)
	}
	if r.Attestations, err = x.e.ledger.Attestations(ctx); err != nil {
		return err
	}
	for _, a := range r.Attestations {
		x.reveal.add(evidence.FieldPerson, a.By)
	}
	deleted, err := x.e.ledger.Deletions(ctx)
	for _, d := range deleted {
		r.Deletions = append(r.Deletions, evidence.Deletion{Pass: d.Pass, CopiedBy: d.AppendedBy, Destination: d.Destination, Source: d.Source, T0: d.T0,
			Octets: d.Octets, State: string(d.State), Reason: d.Reason, Finished: d.Finished})
		x.reveal.add(evidence.FieldFolder, d.Destination.Mailbox)
		x.reveal.add(evidence.FieldFolder, d.Source.Mailbox)
	}
	return err
}

// passes joins the passes with their links in the ledger's chain.
func (x *sealing) passes(ctx context.Context, passes []mailproof.Pass) ([]evidence.Pass, error) {
	links, err := x.e.ledger.Chain(ctx)
	if err != nil {
		return nil, err
	}
	of := map[mailproof.PassID]ledger.Link{}
	for _, l := range links {
		of[l.Pass] = l
	}
	out := make([]evidence.Pass, len(passes))
	for i, p := range passes {
		out[i].Pass = p
		if l, ok := of[p.ID]; ok {
			out[i].Root, out[i].Previous = hex.EncodeToString(l.Root[:]), hex.EncodeToString(l.Previous[:])
		}
	}
	return out, nil
}

// Report renders the report with the roots in it. What is not full names
// nobody.
func (x *sealing) Report(_ context.Context, dir string, c evidence.Citation) error {
	x.e.tidy(true) // the sorts are over, and the PDF takes as much again
	d := x.document
	d.Evidence = report.Evidence{Bundle: c.Bundle, KeyFingerprint: c.Fingerprint}
	for _, r := range c.Roots {
		d.Evidence.Roots = append(d.Evidence.Roots, report.Root{Tree: r.File(), Size: r.Size, Hash: r.String()})
	}
	if c.Pseudonyms != nil {
		d = redact(d, c.Pseudonyms, c.Profile)
	}
	if err := d.WriteFiles(dir, report.PDFOptions{Fonts: x.e.Fonts}); err != nil {
		return err
	}
	if x.o.SignPDF != nil {
		if err := x.o.SignPDF(filepath.Join(dir, report.PDFName)); err != nil {
			return err
		}
	}
	if x.reveal != nil {
		return x.reveal.save(c.Pseudonyms, c.Bundle)
	}
	return nil
}

// TakeReport puts the report of a full bundle into the engagement's directory,
// as it lies in the bundle.
func (e *Engagement) TakeReport(bundle string) error {
	for _, name := range []string{HTMLFile, PDFFile, JSONFile} {
		data, err := os.ReadFile(filepath.Join(bundle, "report", name))
		if err != nil {
			return fmt.Errorf("report: %w", err)
		}
		if err := replaceFile(e.Path(name), data, 0o644); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return nil
}

// replaceFile writes a file beside its goal and gives it its name when it is
// whole.
func replaceFile(path string, data []byte, mode os.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
