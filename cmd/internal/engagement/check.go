package engagement

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/provider"
	"github.com/mailproof/mailproof/diff"
)

// checkParallel is how many accounts are checked at once where nobody says. A
// check mostly waits, for the network and for the server to make a process for
// the account; an account has one connection open at a time, so each server
// sees half of them, and those known to take fewer get fewer.
const checkParallel = 32

// SideCheck is what one server says of one account.
type SideCheck struct {
	Err        error // why the account could not be signed in to, or read
	Server     mailproof.ServerInfo
	Provider   string // name of the preset that holds; empty: none
	Mailboxes  []mailproof.Mailbox
	Messages   int64
	Octets     int64 // sum of RFC822.SIZE; 0 of a destination that states no quota
	Largest    int64
	TooLarge   int64 // messages over the destination's limit
	QuotaUsed  int64
	QuotaLimit int64     // 0: none stated
	Rate       float64   // octets per second of a sample; 0: not measured
	Newest     time.Time // greatest INTERNALDATE
	Sampled    int       // messages whose octets were looked at for traits
	Traits     map[provider.Trait]int
	counts     map[string]int64
}

// Trouble is one thing about an account that stands in the way, or is to be
// known before the night.
type Trouble struct {
	ID      string         `json:"id"`             // stable, for scripts: "sign-in.refused", "quota.small"
	Side    mailproof.Side `json:"side,omitempty"` // of the server that is concerned
	Text    string         `json:"text"`           // in the space of a table
	Words   string         `json:"words,omitempty"`
	Means   string         `json:"means,omitempty"`
	Next    string         `json:"next,omitempty"`
	Menu    string         `json:"menu,omitempty"`
	Link    string         `json:"link,omitempty"`
	Warning bool           `json:"warning"` // to be known; the account is ready all the same
}

// Remedy says what it means and what to do, in one line; empty where the text
// says it all.
func (t Trouble) Remedy() string {
	return inWords(provider.Advice{Means: t.Means, Next: t.Next, Menu: t.Menu, Link: t.Link})
}

// AccountCheck is the readiness of one account.
type AccountCheck struct {
	Account     string
	Source      SideCheck
	Destination SideCheck
	Folders     []FolderPlan
	FolderNotes []string // what the folder map had to decide
	Problems    []string // what stands in the way; none means ready
	Warnings    []string
	Troubles    []Trouble // both of them again, with what they mean and what to do
}

// Ready reports whether nothing stands in the way.
func (c AccountCheck) Ready() bool { return len(c.Problems) == 0 }

// add keeps a trouble.
func (c *AccountCheck) add(t Trouble) {
	c.Troubles = append(c.Troubles, t)
	if t.Warning {
		c.Warnings = append(c.Warnings, t.Text)
	} else {
		c.Problems = append(c.Problems, t.Text)
	}
}

// checking is what the checks of all accounts share.
type checking struct {
	*Engagement
	mu       sync.Mutex
	gates    map[string]*gate
	measured map[string]*atomic.Int32 // source servers whose throughput was measured, and how often
	progress mailproof.Progress
}

// doing tells what is being done with an account.
func (c *checking) doing(a Account, what string) {
	c.progress.Add(mailproof.Tick{Account: a.Name, Mailbox: what})
}

// checked tells that an account was checked.
func (c *checking) checked(a Account, ready bool) {
	t := mailproof.Tick{Account: a.Name, Mailbox: "ready", Done: 1}
	if !ready {
		t.Mailbox, t.Refused = "not ready", 1
	}
	c.progress.Add(t)
}

// watched opens the display of something that is no pass, and says how much
// there is to do.
func (o Options) watched(planned int) (mailproof.Progress, func()) {
	if o.Progress == nil {
		return nil, func() {}
	}
	progress, done := o.Progress(0, 0)
	progress.Add(mailproof.Tick{Planned: int64(planned)})
	return progress, done
}

// Check signs in to every account on both sides, lists what is there and says
// what would go wrong. It writes nothing to a mailbox, and nothing to the
// ledger: see [RecordReadiness]. Its progress is opened without kind and side,
// and counts accounts.
func (o Options) Check(ctx context.Context) ([]AccountCheck, error) {
	e := &Engagement{Options: o}
	if e.Parallel <= 0 {
		e.Parallel = checkParallel
	}
	if err := e.parseRules(); err != nil {
		return nil, err
	}
	c := &checking{Engagement: e, gates: map[string]*gate{}, measured: map[string]*atomic.Int32{}}
	var done func()
	c.progress, done = o.watched(len(o.Accounts))
	defer done()
	out := make([]AccountCheck, len(o.Accounts))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(e.Parallel)
	for i, a := range o.Accounts {
		g.Go(func() error {
			out[i] = c.account(ctx, a)
			c.checked(a, out[i].Ready())
			return ctx.Err()
		})
	}
	return out, g.Wait()
}

// account checks one account: the destination first, whose limits the source's
// messages are held against.
func (c *checking) account(ctx context.Context, a Account) AccountCheck {
	out := AccountCheck{Account: a.Name}
	out.Destination = c.destination(ctx, a)
	var left omissions
	out.Source, left = c.source(ctx, a, &out.Destination)
	for _, s := range []struct {
		side  mailproof.Side
		check *SideCheck
	}{{mailproof.Source, &out.Source}, {mailproof.Destination, &out.Destination}} {
		if s.check.Err != nil {
			out.add(c.refusal(a, s.side, s.check))
		}
	}
	if len(out.Problems) == 0 {
		c.judge(a, &out, left)
	}
	return out
}

// refusal words why a side could not be checked.
func (c *checking) refusal(a Account, side mailproof.Side, s *SideCheck) Trouble {
	t := Trouble{ID: "other", Side: side, Text: side.String() + " " + brief(s.Err)}
	var se *mailproof.ServerError
	if errors.As(s.Err, &se) {
		t.Words = se.Words()
		t.ID = "error." + se.Kind.String()
	}
	info := s.Server
	if info.Address == "" {
		info.Address = a.Endpoint(side).Address()
	}
	if advice, ok := explain(s.Err, c.Rules.providerOf(a.Name, side, info)); ok {
		t.ID, t.Means, t.Next, t.Menu, t.Link = advice.ID, advice.Means, advice.Next, advice.Menu, advice.Link
	} else if hint := Hint(s.Err); hint != "" {
		t.Next = hint
	}
	return t
}

// brief is an error in the space of a table: the kind of trouble and the
// server's own words, without address and user, which the row has.
func brief(err error) string {
	var se *mailproof.ServerError
	switch {
	case !errors.As(err, &se):
		return "cannot be signed in to: " + err.Error()
	case se.Kind == mailproof.ErrAuth && se.Code != "":
		return "refused the sign-in: " + se.Code
	case se.Kind == mailproof.ErrAuth && se.Text != "":
		return "refused the sign-in: " + se.Text
	case se.Words() != "":
		return se.Kind.String() + ": " + se.Words()
	case se.Err != nil:
		return se.Kind.String() + ": " + shorten(se.Err)
	}
	return se.Kind.String()
}

// shorten leaves out of an error of the network what repeats the address, and
// the library's words where ours stand before them.
func shorten(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return fmt.Sprintf("%s (%s)", dns.Name, dns.Err)
	}
	text := err.Error()
	own := len(text)
	for _, library := range []string{": x509: ", ": tls: "} {
		if i := strings.Index(text, library); i > 0 {
			own = min(own, i)
		}
	}
	if own < len(text) {
		return text[:own]
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(next) {
		if inner := next.Error(); len(inner) > 3 {
			text = inner
		}
	}
	return text
}

// judge looks at both sides together: limits, quota, folders and what the
// destination refuses.
func (c *checking) judge(a Account, out *AccountCheck, left omissions) {
	src, dst := &out.Source, &out.Destination
	if len(src.Mailboxes) == 0 {
		out.add(Trouble{ID: "folders.none", Side: mailproof.Source, Text: "the source lists no folder at all, not even INBOX"})
	}
	c.judgeSizes(a, out)
	c.planFolders(a, out, left)
	c.judgeTraits(a, out)
	for _, s := range []struct {
		side  mailproof.Side
		check *SideCheck
	}{{mailproof.Source, src}, {mailproof.Destination, dst}} {
		judgeCertificate(out, s.side, s.check.Server)
		judgeClock(out, s.side, s.check)
	}
}

func (c *checking) judgeSizes(a Account, out *AccountCheck) {
	src, dst := &out.Source, &out.Destination
	if src.TooLarge > 0 {
		limit := provider.MessageLimit(dst.Server, c.Rules.providerOf(a.Name, mailproof.Destination, dst.Server))
		verb := "exceed"
		if src.TooLarge == 1 {
			verb = "exceeds"
		}
		advice, _ := provider.ExplainText("[TOOBIG]", nil)
		out.add(Trouble{ID: "message.too-large", Side: mailproof.Destination, Means: advice.Means, Next: advice.Next, Menu: advice.Menu,
			Text: fmt.Sprintf("%s %s the destination's limit of %s", terminal.Of(src.TooLarge, "message", "messages"), verb, terminal.Size(limit))})
	}
	if dst.QuotaLimit <= 0 {
		return
	}
	need, room := max(0, src.Octets-dst.Octets), dst.QuotaLimit-dst.QuotaUsed
	switch {
	case need > room:
		out.add(Trouble{ID: "quota.small", Side: mailproof.Destination, Next: "raise the quota of the destination mailbox before the copy",
			Text: fmt.Sprintf("the destination has room for %s of %s: over quota", terminal.Size(max(0, room)), terminal.Size(need))})
	case need > room/10*9:
		out.add(Trouble{ID: "quota.tight", Side: mailproof.Destination, Warning: true, Next: "raise the quota of the destination mailbox: new mail arrives, too",
			Text: fmt.Sprintf("the destination's quota will be nearly full: %s for %s", terminal.Size(room), terminal.Size(need))})
	}
}

// judgeTraits says what the destination refuses or changes of the messages that
// were looked at.
func (c *checking) judgeTraits(a Account, out *AccountCheck) {
	p := c.Rules.providerOf(a.Name, mailproof.Destination, out.Destination.Server)
	if p == nil || out.Source.Sampled == 0 {
		return
	}
	say := func(traits []provider.Trait, id, verb, next string, warning bool) {
		for _, t := range traits {
			if n := out.Source.Traits[t]; n > 0 {
				out.add(Trouble{ID: id + "." + string(t), Side: mailproof.Destination, Warning: warning, Next: next,
					Text: fmt.Sprintf("%d of %d messages looked at hold %s: the destination %s them", n, out.Source.Sampled, t.Meaning(), verb)})
			}
		}
	}
	say(p.Refusals(), "message.refused", "refuses", "they become exceptions to decide on; on Cyrus see reject8bit and the import of message files", false)
	say(p.Alterations(), "message.changed", "changes", "they will be altered or equivalent, and the report says so; on Cyrus munge8bit: no keeps them", true)
}

// soon is when a certificate that is about to end is a warning.
const soon = 14 * 24 * time.Hour

func judgeCertificate(out *AccountCheck, side mailproof.Side, info mailproof.ServerInfo) {
	if info.CertNotAfter.IsZero() {
		return
	}
	if left := time.Until(info.CertNotAfter); left < soon {
		out.add(Trouble{ID: "tls.ends-soon", Side: side, Warning: true, Next: "have it renewed before the migration",
			Text: fmt.Sprintf("the certificate of the %s ends on %s", side, info.CertNotAfter.UTC().Format(time.DateOnly))})
	}
}

// maxSkew is how far a clock may be off before it is worth a word.
const maxSkew = 2 * time.Minute

func judgeClock(out *AccountCheck, side mailproof.Side, s *SideCheck) {
	offset, ok := ClockOffset(s.Server.Greeting, time.Now())
	if !ok && !s.Newest.IsZero() {
		// A message that was stored in the future tells that the clock which
		// stored it is ahead; one of the past tells nothing.
		if ahead := time.Until(s.Newest); ahead > maxSkew && ahead < 26*time.Hour {
			offset, ok = ahead, true
		}
	}
	if ok && (offset > maxSkew || offset < -maxSkew) {
		ahead := "ahead of"
		if offset < 0 {
			ahead, offset = "behind", -offset
		}
		out.add(Trouble{ID: "clock.offset", Side: side, Warning: true, Next: "set the clocks by NTP: tokens, certificates and dates depend on them",
			Text: fmt.Sprintf("the clock of the %s is %s %s this machine's", side, terminal.Duration(offset), ahead)})
	}
}

// hold counts an account's messages against the destination's limit.
func (s *SideCheck) hold(md mailproof.Metadata, limit int64) {
	s.Messages++
	s.Octets += md.Size
	s.Largest = max(s.Largest, md.Size)
	if limit > 0 && md.Size > limit {
		s.TooLarge++
	}
	if md.InternalDate.After(s.Newest) {
		s.Newest = md.InternalDate
	}
}

// FolderPlan is where one source folder goes.
type FolderPlan struct {
	Source      string `json:"source"`
	Destination string `json:"destination,omitempty"` // empty: it stays behind
	Messages    int64  `json:"messages"`
	Exists      bool   `json:"exists"`             // on the destination
	LeftOut     string `json:"left_out,omitempty"` // the rule
	Problem     string `json:"problem,omitempty"`
}

// planFolders maps the folders as a copy would, and says what stands in the
// way of it.
func (c *checking) planFolders(a Account, out *AccountCheck, left omissions) {
	rules := c.rulesOf(a.Name)
	rules.Refused = c.refusedCharacters(a.Name, out.Destination.Server)
	exclude := left.excluded(rules.Excluded)
	ps := c.Rules.providerOf(a.Name, mailproof.Source, out.Source.Server)
	pd := c.Rules.providerOf(a.Name, mailproof.Destination, out.Destination.Server)
	dest := pd.Annotate(mailproof.Destination, out.Destination.Mailboxes)
	var in []mailproof.Mailbox
	for i, m := range ps.Annotate(mailproof.Source, out.Source.Mailboxes) {
		if rule, gone := exclude(out.Source.Mailboxes[i]); gone {
			out.Folders = append(out.Folders, FolderPlan{Source: m.Name, Messages: out.Source.counts[m.Name], LeftOut: rule})
			continue
		}
		in = append(in, m)
	}
	folders, notes := diff.NewFolderMap(in, dest, rules)
	for _, n := range notes {
		out.FolderNotes = append(out.FolderNotes, n.String())
	}
	like := mailproof.Mailbox{Separator: "/"}
	if len(dest) > 0 {
		like.Separator, like.Prefix = dest[0].Separator, dest[0].Prefix
	}
	for _, m := range in {
		target, ok := folders.Target(m.Name)
		if !ok || m.NoSelect {
			continue
		}
		f := FolderPlan{Source: m.Name, Destination: target, Messages: out.Source.counts[m.Name]}
		f.Exists = slices.ContainsFunc(dest, func(d mailproof.Mailbox) bool { return d.Name == target })
		name := like
		name.Name = target
		if f.Problem = pd.RefusesName(name, f.Exists); f.Problem != "" {
			out.add(Trouble{ID: "folder.name", Side: mailproof.Destination, Next: fmt.Sprintf("give it another name: --map %q", m.Name+"=NEW"),
				Text: fmt.Sprintf("folder %q: %s", m.Name, f.Problem)})
		}
		out.Folders = append(out.Folders, f)
	}
	for _, k := range left.kept {
		text := fmt.Sprintf("%q has %s of its own: copied whole", k.Folder, terminal.Of(k.Alone, "message", "messages"))
		if k.Alone < 0 {
			text = fmt.Sprintf("%q may have messages of its own: copied whole", k.Folder)
		}
		out.add(Trouble{ID: "folder.view", Side: mailproof.Source, Warning: true, Text: text,
			Next: "give archived messages a label, and their copies are not made twice; or leave the folder out with --exclude and accept that"})
	}
}
