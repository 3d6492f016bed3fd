// Package engagement joins the rooms of the house over one engagement: it
// dials the servers, runs the passes of inventory, copy, diff and DNS over all
// accounts, and puts the report's Document together from the ledger. It
// decides nothing about mail itself: verdicts come from diff and Roll.
//
// An account that cannot be reached is recorded in the ledger as such and
// never stops the others. What ends a pass for all is a ledger that cannot be
// written, and the user.
//
// # How a sample is compared
//
// At the depth of a sample the source is read by the sample and the
// destination in full. Which destination message is the counterpart of a
// source message cannot be told before it is read: servers that rebuild
// messages keep neither size nor, always, INTERNALDATE, and a Message-ID
// names what may be damaged. To read the likely ones only would leave the
// unlikely counterpart unread, and then nothing could be said of its source.
// What a sample saves is the reading of the source: the server that is slow,
// throttled or about to be switched off.
//
// A sampled message may find its counterpart in the copy of a twin that was
// not sampled. So a sample tells that content has arrived intact, and not that
// there are as many copies as before.
package engagement

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/collect"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/collect/spool"
	"github.com/mailproof/mailproof/collect/transfer"
	"github.com/mailproof/mailproof/diff"
	"github.com/mailproof/mailproof/report"
)

// ErrStopped is returned when the user asked to stop and the work came to its
// end at a message boundary.
var ErrStopped = errors.New("stopped on request")

// The files of an engagement, beside mailproof.toml.
const (
	LedgerFile = "mailproof.db"
	HTMLFile   = report.HTMLName
	PDFFile    = report.PDFName
	JSONFile   = report.JSONName
)

// Account is an account with the means to get its passwords.
type Account struct {
	mailproof.Account
	SourcePassword      Password
	DestinationPassword Password
	// Where the server wants OAuth 2, tokens take the place of a password.
	SourceTokens, DestinationTokens imapconn.Tokens
	// Keys of client certificates that are in no file, in PEM form; nil: the
	// endpoint names the file.
	SourceKey, DestinationKey Password
}

// Password fetches a password when it is needed and no sooner; nil where none
// was given.
type Password func(ctx context.Context) (mailproof.Secret, error)

func (a Account) password(side mailproof.Side) Password {
	if side == mailproof.Source {
		return a.SourcePassword
	}
	return a.DestinationPassword
}

func (a Account) clientKey(side mailproof.Side) Password {
	if side == mailproof.Source {
		return a.SourceKey
	}
	return a.DestinationKey
}

func (a Account) tokens(side mailproof.Side) imapconn.Tokens {
	if side == mailproof.Source {
		return a.SourceTokens
	}
	return a.DestinationTokens
}

// Options says what to work on and how.
type Options struct {
	Accounts []Account
	// Roster names the accounts that were given, before any selection among
	// them; RosterWhole says that they are all that there are, as a list of
	// accounts is, and one account by itself is not.
	Roster      []string
	RosterWhole bool
	// Partial says that a comparison of some accounts is to speak of those
	// only. A report never does: what is signed covers the engagement.
	Partial  bool
	Rules    Rules
	Depth    mailproof.Depth
	Sample   collect.Sample // what DepthSample reads of the source
	Reverify bool
	Parallel int // accounts worked on at once; 0 means 4
	// MaxConnections bounds the connections to one server at once; Connections
	// does so for single hosts. 0 means no bound beside Parallel.
	MaxConnections int
	Connections    map[string]int
	Tool           string
	Command        string // the command line, for the ledger and the report
	// ConnectTimeout and ProgressTimeout bound how long a server may be silent.
	ConnectTimeout, ProgressTimeout time.Duration
	// Progress opens the display of one stage; nil shows nothing.
	Progress func(kind mailproof.PassKind, side mailproof.Side) (progress mailproof.Progress, done func())
	Fonts    [][]byte        // TrueType, for the characters that the PDF's own font lacks
	Stop     <-chan struct{} // asks to end at the next message boundary, when closed
	DNS      DNSOptions
	Pace     Pace
	// DeleteExtra is how many messages a run may delete on the destination, which
	// must be as many as [Engagement.DeletionPlans] finds; 0: none.
	DeleteExtra int64
	// Say tells whoever watches what is being waited for, a line at a time; nil:
	// nobody watches.
	Say func(format string, args ...any)
	Now func() time.Time // nil means time.Now: what day it is for the budgets
}

// Rules are the decisions of the user that shape a comparison. They are kept
// in the ledger, so that a later diff or report judges by the same ones.
type Rules struct {
	Map     []string `json:"map,omitempty"`     // OLD=NEW
	Exclude []string `json:"exclude,omitempty"` // patterns of source folders, or special uses
	Folders []string `json:"folders,omitempty"` // patterns of the source folders that alone are wanted; none: all
	// Since and Before leave out messages by their INTERNALDATE, MaxSize those
	// with more octets; see [diff.Scope].
	Since   time.Time `json:"since,omitzero"`
	Before  time.Time `json:"before,omitzero"`
	MaxSize int64     `json:"max_size,omitempty"`
	// Aliases are addresses that the destination rewrites on purpose, old to
	// new, as config.ReadAliases returns them.
	Aliases map[string]string `json:"aliases,omitempty"`
	// SourceProvider and DestinationProvider name presets of the provider room;
	// empty or "auto": as recognised, account by account; "none": nothing is
	// concluded.
	SourceProvider      string `json:"source_provider,omitempty"`
	DestinationProvider string `json:"destination_provider,omitempty"`
	// Accounts are the rules of single accounts; nil where nothing was said of
	// any, which leaves what was said before.
	Accounts map[string]AccountRules `json:"accounts,omitempty"`
}

// IsZero reports whether no rule was given.
func (r Rules) IsZero() bool {
	return r.noFolders() && len(r.Aliases) == 0 && r.noProviders() && r.Accounts == nil
}

func (r Rules) noProviders() bool { return r.SourceProvider == "" && r.DestinationProvider == "" }

func (r Rules) noFolders() bool {
	return len(r.Map) == 0 && len(r.Exclude) == 0 && len(r.Folders) == 0 && r.scope().IsZero()
}

func (r Rules) scope() diff.Scope {
	return diff.Scope{Since: r.Since, Before: r.Before, MaxSize: r.MaxSize}
}

// Engagement is one directory with its ledger open.
type Engagement struct {
	Options
	accountRules map[string]diff.Rules // of accounts that have some of their own

	Dir     string
	Config  *config.Config // nil where there is no mailproof.toml
	ledger  *ledger.Ledger
	rules   diff.Rules
	refused refusals
	sent    targets
	wrong   wrongLogins
	lines   lines
	budgets budgets
	kept    kept
	most    listAtMost // exceptions of one account that are listed

	// What all accounts share: the memory for bodies, the copy that goes along
	// with the inventory of the source at hand, and Parallel hands, of which
	// each account at work has one, or more where others have none. A hand is a
	// connection that reads; pens are those that write, counted in the same way.
	spool       *spool.Pool
	beside      *copying
	hands, pens *semaphore.Weighted
	// unsettled is a copy beside an inventory whose end was not recorded yet.
	unsettled *copying
}

// Open opens the engagement in dir for writing, and makes the ledger where
// there is none.
func Open(ctx context.Context, dir string, cfg *config.Config, o Options) (*Engagement, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("directory of the engagement: %w", err)
	}
	l, err := ledger.Open(ctx, filepath.Join(dir, LedgerFile))
	if err != nil {
		return nil, err
	}
	e := &Engagement{Options: o, Dir: dir, Config: cfg, ledger: l}
	if err := e.setUp(ctx, true); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return e, nil
}

// ErrNoLedger says that nothing was recorded in a directory yet.
var ErrNoLedger = errors.New("no ledger")

// OpenReadOnly opens the engagement in dir for reading; its ledger is neither
// made nor migrated.
func OpenReadOnly(ctx context.Context, dir string, cfg *config.Config, o Options) (*Engagement, error) {
	path := filepath.Join(dir, LedgerFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s does not exist", ErrNoLedger, path)
	}
	l, err := ledger.OpenReadOnly(ctx, path)
	if err != nil {
		return nil, err
	}
	e := &Engagement{Options: o, Dir: dir, Config: cfg, ledger: l}
	if err := e.setUp(ctx, false); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return e, nil
}

// Close ends the connections that lie ready, and closes the ledger.
func (e *Engagement) Close() error {
	e.kept.close()
	return e.ledger.Close()
}

const rulesKey = "rules"

// setUp fills in defaults, and keeps or fetches the rules.
func (e *Engagement) setUp(ctx context.Context, writable bool) error {
	if e.Parallel <= 0 {
		e.Parallel = 4
	}
	if e.Depth == 0 {
		e.Depth = mailproof.DepthFull
	}
	if e.Progress == nil {
		e.Progress = func(mailproof.PassKind, mailproof.Side) (mailproof.Progress, func()) { return nil, func() {} }
	}
	e.lines.spare = e.kept.drop
	e.spool = spool.New(spool.Options{})
	e.hands, e.pens = semaphore.NewWeighted(int64(e.Parallel)), semaphore.NewWeighted(int64(e.Parallel))
	if err := e.keepRules(ctx, writable); err != nil {
		return err
	}
	if err := e.parseRules(); err != nil {
		return err
	}
	return e.setSample(ctx)
}

// keepRules fetches the rules that were not given from the ledger: those about
// folders and the aliases each as a whole, the providers each by itself. What
// was given is kept there.
func (e *Engagement) keepRules(ctx context.Context, writable bool) error {
	given := !e.Rules.IsZero()
	kept, err := e.ledger.Engagement(ctx)
	if err != nil {
		return err
	}
	var rules Rules
	if text := kept[rulesKey]; text != "" {
		if err := json.Unmarshal([]byte(text), &rules); err != nil {
			return fmt.Errorf("rules in the ledger: %w", err)
		}
	}
	if e.Rules.noFolders() {
		e.Rules.Map, e.Rules.Exclude, e.Rules.Folders = rules.Map, rules.Exclude, rules.Folders
		e.Rules.Since, e.Rules.Before, e.Rules.MaxSize = rules.Since, rules.Before, rules.MaxSize
	}
	if len(e.Rules.Aliases) == 0 {
		e.Rules.Aliases = rules.Aliases
	}
	if e.Rules.Accounts == nil {
		e.Rules.Accounts = rules.Accounts
	}
	e.Rules.SourceProvider = cmp.Or(e.Rules.SourceProvider, rules.SourceProvider)
	e.Rules.DestinationProvider = cmp.Or(e.Rules.DestinationProvider, rules.DestinationProvider)
	if !given || !writable {
		return nil
	}
	text, err := json.Marshal(e.Rules)
	if err != nil {
		return err
	}
	if string(text) == kept[rulesKey] {
		return nil // said before
	}
	return e.ledger.SetEngagement(ctx, rulesKey, string(text))
}

// stopped reports whether the user asked to stop.
func (e *Engagement) stopped() bool {
	select {
	case <-e.Stop:
		return true
	default:
		return false
	}
}

// each runs f for every account, Parallel at a time. An error of f ends all of
// them: what concerns one account only, f keeps to itself.
func (e *Engagement) each(ctx context.Context, f func(ctx context.Context, a Account) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(e.Parallel)
	for _, a := range e.Accounts {
		if ctx.Err() != nil || e.stopped() {
			break
		}
		g.Go(func() error {
			if err := e.hands.Acquire(ctx, 1); err != nil {
				return err
			}
			defer e.hands.Release(1)
			if err := e.pens.Acquire(ctx, 1); err != nil {
				return err
			}
			defer e.pens.Release(1)
			return f(ctx, a)
		})
	}
	err := g.Wait()
	if err == nil && e.stopped() {
		return ErrStopped
	}
	return err
}

// connection is what the dialling of an account needs.
func (e *Engagement) connection(ctx context.Context, a Account, side mailproof.Side) (imapconn.Config, error) {
	c := imapconn.Config{
		Endpoint: a.Endpoint(side), ConnectTimeout: e.ConnectTimeout, ProgressTimeout: e.ProgressTimeout,
		ClientName: "mailproof", ClientVersion: strings.TrimPrefix(e.Tool, "mailproof "),
		Dial: e.dialPaced(side), Waiting: e.waiting(a.Name, side),
	}
	if c.Endpoint.Host == "" {
		return c, fmt.Errorf("account %s has no %s address", a.Name, side)
	}
	if get := a.clientKey(side); get != nil {
		var err error
		if c.ClientKey, err = get(ctx); err != nil {
			return c, fmt.Errorf("key of the client certificate of %s on the %s: %w", a.Name, side, err)
		}
	}
	if c.Tokens = a.tokens(side); c.Tokens != nil {
		return c, nil
	}
	get := a.password(side)
	if get == nil && c.Endpoint.CertFile != "" {
		return c, nil // the certificate says who it is
	}
	if get == nil {
		return c, fmt.Errorf("account %s has no %s password: give a reference such as env:NAME or file:PATH", a.Name, side)
	}
	var err error
	c.Password, err = get(ctx)
	if err != nil {
		return c, fmt.Errorf("%s password of %s: %w", side, a.Name, err)
	}
	return c, nil
}

// dialReader signs in to read. done closes the connection and makes room for
// the next one to that server.
func (e *Engagement) dialReader(ctx context.Context, a Account, side mailproof.Side) (r *imapconn.Reader, done func(), err error) {
	c, err := e.connection(ctx, a, side)
	if err != nil {
		return nil, nil, err
	}
	r, leave, err := signedIn(ctx, e, a, side, c, true, imapconn.DialReader)
	if err != nil {
		return nil, nil, err
	}
	return r, func() {
		// What was read is recorded by now: a server that will not say goodbye
		// takes nothing from it.
		_ = r.Close()
		leave()
	}, nil
}

func (e *Engagement) connectionsTo(ep mailproof.Endpoint) int {
	if n := e.Connections[ep.Host]; n > 0 {
		return n
	}
	return e.MaxConnections
}

// beginPass records that a pass begins; the function it returns records its
// end.
func (e *Engagement) beginPass(ctx context.Context, p mailproof.Pass) (mailproof.PassID, func(err error, messages, bytes int64) error, error) {
	p.Tool, p.Command, p.Started = e.Tool, e.Command, time.Now().UTC()
	id, err := e.ledger.BeginPass(ctx, p)
	if err != nil {
		return 0, nil, err
	}
	return id, func(err error, messages, bytes int64) error {
		state, text := mailproof.PassDone, ""
		switch {
		case err == nil:
		case IsStop(err):
			state, text = mailproof.PassCancelled, ErrStopped.Error()
		default:
			state, text = mailproof.PassFailed, err.Error()
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		return errors.Join(err, e.ledger.EndPass(ctx, id, state, text, messages, bytes))
	}, nil
}

// IsStop reports whether an error means that the user wanted an end.
func IsStop(err error) bool {
	return errors.Is(err, ErrStopped) || errors.Is(err, collect.ErrStopped) || errors.Is(err, transfer.ErrStopped) || errors.Is(err, context.Canceled)
}

// Failure is what went wrong with one account in one pass.
type Failure struct {
	Account string
	Side    mailproof.Side
	Err     error
	rules   Rules // by which it is explained
}

// Hint says what the failure means and what to do, with what is known of the
// provider of its side; see [Hint].
func (f Failure) Hint() string {
	address := ""
	var se *mailproof.ServerError
	if errors.As(f.Err, &se) {
		address = se.Server
	}
	return hintAt(f.Err, f.rules.providerOf(f.Account, f.Side, mailproof.ServerInfo{Address: address}))
}

// failures collects them from many goroutines.
type failures struct {
	mu   sync.Mutex
	list []Failure
}

func (f *failures) add(account string, side mailproof.Side, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, Failure{Account: account, Side: side, Err: err})
}

func (f *failures) sorted(rules Rules) []Failure {
	for i := range f.list {
		f.list[i].rules = rules
	}
	slices.SortFunc(f.list, func(a, b Failure) int { return strings.Compare(a.Account, b.Account) })
	return f.list
}
