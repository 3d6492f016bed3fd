package evidence

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/mailproof/mailproof"
)

// treeWriter writes the lines of a tree and computes its root.
type treeWriter struct {
	name string
	file *os.File
	out  *bufio.Writer
	sum  hash.Hash
	tree tree
}

func (b *builder) newTree(name string) (*treeWriter, error) {
	path := filepath.Join(b.out, filepath.FromSlash(linesFile(name)))
	if !b.Profile.HasLines() {
		path = filepath.Join(b.work, name+".jsonl")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	w := &treeWriter{name: name, file: f, sum: sha256.New()}
	w.out = bufio.NewWriterSize(io.MultiWriter(f, w.sum), 1<<20)
	return w, nil
}

// add writes a line, given with its line feed, and returns its leaf hash.
func (w *treeWriter) add(text []byte) (tlog.Hash, error) {
	leaf := tlog.RecordHash(text[:len(text)-1])
	w.tree.add(leaf)
	_, err := w.out.Write(text)
	return leaf, err
}

// finish brings the lines to the disk.
func (b *builder) finish(w *treeWriter) error {
	if err := errors.Join(w.out.Flush(), w.file.Sync(), w.file.Close()); err != nil {
		return fmt.Errorf("seal: %s: %w", w.name, err)
	}
	if b.Profile.HasLines() {
		b.files[linesFile(w.name)] = [sha256.Size]byte(w.sum.Sum(nil))
	}
	b.roots = append(b.roots, Root{Tree: w.name, Size: w.tree.size, Hash: w.tree.root()})
	return nil
}

// buildTrees writes the three trees. The verdicts come in the order in which
// the comparison finds them; they are sorted to meet the lines of the
// destination, and then those of the source, so that each cites both.
func (b *builder) buildTrees(ctx context.Context) error {
	var marks [2]string // files of what the verdicts are joined with
	for i, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		marks[i] = filepath.Join(b.work, "marks-"+side.String())
		if err := b.inventories(ctx, side, marks[i]); err != nil {
			return err
		}
	}
	byDestination := newSorter(b.work, b.runSize)
	defer func() { _ = byDestination.close() }() // the directory goes as a whole
	bySource := newSorter(b.work, b.runSize)
	defer func() { _ = bySource.close() }()
	if err := b.from.Verdicts(ctx, func(v *Verdict) error { return b.sortVerdict(v, byDestination, bySource) }); err != nil {
		return err
	}
	if err := b.joinDestination(marks[1], byDestination, bySource); err != nil {
		return err
	}
	return b.writeVerdicts(ctx, marks[0], bySource)
}

// inventories writes the tree of one side, and beside it the position and the
// leaf of every line in short.
func (b *builder) inventories(ctx context.Context, side mailproof.Side, marks string) (err error) {
	w, err := b.newTree(side.String())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.file.Close())
		}
	}()
	f, err := os.Create(marks)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	mark := bufio.NewWriterSize(f, 256<<10)
	accounts, err := b.from.Accounts(ctx)
	if err != nil {
		return err
	}
	accounts = slices.Clone(accounts)
	slices.SortFunc(accounts, func(x, y string) int {
		return strings.Compare(b.name(FieldAccount, x), b.name(FieldAccount, y))
	})
	for _, account := range accounts {
		if err := b.account(ctx, account, side, w, mark); err != nil {
			return fmt.Errorf("seal: %s of %s: %w", side, account, err)
		}
	}
	if err := mark.Flush(); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	return b.finish(w)
}

func (b *builder) account(ctx context.Context, account string, side mailproof.Side, w *treeWriter, mark *bufio.Writer) (err error) {
	inv, err := b.from.Inventory(ctx, account, side)
	if err != nil || inv == nil {
		return err
	}
	defer func() { err = errors.Join(err, inv.Close()) }()
	folders := inv.Folders()
	order := make([]int, len(folders))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int {
		return strings.Compare(b.name(FieldFolder, folders[x]), b.name(FieldFolder, folders[y]))
	})
	var text, key []byte
	var last position
	for _, folder := range order {
		for m, err := range inv.Messages(ctx, folder) {
			if err != nil {
				return err
			}
			l := b.message(&m, w.tree.size)
			at := l.key()
			if last != (position{}) && !last.less(at) {
				return fmt.Errorf("%w: %v does not come after %v", ErrMoved, at, last)
			}
			last = at
			text = append(encode(text[:0], l), '\n')
			leaf, err := w.add(text)
			if err != nil {
				return err
			}
			key = at.append(key[:0])
			if err := writeMark(mark, key, leaf); err != nil {
				return err
			}
			b.step()
		}
	}
	return ctx.Err()
}

// message makes the line of a message.
func (b *builder) message(m *mailproof.Message, index int64) *messageLine {
	l := &messageLine{
		Account: b.name(FieldAccount, m.Account), Folder: b.name(FieldFolder, m.Mailbox), UIDValidity: int64(m.UIDValidity), UID: int64(m.MessageKey.UID),
		Flags: m.Flags, Size: m.Size, State: m.State.String(), Octets: m.Fingerprint.Octets,
	}
	if !m.InternalDate.IsZero() {
		l.InternalDate = m.InternalDate.Format(time.RFC3339)
	}
	for i, t := range mailproof.Tiers() {
		if h := m.Fingerprint.Hash(t); !h.IsZero() {
			l.Tiers[i] = h.String()
		}
	}
	subject := subjectOf(&m.Fingerprint.Detail)
	if b.alias != nil {
		b.redactMessage(l, subject, index)
		return l
	}
	l.Reason, l.Subject = m.Reason, subject
	l.MessageID, l.MIH = m.Fingerprint.Detail.MessageID, MIH(m.Fingerprint.Detail.MessageID)
	if m.GmailID != 0 {
		l.GmailID = strconv.FormatUint(m.GmailID, 10)
	}
	return l
}

// redactMessage takes from a line what names somebody or can be guessed. The
// hashes of a message become keyed ones, which can still be compared with each
// other: a short message can be guessed from a plain hash as an address can.
// Those of the Message-ID alone are left out with it.
func (b *builder) redactMessage(l *messageLine, subject string, index int64) {
	l.Subject = b.alias.Of(FieldSubject, subject)
	for i, t := range mailproof.Tiers() {
		if t == mailproof.T3 || t == mailproof.T3b {
			l.Tiers[i] = ""
			continue
		}
		l.Tiers[i] = b.alias.Of(tierKeys[i], l.Tiers[i])
	}
	flags := make([]string, len(l.Flags))
	for i, f := range l.Flags {
		flags[i] = f
		if !strings.HasPrefix(f, `\`) {
			flags[i] = b.alias.Of(FieldFlag, f)
		}
	}
	slices.Sort(flags)
	l.Flags = flags
	l.Salt = b.alias.Salt(treeOfLine(b.roots), index)
}

// treeOfLine is the tree that is being written: the roots of those before it
// are known.
func treeOfLine(roots []Root) string { return treeNames[len(roots)] }

// A mark is a line's position and the short form of its leaf.
func writeMark(w *bufio.Writer, key []byte, leaf tlog.Hash) error {
	var size [binary.MaxVarintLen64]byte
	if _, err := w.Write(size[:binary.PutUvarint(size[:], uint64(len(key)))]); err != nil {
		return err
	}
	if _, err := w.Write(key); err != nil {
		return err
	}
	_, err := w.Write(leaf[:8])
	return err
}

// markReader reads marks one after the other.
type markReader struct {
	in   *bufio.Reader
	file *os.File
	key  []byte
	leaf [8]byte
	line int64 // of the current mark, from 1
	more bool
}

func openMarks(path string) (*markReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	r := &markReader{in: bufio.NewReaderSize(f, 256<<10), file: f}
	return r, r.next()
}

func (r *markReader) next() error {
	n, err := binary.ReadUvarint(r.in)
	if errors.Is(err, io.EOF) {
		r.more = false
		return nil
	}
	if err == nil {
		r.key = slices.Grow(r.key[:0], int(n))[:n]
		_, err = io.ReadFull(r.in, r.key)
	}
	if err == nil {
		_, err = io.ReadFull(r.in, r.leaf[:])
	}
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	r.line++
	r.more = true
	return nil
}

// match says that the current mark is of the given position, and goes on to the
// next. Each line has one verdict, and each verdict its line.
func (r *markReader) match(key []byte, side mailproof.Side) (c citation, err error) {
	switch order := bytes.Compare(r.key, key); {
	case !r.more || order > 0:
		return c, fmt.Errorf("seal: %w: a verdict is about a message that is not in the %s inventory, or that has another one", ErrMoved, side)
	case order < 0:
		return c, fmt.Errorf("seal: %w: line %d of the %s inventory has no verdict", ErrMoved, r.line, side)
	}
	c = citation{r.line, fmt.Sprintf("%x", r.leaf)}
	return c, r.next()
}

// end says that every mark was matched.
func (r *markReader) end(side mailproof.Side) error {
	if r.more {
		return fmt.Errorf("seal: %w: line %d of the %s inventory has no verdict", ErrMoved, r.line, side)
	}
	return nil
}

// sortVerdict hands a verdict to the sort by the line of the destination that
// it is about, or past it.
func (b *builder) sortVerdict(v *Verdict, byDestination, bySource *sorter) error {
	l, about := b.verdict(v)
	rec := record{text: encode(nil, l), exception: "", hasSource: v.Source.Side != 0}
	rec.text = rec.text[:len(rec.text)-1]
	rec.exception = exceptionKey(about)
	rec.position = append(l.key().append(nil), sideOctet(about.Side))
	if v.Destination.Side == 0 {
		return bySource.add(rec.position, rec.append(nil))
	}
	d := v.Destination
	at := position{b.name(FieldAccount, d.Account), b.name(FieldFolder, d.Mailbox), int64(d.UIDValidity), int64(d.UID)}
	return byDestination.add(at.append(nil), rec.append(nil))
}

// sideOctet puts the source before the destination where both have a message of
// one position.
func sideOctet(s mailproof.Side) byte { return byte(s) }

// verdict makes the line of a verdict as far as it is known before sorting, and
// says which message it is about.
func (b *builder) verdict(v *Verdict) (*verdictLine, mailproof.MessageKey) {
	about := v.Source
	if about.Side == 0 {
		about = v.Destination
	}
	l := &verdictLine{
		Account: b.name(FieldAccount, about.Account), Folder: b.name(FieldFolder, about.Mailbox), UIDValidity: int64(about.UIDValidity), UID: int64(about.UID),
		Side: about.Side.String(), Verdict: v.Verdict.String(), Reasons: b.reasons(v.Reasons), Beside: b.reasons(v.Beside), Signature: v.SignatureChanged, hasNoTrailer: true,
	}
	if v.Tier != mailproof.TierNone {
		l.Tier = v.Tier.String()
	}
	if d := v.Destination; v.Source.Side != 0 && d.Side != 0 {
		l.ToFolder, l.ToValidity, l.ToUID = b.name(FieldFolder, d.Mailbox), int64(d.UIDValidity), int64(d.UID)
	}
	return l, about
}

// reasons are written whole, or as their codes where the evidence may name
// somebody.
func (b *builder) reasons(list []mailproof.Reason) []string {
	out := make([]string, len(list))
	for i, r := range list {
		if out[i] = r.String(); b.alias != nil {
			out[i] = r.Code
		}
	}
	return out
}

// joinDestination gives each verdict the line of the destination that it is
// about.
func (b *builder) joinDestination(marks string, from, to *sorter) (err error) {
	r, err := openMarks(marks)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.file.Close()) }()
	var rec record
	var out []byte
	err = from.each(func(key, value []byte) error {
		if err := rec.read(value); err != nil {
			return err
		}
		if rec.destination, err = r.match(key, mailproof.Destination); err != nil {
			return err
		}
		out = rec.append(out[:0])
		return to.add(rec.position, out)
	})
	return errors.Join(err, nilIf(err != nil, r.end(mailproof.Destination)))
}

func nilIf(cond bool, err error) error {
	if cond {
		return nil
	}
	return err
}

// writeVerdicts writes the tree of verdicts in its order.
func (b *builder) writeVerdicts(ctx context.Context, marks string, from *sorter) (err error) {
	w, err := b.newTree(treeVerdicts)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.file.Close())
		}
	}()
	r, err := openMarks(marks)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.file.Close()) }()
	var rec record
	var text []byte
	err = from.each(func(key, value []byte) error {
		if err := rec.read(value); err != nil {
			return err
		}
		l := verdictLine{Destination: rec.destination}
		if rec.hasSource {
			if l.Source, err = r.match(key[:len(key)-1], mailproof.Source); err != nil {
				return err
			}
		}
		if k, ok := parseExceptionKey(rec.exception); ok {
			l.Exception = b.from.Exception(k)
		}
		if b.alias != nil {
			l.Salt = b.alias.Salt(treeVerdicts, w.tree.size)
		}
		c := coder{buf: append(text[:0], rec.text...), some: true}
		l.trailer(&c)
		text = append(c.buf, '}', '\n')
		if _, err := w.add(text); err != nil {
			return fmt.Errorf("seal: %w", err)
		}
		b.step()
		return ctx.Err()
	})
	if err = errors.Join(err, nilIf(err != nil, r.end(mailproof.Source))); err != nil {
		return err
	}
	return b.finish(w)
}

// record is a verdict on its way through the sorts.
type record struct {
	position    []byte // in the tree of verdicts
	text        []byte // the line up to its trailer
	exception   string // the key to ask for the number of the exception by
	hasSource   bool
	destination citation
}

var errRecord = errors.New("seal: a sorted record cannot be read")

func (r *record) append(b []byte) []byte {
	flag := byte(0)
	if r.hasSource {
		flag = 1
	}
	b = append(b, flag)
	b = binary.AppendUvarint(b, uint64(r.destination.Line))
	for _, part := range [][]byte{r.position, r.text, []byte(r.exception), []byte(r.destination.Leaf)} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

func (r *record) read(b []byte) error {
	if len(b) == 0 {
		return errRecord
	}
	r.hasSource, b = b[0] == 1, b[1:]
	line, n := binary.Uvarint(b)
	if n <= 0 {
		return errRecord
	}
	b = b[n:]
	var parts [4][]byte
	for i := range parts {
		size, n := binary.Uvarint(b)
		if n <= 0 || uint64(len(b)-n) < size {
			return errRecord
		}
		parts[i], b = b[n:n+int(size)], b[n+int(size):]
	}
	r.position, r.text, r.exception = parts[0], parts[1], string(parts[2])
	r.destination = citation{int64(line), string(parts[3])}
	return nil
}

// exceptionKey writes a message key, as its printed form may be a pseudonym.
func exceptionKey(k mailproof.MessageKey) string {
	return strings.Join([]string{string(sideOctet(k.Side)), k.Account, k.Mailbox, strconv.FormatUint(uint64(k.UIDValidity), 10), strconv.FormatUint(uint64(k.UID), 10)}, "\x00")
}

func parseExceptionKey(text string) (k mailproof.MessageKey, ok bool) {
	f := strings.Split(text, "\x00")
	if len(f) != 5 || len(f[0]) != 1 {
		return k, false
	}
	validity, err1 := strconv.ParseUint(f[3], 10, 32)
	uid, err2 := strconv.ParseUint(f[4], 10, 32)
	return mailproof.MessageKey{Side: mailproof.Side(f[0][0]), Account: f[1], Mailbox: f[2], UIDValidity: uint32(validity), UID: mailproof.UID(uid)}, err1 == nil && err2 == nil
}
