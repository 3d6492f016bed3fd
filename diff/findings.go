package diff

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// The checks of an account, beside mailproof.CheckInventory. See the package
// comment for what each does to the verdict.
const (
	CheckDrift                 = "inventory.drift"
	CheckExists                = "inventory.exists"
	CheckMissing               = "messages.missing"
	CheckAltered               = "messages.altered"
	CheckCollapsed             = "messages.collapsed"
	CheckToTrash               = "messages.relocated-to-trash"
	CheckUnverifiable          = "messages.unverifiable"
	CheckDestinationUnreadable = "messages.destination-unreadable"
	CheckNotChecked            = "messages.not-checked"
	CheckBalance               = "ledger.balance"
	CheckFoldersAbsent         = "folders.absent"
	CheckFolderMap             = "folders.map"
	CheckFlags                 = "messages.flags"
	CheckDates                 = "messages.dates"
	CheckSignatures            = "messages.signatures"
	CheckLabels                = "messages.labels"
	CheckSizes                 = "messages.sizes"
)

// finish folds what was counted into the result.
func (a *account) finish() mailproof.AccountResult {
	r := &a.result
	for i := range r.Folders {
		f := &r.Folders[i]
		r.Counts.Add(f.Counts)
		r.FlagsDiffer += f.FlagsDiffer
		r.DatesDiffer += f.DatesDiffer
		r.SignaturesChanged += f.SignaturesChanged
	}
	r.Exceptions, r.ExceptionsOmitted = a.exceptions()
	r.Findings = a.findings()
	r.Verdict = mailproof.Roll(r.Findings)
	return *r
}

func (a *account) findings() []mailproof.Finding {
	fs := []mailproof.Finding{a.inventory(a.e.src, &a.e.srcReading), a.inventory(a.e.dst, &a.e.dstReading)}
	fs = append(fs, a.drift()...)
	fs = append(fs, a.exists()...)
	fs = append(fs, a.decided()...)
	fs = append(fs, a.notChecked()...)
	fs = append(fs, a.balance())
	fs = append(fs, a.absent()...)
	fs = append(fs, a.mapped()...)
	fs = append(fs, a.beside()...)
	fs = append(fs, a.e.sizes.finding()...)
	for i := range fs {
		fs[i].Account = a.result.Account
	}
	return fs
}

// inventory says whether one side was read to its end. Single messages that
// could not be read are findings of their own.
func (a *account) inventory(s *side, r *reading) mailproof.Finding {
	f := mailproof.Finding{Check: mailproof.CheckInventory, Outcome: mailproof.OutcomePass, Expected: fmt.Sprintf("the %v is read to its end", s.which), Time: s.scan.Finished}
	switch {
	case r.gap != "":
		f.Outcome, f.Observed = mailproof.OutcomeUnknown, fmt.Sprintf("the %v %s", s.which, r.gap)
		f.Remedy = fmt.Sprintf("run mailproof inventory --side %v", s.which)
	case len(r.boxes) > 0:
		var names []string
		for _, i := range r.boxes {
			name := quote(s.boxes[i].Name)
			if s.boxes[i].Error != "" {
				name += ": " + s.boxes[i].Error
			}
			names = append(names, name)
		}
		f.Outcome, f.Observed = mailproof.OutcomeUnknown, fmt.Sprintf("%s of the %v not read to the end: %s", plural(int64(len(names)), "folder"), s.which, pinned(names))
		f.Mailbox = s.boxes[r.boxes[0]].Name
		f.Remedy = fmt.Sprintf("run mailproof inventory --side %v", s.which)
	default:
		f.Observed = fmt.Sprintf("the %v was read to its end: %s", s.which, plural(int64(s.ids.n), "message"))
	}
	return f
}

// firstFew is how many names of a list are written out.
const firstFew = 5

// some lists the first few.
func some(names []string) string {
	if len(names) > firstFew {
		return strings.Join(names[:firstFew], ", ") + fmt.Sprintf(" and %s more", number(int64(len(names)-firstFew)))
	}
	return strings.Join(names, ", ")
}

// pinned lists the first few, and says of the others which they are: somebody
// may accept the finding, and that speaks of no other list.
func pinned(names []string) string {
	text := some(names)
	if len(names) > firstFew {
		sum := sha256.Sum256([]byte(strings.Join(names, "\n")))
		text += fmt.Sprintf(" (list %x)", sum[:4])
	}
	return text
}

// drift finds mailboxes that changed while they were read. Another UIDVALIDITY
// makes the UIDs that were read those of other messages.
func (a *account) drift() []mailproof.Finding {
	var fs []mailproof.Finding
	for _, s := range []*side{a.e.src, a.e.dst} {
		var names []string
		for i, b := range s.boxes {
			renumbered := b.Before.UIDValidity != b.After.UIDValidity && b.Before.UIDValidity != 0 && b.After.UIDValidity != 0
			if !s.out[i] && (b.Drifted || b.Complete && renumbered) {
				names = append(names, quote(b.Name))
			}
		}
		if len(names) > 0 {
			fs = append(fs, mailproof.Finding{
				Check: CheckDrift, Outcome: mailproof.OutcomeUnknown, Expected: "folders do not change while they are read",
				// The pass is named because somebody may accept the finding: that
				// speaks of one reading, and not of the next.
				Observed: fmt.Sprintf("%s of the %v changed while being read by pass %d: %s", plural(int64(len(names)), "folder"), s.which, s.scan.Pass, pinned(names)),
				Remedy:   fmt.Sprintf("run mailproof inventory --side %v when the account is quiet", s.which),
			})
		}
	}
	return fs
}

// exists finds mailboxes of which the server announced another number of
// messages than the inventory has.
func (a *account) exists() []mailproof.Finding {
	var fs []mailproof.Finding
	for _, s := range []*side{a.e.src, a.e.dst} {
		var names []string
		for i, b := range s.boxes {
			still := b.Before.UIDValidity != 0 && b.Before.SameContents(b.After)
			if !s.out[i] && b.Complete && !b.Drifted && still && int64(b.Before.Exists) != b.Present {
				names = append(names, fmt.Sprintf("%s: announced %s, recorded %s", quote(b.Name), number(int64(b.Before.Exists)), number(b.Present)))
			}
		}
		if len(names) > 0 {
			fs = append(fs, mailproof.Finding{
				Check: CheckExists, Outcome: mailproof.OutcomeUnknown, Expected: "as many messages as the server announces",
				Observed: fmt.Sprintf("the %v: %s", s.which, pinned(names)),
				Remedy:   fmt.Sprintf("run mailproof inventory --side %v --reverify", s.which), Reference: "RFC 9051 §7.4.1",
			})
		}
	}
	return fs
}

// decided makes one finding for each kind of exception that decides.
func (a *account) decided() []mailproof.Finding {
	var fs []mailproof.Finding
	for _, c := range []struct {
		check, expected, observed, remedy string
		outcome                           mailproof.Outcome
	}{
		{CheckMissing, "every source message is on the destination", "%s missing", "run mailproof copy, then inventory and diff; decide on what remains", mailproof.OutcomeFail},
		{CheckAltered, "every counterpart is intact", "%s altered", "see the reasons of each; decide on them or copy them by hand", mailproof.OutcomeFail},
		{CheckCollapsed, "as many copies as on the source", "%s of which the destination has fewer copies", "run mailproof copy, or accept that the destination keeps one copy", mailproof.OutcomeFail},
		{CheckToTrash, "nothing lies in a folder that servers empty", "%s found in a trash or junk folder only", "move them to their folder on the destination, then inventory and diff", mailproof.OutcomeFail},
		{CheckUnverifiable, "every source message can be judged", "%s that cannot be judged", "run mailproof inventory again; see the reasons", mailproof.OutcomeUnknown},
		{CheckDestinationUnreadable, "every destination message can be read", "%s of the destination that cannot be read", "run mailproof inventory --side destination again; see the reasons", mailproof.OutcomeUnknown},
	} {
		t := a.tallies[c.check]
		if t == nil {
			continue
		}
		outcome, observed := c.outcome, fmt.Sprintf(c.observed, plural(t.total, "message"))+" "+inFolders(t.folders)
		switch {
		case t.accepted == t.total:
			outcome = mailproof.OutcomeAccepted
			observed += "; all accepted"
		case t.accepted > 0:
			observed += fmt.Sprintf("; %s accepted", number(t.accepted))
		}
		fs = append(fs, mailproof.Finding{Check: c.check, Outcome: outcome, Expected: c.expected, Observed: observed, Remedy: c.remedy})
	}
	return fs
}

func inFolders(folders map[string]int64) string {
	names := make([]string, 0, len(folders))
	for name := range folders {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(folders[b], folders[a]), cmp.Compare(a, b)) })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s (%s)", quote(name), number(folders[name]))
	}
	return "in " + some(names)
}

func (a *account) notChecked() []mailproof.Finding {
	n := a.result.Counts.NotChecked
	if n == 0 {
		return nil
	}
	return []mailproof.Finding{{
		Check: CheckNotChecked, Outcome: mailproof.OutcomeUnknown, Expected: "the content of every source message is compared",
		Observed: plural(n, "message") + " whose content was not read", Remedy: "run mailproof inventory at full depth",
	}}
}

// balance checks the ledger equation: what the inventories counted against the
// sum of the verdicts, per folder and for the account.
func (a *account) balance() mailproof.Finding {
	f := mailproof.Finding{Check: CheckBalance, Outcome: mailproof.OutcomePass, Expected: "every message has exactly one verdict", Observed: "balanced"}
	var bad []string
	for _, x := range a.result.Folders {
		if !x.Counts.FolderBalanced() {
			bad = append(bad, fmt.Sprintf("%s: %s", quote(cmp.Or(x.Source, x.Destination)), equation(x.Counts)))
		}
	}
	if len(bad) == 0 && !a.result.Counts.Balanced() {
		bad = append(bad, equation(a.result.Counts))
	}
	if len(bad) > 0 {
		f.Outcome, f.Observed, f.Remedy = mailproof.OutcomeUnknown, some(bad), "run mailproof inventory again on both sides"
	}
	return f
}

func equation(c mailproof.Counts) string {
	return fmt.Sprintf("source %s counted, %s judged; destination %s counted, %s judged",
		number(c.SourceMessages), number(c.SourceSum()), number(c.DestinationMessages), number(c.DestinationSum()))
}

// absent finds source folders whose destination does not exist.
func (a *account) absent() []mailproof.Finding {
	if a.e.dstReading.gap != "" {
		return nil
	}
	var names []string
	for i := range a.e.src.boxes {
		b := &a.e.src.boxes[i]
		if !a.e.src.out[i] && !b.NoSelect && a.e.target[i] < 0 {
			names = append(names, quote(b.Name))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []mailproof.Finding{{
		Check: CheckFoldersAbsent, Outcome: mailproof.OutcomeWarn, Expected: "every source folder has a folder on the destination",
		Observed: fmt.Sprintf("%s without one: %s", plural(int64(len(names)), "folder"), some(names)), Remedy: "run mailproof copy",
	}}
}

// mapped passes on what the folder map has to say.
func (a *account) mapped() []mailproof.Finding {
	var texts []string
	for _, w := range a.e.warnings {
		if w.Code != warnRuleUnused {
			texts = append(texts, w.Text)
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return []mailproof.Finding{{Check: CheckFolderMap, Outcome: mailproof.OutcomeInfo, Observed: some(texts)}}
}

// beside reports the differences beside the verdicts.
func (a *account) beside() []mailproof.Finding {
	var fs []mailproof.Finding
	for _, x := range []struct {
		check, observed string
		n               int64
	}{
		{CheckFlags, "%s with other flags or keywords", a.result.FlagsDiffer},
		{CheckDates, "%s with another INTERNALDATE", a.result.DatesDiffer},
		{CheckSignatures, "%s whose signed part was encoded anew: its signature no longer verifies", a.result.SignaturesChanged},
	} {
		if x.n > 0 {
			fs = append(fs, mailproof.Finding{Check: x.check, Outcome: mailproof.OutcomeWarn, Observed: fmt.Sprintf(x.observed, plural(x.n, "message"))})
		}
	}
	var n int64
	for _, of := range a.unlabel {
		n += of
	}
	if n > 0 {
		fs = append(fs, mailproof.Finding{
			Check: CheckLabels, Outcome: mailproof.OutcomeWarn, Expected: "a message keeps its labels",
			Observed: plural(n, "message") + " under a label that the source hides from IMAP and the destination lacks, " + inFolders(a.unlabel),
			Remedy:   "in Gmail's settings let IMAP show the label, then inventory and copy again; mailproof diff --format lines names each",
		})
	}
	return fs
}
