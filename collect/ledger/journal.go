package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// BeginCopy records that a copy pass takes up an account. [Ledger.Intend] does
// so by itself for the accounts of its steps; a copy pass that finds nothing to
// do for an account says so with BeginCopy and EndCopy.
func (l *Ledger) BeginCopy(ctx context.Context, pass mailproof.PassID, account string) error {
	return l.write(ctx, committed, 1, func(t *tx) error {
		_, err := t.copyAccount(pass, account)
		return err
	})
}

// EndCopy records that a copy pass carried out everything that was planned for
// an account, refusals included. From then on the flags that the source had when
// the copy was planned are the base of later comparisons
// ([mailproof.Row.BaseFlags]). A copy pass that ends as [mailproof.PassDone]
// ends all its accounts. Calling it again does nothing.
func (l *Ledger) EndCopy(ctx context.Context, pass mailproof.PassID, account string) error {
	return l.write(ctx, durable, 1, func(t *tx) error {
		id, err := t.copyAccount(pass, account)
		if err != nil {
			return err
		}
		_, err = t.exec("UPDATE copy_account SET finished = ? WHERE pass = ? AND account = ? AND finished = ''", now(), int64(pass), id)
		return err
	})
}

func (t *tx) copyAccount(pass mailproof.PassID, account string) (int64, error) {
	id, err := t.account(account)
	if err != nil {
		return 0, err
	}
	_, err = t.exec("INSERT INTO copy_account (pass, account) VALUES (?, ?) ON CONFLICT DO NOTHING", int64(pass), id)
	return id, err
}

// Intend records steps before they are carried out, and returns when that is on
// disk: an append whose fate is unknown after a crash is then known by name.
func (l *Ledger) Intend(ctx context.Context, pass mailproof.PassID, steps []mailproof.Step) error {
	if len(steps) == 0 {
		return nil
	}
	steps = slices.Clone(steps)
	return l.write(ctx, durable, len(steps), func(t *tx) error {
		for i := range steps {
			if _, err := t.intend(pass, &steps[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// subject is the message that a step is about; zero for those about a mailbox.
func subject(s *mailproof.Step) mailproof.MessageKey {
	switch s.Kind {
	case mailproof.AppendMessage:
		return s.Source
	case mailproof.StoreFlags:
		return s.Destination
	default:
		return mailproof.MessageKey{}
	}
}

// intend adds one step and returns its number.
func (t *tx) intend(pass mailproof.PassID, s *mailproof.Step) (int64, error) {
	if _, err := mailproof.ParseStepKind(s.Kind.String()); err != nil {
		return 0, err
	}
	account, err := t.copyAccount(pass, s.Account)
	if err != nil {
		return 0, err
	}
	message, err := t.message(subject(s))
	if err != nil {
		return 0, err
	}
	add := s.Flags
	if s.Kind == mailproof.StoreFlags {
		add = s.AddFlags
	}
	flags, err := t.flagset(add.String())
	if err != nil {
		return 0, err
	}
	remove, err := t.flagset(s.RemoveFlags.String())
	if err != nil {
		return 0, err
	}
	seconds, zone := dateColumns(s.InternalDate)
	var t0 any
	if !s.T0.IsZero() {
		t0 = s.T0[:]
	}
	return t.insert(`INSERT INTO step (pass, account, kind, target, message, special_use, internaldate, zone, flags, remove, size, t0, intended)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(pass), account, s.Kind.String(), s.Target, message, string(s.SpecialUse), seconds, zone, flags, remove, s.Size, t0, now())
}

// RecordStep records how one step ended, and returns when that is on disk.
func (l *Ledger) RecordStep(ctx context.Context, pass mailproof.PassID, r mailproof.StepResult) error {
	return l.Record(ctx, pass, []mailproof.StepResult{r})
}

// Record records how steps ended, and returns when that is on disk. A step that
// was not intended in the pass is added; a second result of a step is one of a
// step of its own. A zero Finished means now.
func (l *Ledger) Record(ctx context.Context, pass mailproof.PassID, results []mailproof.StepResult) error {
	if len(results) == 0 {
		return nil
	}
	results = slices.Clone(results)
	return l.write(ctx, durable, 2*len(results), func(t *tx) error {
		for i := range results {
			if err := t.stepResult(pass, &results[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) stepResult(pass mailproof.PassID, r *mailproof.StepResult) error {
	if r.State == mailproof.StepPending {
		return errors.New("ledger: a step's result is done, refused or failed")
	}
	step, err := t.openStep(pass, &r.Step)
	if err != nil {
		return err
	}
	if r.Finished.IsZero() {
		r.Finished = time.Now()
	}
	_, err = t.exec("INSERT INTO step_result (step, state, reason, uidvalidity, uid, octets, finished) VALUES (?, ?, ?, ?, ?, ?, ?)",
		step, stepStateText(r.State), r.Reason, int64(r.UIDValidity), int64(r.UID), r.Octets, timeText(r.Finished))
	return err
}

// openStep finds the first intention of the same step that has no result yet,
// or adds one.
func (t *tx) openStep(pass mailproof.PassID, s *mailproof.Step) (int64, error) {
	account, err := t.account(s.Account)
	if err != nil {
		return 0, err
	}
	message, err := t.message(subject(s))
	if err != nil {
		return 0, err
	}
	var id int64
	ok, err := t.get(`SELECT id FROM step WHERE message = ? AND target = ? AND kind = ? AND account = ? AND pass = ?
		AND NOT EXISTS (SELECT 1 FROM step_result r WHERE r.step = step.id) ORDER BY id LIMIT 1`,
		[]any{message, s.Target, s.Kind.String(), account, int64(pass)}, &id)
	if err != nil || ok {
		return id, err
	}
	return t.intend(pass, s)
}

var stepStateNames = []string{mailproof.StepPending: "pending", mailproof.StepDone: "done", mailproof.StepRefused: "refused", mailproof.StepFailed: "failed"}

func stepStateText(s mailproof.StepState) string { return stepStateNames[s] }

func parseStepState(text string) (mailproof.StepState, error) {
	i := slices.Index(stepStateNames, text)
	if i < 0 {
		return 0, fmt.Errorf("%w: step state %q", ErrDamaged, text)
	}
	return mailproof.StepState(i), nil
}

// JournalEntry is a step of the copy journal: a claim, no evidence. State is
// [mailproof.StepPending] where no result was recorded.
type JournalEntry struct {
	Pass     mailproof.PassID
	Intended time.Time
	mailproof.StepResult
}

// StepFilter says which steps are wanted; its zero value means all.
type StepFilter struct {
	Pass    mailproof.PassID      // 0: of every pass
	Account string                // empty: of every account
	Kinds   []mailproof.StepKind  // none: of every kind
	States  []mailproof.StepState // none: in every state
	Source  mailproof.MessageKey  // the message appended; zero: any
	// Latest leaves out every step after which the same thing was tried
	// again, with a result: what is left is how things stand.
	Latest bool
}

func (f StepFilter) where() (string, []any) {
	conditions, args := []string{"1"}, []any{}
	add := func(condition string, values ...any) {
		conditions = append(conditions, condition)
		args = append(args, values...)
	}
	if f.Pass != 0 {
		add("s.pass = ?", int64(f.Pass))
	}
	if f.Account != "" {
		add("a.name = ?", f.Account)
	}
	if len(f.Kinds) > 0 {
		var names []any
		for _, k := range f.Kinds {
			names = append(names, k.String())
		}
		add("s.kind IN "+values(len(names), 1), names...)
	}
	if len(f.States) > 0 {
		var names []any
		for _, s := range f.States {
			names = append(names, stepStateText(s))
		}
		add("coalesce(r.state, 'pending') IN "+values(len(names), 1), names...)
	}
	if f.Source != (mailproof.MessageKey{}) {
		add(`s.kind = 'append' AND s.message = (SELECT e.id << 32 | ? FROM epoch e JOIN mailbox b ON b.id = e.mailbox JOIN account c ON c.id = b.account
			WHERE c.name = ? AND b.side = ? AND b.name = ? AND e.uidvalidity = ?)`,
			int64(f.Source.UID), f.Source.Account, sideText(f.Source.Side), f.Source.Mailbox, int64(f.Source.UIDValidity))
	}
	if f.Latest {
		add(`NOT EXISTS (SELECT 1 FROM step n JOIN step_result q ON q.step = n.id
			WHERE n.message = s.message AND n.target = s.target AND n.kind = s.kind AND n.account = s.account AND n.id > s.id)`)
	}
	return strings.Join(conditions, " AND "), args
}

// Steps yields the steps of the copy journal that the filter lets through, in
// the order in which they were intended.
func (l *Ledger) Steps(ctx context.Context, f StepFilter) iter.Seq2[JournalEntry, error] {
	return func(yield func(JournalEntry, error) bool) {
		goOn := true
		err := l.snapshot(ctx, func(r *reader) error {
			where, args := f.where()
			return r.each(ctx, stepQuery+" WHERE "+where+" ORDER BY s.id", args, func(row scanFunc) error {
				e, err := r.journalEntry(ctx, row)
				if err != nil {
					return err
				}
				if goOn = yield(e, nil); !goOn {
					return errEnough
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, errEnough) && goOn {
			yield(JournalEntry{}, err)
		}
	}
}

// StepCount is how many steps of one kind are in one state.
type StepCount struct {
	Kind  mailproof.StepKind
	State mailproof.StepState
	Steps int64
}

// StepCounts counts the steps that [Ledger.Steps] would yield.
func (l *Ledger) StepCounts(ctx context.Context, f StepFilter) (counts []StepCount, err error) {
	where, args := f.where()
	err = l.each(ctx, `SELECT s.kind, coalesce(r.state, 'pending'), count(*) FROM step s JOIN account a ON a.id = s.account LEFT JOIN step_result r ON r.step = s.id
		WHERE `+where+" GROUP BY 1, 2 ORDER BY 1, 2", args, func(row scanFunc) error {
		var c StepCount
		var kind, state string
		if err := row(&kind, &state, &c.Steps); err != nil {
			return err
		}
		if c.Kind, err = mailproof.ParseStepKind(kind); err != nil {
			return err
		}
		if c.State, err = parseStepState(state); err != nil {
			return err
		}
		counts = append(counts, c)
		return nil
	})
	return counts, err
}

// Intended yields the appends for an account that were intended, whose result
// was never recorded and which were not tried again since: after a crash nobody
// but the destination knows what became of them.
func (l *Ledger) Intended(ctx context.Context, account string) iter.Seq2[JournalEntry, error] {
	return l.Steps(ctx, StepFilter{Account: account, Kinds: []mailproof.StepKind{mailproof.AppendMessage},
		States: []mailproof.StepState{mailproof.StepPending}, Latest: true})
}

// LatestStep returns how the last append of a source message ended; ok is false
// where none has a result.
func (l *Ledger) LatestStep(ctx context.Context, source mailproof.MessageKey) (last JournalEntry, ok bool, err error) {
	for e, err := range l.Steps(ctx, StepFilter{Source: source, States: []mailproof.StepState{mailproof.StepDone, mailproof.StepRefused, mailproof.StepFailed}}) {
		if err != nil {
			return JournalEntry{}, false, err
		}
		last, ok = e, true
	}
	return last, ok, nil
}

const stepQuery = `SELECT s.pass, a.name, s.kind, s.target, s.special_use, s.internaldate, s.zone, s.flags, s.remove, s.size, s.t0, s.intended,
	s.message, b.side, c.name, b.name, e.uidvalidity, coalesce(r.state, 'pending'), r.reason, r.uidvalidity, r.uid, r.octets, r.finished
	FROM step s JOIN account a ON a.id = s.account LEFT JOIN step_result r ON r.step = s.id
	LEFT JOIN epoch e ON e.id = s.message >> 32 LEFT JOIN mailbox b ON b.id = e.mailbox LEFT JOIN account c ON c.id = b.account`

func (r *reader) journalEntry(ctx context.Context, row scanFunc) (e JournalEntry, err error) {
	var kind, state string
	var seconds, uidvalidity, claimedValidity, claimedUID, octets sql.NullInt64
	var zone, flags, remove, message int64
	var owner, mailbox, reason sql.NullString
	var t0 []byte
	var key mailproof.MessageKey
	s := &e.Step
	if err := row(&e.Pass, &s.Account, &kind, &s.Target, &s.SpecialUse, &seconds, &zone, &flags, &remove, &s.Size, &t0, textTime{&e.Intended},
		&message, enum{&key.Side}, &owner, &mailbox, &uidvalidity, &state, &reason, &claimedValidity, &claimedUID, &octets, textTime{&e.Finished}); err != nil {
		return e, err
	}
	if s.Kind, err = mailproof.ParseStepKind(kind); err != nil {
		return e, err
	}
	if e.State, err = parseStepState(state); err != nil {
		return e, err
	}
	e.Reason, e.Octets = reason.String, octets.Int64
	e.UIDValidity, e.UID = uint32(claimedValidity.Int64), mailproof.UID(claimedUID.Int64)
	s.InternalDate = dateOf(seconds, zone)
	copy(s.T0[:], t0)
	add, err := r.flagset(ctx, flags)
	if err != nil {
		return e, err
	}
	key.Account, key.Mailbox, key.UIDValidity, key.UID = owner.String, mailbox.String, uint32(uidvalidity.Int64), uidOf(message)
	switch s.Kind {
	case mailproof.AppendMessage:
		s.Source, s.Flags = key, add
	case mailproof.StoreFlags:
		s.Destination, s.AddFlags = key, add
		s.RemoveFlags, err = r.flagset(ctx, remove)
	}
	return e, err
}
