package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailproof/mailproof"
)

// Contents is what a bundle is made of. Accounts and folders may come in any
// order; the messages of a folder ascend by UID.
//
// Accounts, Inventory and Verdicts are called from several goroutines at once, as
// two of both sides and the verdicts are read at a time. So are Exception and
// Records, once all of those have returned.
type Contents interface {
	Accounts(ctx context.Context) ([]string, error)
	// Inventory opens what is known of one side of an account; nil where it was
	// never read. It is closed before the next one of that side is opened.
	Inventory(ctx context.Context, account string, side mailproof.Side) (Inventory, error)
	// Verdicts hands over the verdict of every message of both sides, in any
	// order.
	Verdicts(ctx context.Context, emit func(*Verdict) error) error
	// Exception is the number of the exception that a message is, "E-001";
	// empty where it is none. It is asked after Verdicts.
	Exception(key mailproof.MessageKey) string
	// Records are the parts that fit into memory. It is asked after Verdicts.
	Records(ctx context.Context) (Records, error)
	// Report writes the files of the report into a directory. It is asked last,
	// as a report cites the roots. Where the profile is not Full, it must name
	// nobody.
	Report(ctx context.Context, dir string, c Citation) error
}

// Inventory is one side of one account.
type Inventory interface {
	Folders() []string
	// Messages yields the messages of a folder, by its index in Folders.
	Messages(ctx context.Context, folder int) iter.Seq2[mailproof.Message, error]
	Close() error
}

// Verdict is what the comparison found for one message.
type Verdict struct {
	Verdict mailproof.MessageVerdict
	Tier    mailproof.Tier
	Reasons []mailproof.Reason
	// Beside are differences that do not change the verdict.
	Beside           []mailproof.Reason
	SignatureChanged bool
	// Source and Destination are the two messages; the zero key where there is
	// no such message.
	Source, Destination mailproof.MessageKey
}

// Records is what a bundle holds beside the messages.
type Records struct {
	Verdict      mailproof.Verdict // of the engagement
	Decisions    []Decision        // in the order in which they were made
	Findings     []mailproof.Finding
	Observations []mailproof.Observation
	Passes       []Pass // in the order in which they began
	// FindingDecisions, Attestations and Deletions are all of them, in the order
	// in which they were made.
	FindingDecisions []FindingDecision
	Attestations     []mailproof.Attestation
	Deletions        []Deletion
}

// FindingDecision is what somebody decided on a finding that is not about
// single messages.
type FindingDecision struct {
	Check   string
	Subject string // domain or account
	// Field says which of the two: FieldDomain or FieldAccount.
	Field       string
	Outcome     mailproof.Outcome
	Observed    string
	Disposition mailproof.Disposition
	By, Why     string
	At          time.Time
}

// Deletion is a message of the destination that was deleted because the user
// asked for it.
type Deletion struct {
	Pass, CopiedBy      mailproof.PassID
	Destination, Source mailproof.MessageKey
	T0                  mailproof.Hash
	Octets              int64
	State, Reason       string // empty where it was not recorded how it ended
	Finished            time.Time
}

// Decision is what somebody decided on an exception.
type Decision struct {
	Exception   string
	Verdict     mailproof.MessageVerdict
	Disposition mailproof.Disposition
	By, Why     string
	At          time.Time
	Pass        mailproof.PassID
}

// Pass is a pass with its place in the ledger's history; Root and Previous are
// empty where the ledger keeps none.
type Pass struct {
	mailproof.Pass
	Root, Previous string
}

// Citation is what a report says of the bundle that it lies in.
type Citation struct {
	Bundle      string // "mp1-f2d4d80a3831ca5f"
	Fingerprint string // of the signing key
	Roots       []Root
	Profile     Profile
	Pseudonyms  *Pseudonyms // nil where the profile is Full
}

// Options says how a bundle is built.
type Options struct {
	// Dir is the directory that the bundle becomes. It must not exist; what it
	// lies in must.
	Dir     string
	Profile Profile
	Key     Key
	// PseudonymKey is needed where the profile is not Full.
	PseudonymKey []byte
	Tool         string // "mailproof 0.1.0"
	Now          time.Time
	// Series makes the origins of this bundle's trees unlike those of any
	// other. Empty: the time and 64 random bits.
	Series string
	// Timestamp asks an authority for a timestamp; nil asks none.
	Timestamp *TimestampOptions
	// Kept is where a Summary leaves the lines of its trees, for its maker to
	// prove single messages from. It must not exist.
	Kept string
	// Progress is told the number of lines written so far, by one goroutine at a
	// time; nil is told nothing.
	Progress func(lines int64)
	// runSize is the memory of one sort in octets; 0 is the default.
	runSize int
}

// Sealed is a finished bundle.
type Sealed struct {
	Bundle      string
	Dir         string
	Profile     Profile
	Fingerprint string
	Roots       []Root
	Verdict     mailproof.Verdict
	Sealed      time.Time
	Timestamp   time.Time // zero where none was asked for
	TagManifest string    // SHA-256 of tagmanifest-sha256.txt in hexadecimal
	Files       int
	Octets      int64
}

// ErrExists says that there is something where the bundle should go.
var ErrExists = errors.New("exists")

// ErrMoved says that the inventories and the verdicts do not tell of the same
// messages: the ledger was written to meanwhile.
var ErrMoved = errors.New("the inventories and the comparison do not agree")

// Build writes a bundle. Everything is written under another name beside
// Options.Dir, brought to the disk and then renamed: what is called by the
// bundle's name is whole. Memory does not grow with the number of messages.
func Build(ctx context.Context, from Contents, o Options) (s Sealed, err error) {
	if err := o.check(); err != nil {
		return s, err
	}
	work, err := os.MkdirTemp(filepath.Dir(filepath.Clean(o.Dir)), ".seal-*")
	if err != nil {
		return s, fmt.Errorf("seal: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	b := &builder{Options: o, from: from, work: filepath.Join(work, "runs"), files: manifest{}}
	b.out = filepath.Join(work, "unsealed")
	for _, dir := range []string{b.work, filepath.Join(b.out, "data"), filepath.Join(b.out, dirReport), filepath.Join(b.out, "keys"), filepath.Join(b.out, "sig")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return s, fmt.Errorf("seal: %w", err)
		}
	}
	if s, err = b.build(ctx); err != nil {
		return s, err
	}
	if err := b.keepLines(); err != nil {
		return s, err
	}
	if err := publish(b.out, o.Dir); err != nil {
		return s, err
	}
	s.Dir = o.Dir
	return s, nil
}

func (o *Options) check() error {
	switch {
	case o.Key.IsZero():
		return errors.New("seal: no key to sign with")
	case profileNames[o.Profile] == "":
		return errors.New("seal: no privacy profile")
	case o.Profile == Summary && o.Kept == "":
		return errors.New("seal: a summary leaves its lines somewhere, or nothing can be proved from it")
	}
	for _, dir := range []string{o.Dir, o.Kept} {
		if dir == "" {
			continue
		}
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("seal: %s: %w", dir, errors.Join(ErrExists, err))
		}
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	o.Now = o.Now.UTC().Truncate(time.Second)
	if o.Series == "" {
		nonce, err := randomHex(8)
		if err != nil {
			return err
		}
		o.Series = o.Now.Format("20060102T150405Z") + "-" + nonce
	}
	return nil
}

// builder builds one bundle.
type builder struct {
	Options
	namer
	from  Contents
	work  string   // for sorting
	out   string   // the directory that becomes the bundle
	files manifest // of the payload
	roots []Root

	counting sync.Mutex
	lines    int64
}

// namer gives names their printed form. One goroutine at a time may use it.
type namer struct {
	alias *Pseudonyms // nil where the profile is Full
}

func (o *Options) newNamer() (n namer, err error) {
	if o.Profile != Full {
		n.alias, err = NewPseudonyms(o.PseudonymKey)
	}
	return n, err
}

// of is the printed form of a name.
func (n namer) of(field, value string) string {
	if n.alias == nil {
		return value
	}
	return n.alias.Of(field, value)
}

// plain is a text that may name anybody: it stands in a full bundle only.
func (n namer) plain(s string) string {
	if n.alias != nil {
		return ""
	}
	return s
}

func (b *builder) build(ctx context.Context) (s Sealed, err error) {
	if b.namer, err = b.newNamer(); err != nil {
		return s, err
	}
	records, err := b.buildData(ctx)
	if err != nil {
		return s, err
	}
	id, err := b.writeCheckpoints()
	if err != nil {
		return s, err
	}
	c := Citation{Bundle: id, Fingerprint: b.Key.Public().Fingerprint(), Roots: b.roots, Profile: b.Profile, Pseudonyms: b.alias}
	if err := b.from.Report(ctx, filepath.Join(b.out, dirReport), c); err != nil {
		return s, fmt.Errorf("seal: %w", err)
	}
	s = Sealed{Bundle: id, Profile: b.Profile, Fingerprint: c.Fingerprint, Roots: b.roots, Verdict: records.Verdict, Sealed: b.Now}
	return s, b.close(ctx, &s)
}

// buildData writes the payload but for the checkpoints: the trees of both sides
// while the verdicts are found, then the tree of verdicts while the records are.
func (b *builder) buildData(ctx context.Context) (records Records, err error) {
	v, err := b.buildSides(ctx)
	defer v.close()
	if err != nil {
		return records, err
	}
	var tree written
	g, within := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		tree, err = b.buildVerdicts(within, v)
		return err
	})
	g.Go(func() (err error) {
		records, err = b.from.Records(ctx) // a report is read later on with this context
		return err
	})
	if err := g.Wait(); err != nil {
		return records, err
	}
	b.took(tree)
	return records, b.writeRecords(&records)
}

// step counts a line.
func (b *builder) step() {
	b.counting.Lock()
	defer b.counting.Unlock()
	if b.lines++; b.Progress != nil && b.lines&0xfff == 0 {
		b.Progress(b.lines)
	}
}

// keepLines leaves the lines of a summary where its maker finds them.
func (b *builder) keepLines() error {
	if b.Profile.HasLines() {
		return nil
	}
	kept := filepath.Join(filepath.Dir(b.out), "kept")
	if err := os.MkdirAll(filepath.Join(kept, "data"), 0o700); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	for _, t := range treeNames {
		name := filepath.FromSlash(linesFile(t))
		if err := os.Rename(filepath.Join(b.work, t+".jsonl"), filepath.Join(kept, name)); err != nil {
			return fmt.Errorf("seal: %w", err)
		}
	}
	if err := os.Chmod(kept, 0o700); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return publish(kept, b.Kept)
}

// publish gives a directory its name, once everything in it is on the disk.
func publish(from, to string) error {
	err := filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = syncDir(path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	// A rename onto an empty directory would succeed.
	if _, err := os.Lstat(to); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("seal: %s: %w", to, errors.Join(ErrExists, err))
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	if err := syncDir(filepath.Dir(filepath.Clean(to))); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return nil
}

// syncDir makes renames last. Systems that cannot sync a directory have their
// own way of keeping it.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = f.Sync() // not every file system can; the files themselves are synced
	return f.Close()
}

// write writes a small file whole and to the disk.
func (b *builder) write(name string, data []byte) error {
	if err := writeSynced(filepath.Join(b.out, filepath.FromSlash(name)), data); err != nil {
		return fmt.Errorf("seal: %s: %w", name, err)
	}
	return nil
}

func writeSynced(path string, data []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Sync()
}

func oxum(octets int64, files int) string {
	return strconv.FormatInt(octets, 10) + "." + strconv.Itoa(files)
}

var _ io.Closer = Inventory(nil)
