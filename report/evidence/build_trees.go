package evidence

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
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
	"golang.org/x/sync/errgroup"

	"github.com/mailproof/mailproof"
)

// treeWriter writes the lines of a tree and computes its root. One goroutine
// writes a tree, with names and buffers of its own.
type treeWriter struct {
	namer
	name string
	file *os.File
	out  *bufio.Writer
	sum  hash.Hash
	tree tree
	line []byte // the leaf at hand: a NUL (RFC 6962 §2.1), the line and its line feed
}

func (b *builder) newTree(name string) (*treeWriter, error) {
	path := filepath.Join(b.out, filepath.FromSlash(linesFile(name)))
	if !b.Profile.HasLines() {
		path = filepath.Join(b.work, name+".jsonl")
	}
	names, err := b.newNamer()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	w := &treeWriter{namer: names, name: name, file: f, sum: sha256.New()}
	w.out = bufio.NewWriterSize(io.MultiWriter(f, w.sum), 128<<10)
	return w, nil
}

// begin returns the buffer to which a line is appended, without a line feed,
// for add.
func (w *treeWriter) begin() []byte { return append(w.line[:0], leafPrefix) }

// add writes a line and returns its leaf hash.
func (w *treeWriter) add(line []byte) (tlog.Hash, error) {
	leaf := leafHash(line)
	w.tree.add(leaf)
	w.line = append(line, '\n')
	_, err := w.out.Write(w.line[1:])
	return leaf, err
}

// written is what a finished tree adds to a bundle.
type written struct {
	root Root
	sum  [sha256.Size]byte // of the file
}

// finish brings the lines to the disk.
func (w *treeWriter) finish() (out written, err error) {
	if err := errors.Join(w.out.Flush(), w.file.Sync(), w.file.Close()); err != nil {
		return out, fmt.Errorf("seal: %s: %w", w.name, err)
	}
	return written{Root{Tree: w.name, Size: w.tree.size, Hash: w.tree.root()}, [sha256.Size]byte(w.sum.Sum(nil))}, nil
}

// took takes a finished tree into the bundle. They come in the order of
// treeNames.
func (b *builder) took(t written) {
	if b.Profile.HasLines() {
		b.files[linesFile(t.root.Tree)] = t.sum
	}
	b.roots = append(b.roots, t.root)
}

// verdicts are those of a comparison on their way to their tree. They come in
// the order in which the comparison finds them; they are sorted to meet the
// lines of the destination, and then those of the source, so that each cites
// both.
type verdicts struct {
	byDestination, bySource *sorter
	marks                   [2]string // files of what they are joined with
}

// buildSides writes the trees of both sides and takes the verdicts. Two of the
// three are done at a time: each reads the ledger with memory of its own. The
// verdicts take the longest and come first.
func (b *builder) buildSides(ctx context.Context) (*verdicts, error) {
	v := &verdicts{byDestination: newSorter(b.work, b.runSize), bySource: newSorter(b.work, b.runSize)}
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(2)
	g.Go(func() error {
		names, err := b.newNamer()
		if err != nil {
			return err
		}
		m := &verdictMaker{namer: names, to: v}
		return b.from.Verdicts(within, m.take)
	})
	var sides [2]written
	for i, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		v.marks[i] = filepath.Join(b.work, "marks-"+side.String())
		g.Go(func() (err error) {
			sides[i], err = b.inventories(within, side, v.marks[i])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return v, err
	}
	for _, t := range sides {
		b.took(t)
	}
	return v, nil
}

// close removes what was sorted. The directory goes as a whole, and so do the
// errors.
func (v *verdicts) close() {
	_ = v.byDestination.close()
	_ = v.bySource.close()
}

// buildVerdicts writes the tree of verdicts.
func (b *builder) buildVerdicts(ctx context.Context, v *verdicts) (written, error) {
	if err := joinDestination(v.marks[1], v.byDestination, v.bySource); err != nil {
		return written{}, err
	}
	_ = v.byDestination.close()
	return b.writeVerdicts(ctx, v.marks[0], v.bySource)
}

// inventories writes the tree of one side, and beside it the position and the
// leaf of every line in short.
func (b *builder) inventories(ctx context.Context, side mailproof.Side, marks string) (out written, err error) {
	w, err := b.newTree(side.String())
	if err != nil {
		return out, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.file.Close())
		}
	}()
	f, err := os.Create(marks)
	if err != nil {
		return out, fmt.Errorf("seal: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	s := &sideWriter{treeWriter: w, mark: bufio.NewWriterSize(f, 64<<10), step: b.step}
	accounts, err := b.from.Accounts(ctx)
	if err != nil {
		return out, err
	}
	accounts = slices.Clone(accounts)
	slices.SortFunc(accounts, func(x, y string) int {
		return strings.Compare(w.of(FieldAccount, x), w.of(FieldAccount, y))
	})
	for _, account := range accounts {
		inv, err := b.from.Inventory(ctx, account, side)
		if err == nil && inv != nil {
			err = errors.Join(s.account(ctx, inv), inv.Close())
		}
		if err != nil {
			return out, fmt.Errorf("seal: %s of %s: %w", side, account, err)
		}
	}
	if err := s.mark.Flush(); err != nil {
		return out, fmt.Errorf("seal: %w", err)
	}
	return w.finish()
}

// sideWriter writes the messages of one side.
type sideWriter struct {
	*treeWriter
	mark    *bufio.Writer
	step    func()
	coder   coder
	message messageLine
	strings []byte // what the texts of a line are cut from
	key     []byte
}

func (s *sideWriter) account(ctx context.Context, inv Inventory) error {
	folders := inv.Folders()
	order := make([]int, len(folders))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int {
		return strings.Compare(s.of(FieldFolder, folders[x]), s.of(FieldFolder, folders[y]))
	})
	var last position
	for _, folder := range order {
		for m, err := range inv.Messages(ctx, folder) {
			if err != nil {
				return err
			}
			s.make(&m)
			at := s.message.key()
			if last != (position{}) && !last.less(at) {
				return fmt.Errorf("%w: %v does not come after %v", ErrMoved, at, last)
			}
			last = at
			leaf, err := s.add(s.coder.encode(s.begin(), &s.message))
			if err != nil {
				return err
			}
			s.key = at.append(s.key[:0])
			if err := writeMark(s.mark, s.key, leaf); err != nil {
				return err
			}
			s.step()
		}
	}
	return ctx.Err()
}

var tiers = mailproof.Tiers()

// make makes the line of a message.
func (s *sideWriter) make(m *mailproof.Message) {
	l := &s.message
	*l = messageLine{
		Account: s.of(FieldAccount, m.Account), Folder: s.of(FieldFolder, m.Mailbox), UIDValidity: int64(m.UIDValidity), UID: int64(m.MessageKey.UID),
		Flags: m.Flags, Size: m.Size, State: m.State.String(), Octets: m.Fingerprint.Octets,
	}
	detail := &m.Fingerprint.Detail
	s.texts(m)
	subject := subjectOf(detail)
	if s.alias != nil {
		s.redact(subject)
		return
	}
	l.Reason, l.Subject, l.MessageID = m.Reason, subject, detail.MessageID
	if m.GmailID != 0 {
		l.GmailID = strconv.FormatUint(m.GmailID, 10)
	}
}

// texts makes the texts of a line that are made for it alone: the date, the
// hashes, and the MIH where the Message-ID is told. They lie in one piece of
// memory, as there are many of them.
func (s *sideWriter) texts(m *mailproof.Message) {
	b := s.strings[:0]
	if !m.InternalDate.IsZero() {
		b = m.InternalDate.AppendFormat(b, time.RFC3339)
	}
	dated := len(b)
	var ends [mailproof.NumTiers]int
	for i, t := range tiers {
		if h := m.Fingerprint.Hash(t); !h.IsZero() {
			b = hex.AppendEncode(b, h[:])
		}
		ends[i] = len(b)
	}
	if id := m.Fingerprint.Detail.MessageID; s.alias == nil {
		b = appendMIH(b, id)
	}
	s.strings = b
	text, l := string(b), &s.message
	l.InternalDate = text[:dated]
	from := dated
	for i, end := range ends {
		l.Tiers[i], from = text[from:end], end
	}
	l.MIH = text[from:]
}

// redact takes from a line what names somebody or can be guessed. The
// hashes of a message become keyed ones, which can still be compared with each
// other: a short message can be guessed from a plain hash as an address can.
// Those of the Message-ID alone are left out with it.
func (s *sideWriter) redact(subject string) {
	l := &s.message
	l.Subject = s.alias.Of(FieldSubject, subject)
	for i, t := range tiers {
		if t == mailproof.T3 || t == mailproof.T3b {
			l.Tiers[i] = ""
			continue
		}
		l.Tiers[i] = s.alias.Of(tierKeys[i], l.Tiers[i])
	}
	flags := make([]string, len(l.Flags))
	for i, f := range l.Flags {
		flags[i] = f
		if !strings.HasPrefix(f, `\`) {
			flags[i] = s.alias.Of(FieldFlag, f)
		}
	}
	slices.Sort(flags)
	l.Flags = flags
	l.Salt = s.alias.Salt(s.name, s.tree.size)
}

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
	r := &markReader{in: bufio.NewReaderSize(f, 64<<10), file: f}
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
	c = citation{r.line, hex.EncodeToString(r.leaf[:])}
	return c, r.next()
}

// end says that every mark was matched.
func (r *markReader) end(side mailproof.Side) error {
	if r.more {
		return fmt.Errorf("seal: %w: line %d of the %s inventory has no verdict", ErrMoved, r.line, side)
	}
	return nil
}

// verdictMaker hands verdicts to the sorts.
type verdictMaker struct {
	namer
	to         *verdicts
	coder      coder
	line       verdictLine
	text       []byte // of the line
	position   []byte
	at, record []byte // key and value for the sort
}

// take hands a verdict to the sort by the line of the destination that it is
// about, or past it.
func (m *verdictMaker) take(v *Verdict) error {
	about := v.Source
	if about.Side == 0 {
		about = v.Destination
	}
	m.make(v, &about)
	m.text = m.coder.encode(m.text[:0], &m.line)
	m.position = append(m.line.key().append(m.position[:0]), sideOctet(about.Side))
	rec := record{position: m.position, text: m.text[:len(m.text)-1], about: about, hasSource: v.Source.Side != 0}
	m.record = rec.append(m.record[:0])
	if v.Destination.Side == 0 {
		return m.to.bySource.add(m.position, m.record)
	}
	d := &v.Destination
	at := position{m.of(FieldAccount, d.Account), m.of(FieldFolder, d.Mailbox), int64(d.UIDValidity), int64(d.UID)}
	m.at = at.append(m.at[:0])
	return m.to.byDestination.add(m.at, m.record)
}

// sideOctet puts the source before the destination where both have a message of
// one position.
func sideOctet(s mailproof.Side) byte { return byte(s) }

// make makes the line of a verdict as far as it is known before sorting.
func (m *verdictMaker) make(v *Verdict, about *mailproof.MessageKey) {
	l := &m.line
	*l = verdictLine{
		Account: m.of(FieldAccount, about.Account), Folder: m.of(FieldFolder, about.Mailbox), UIDValidity: int64(about.UIDValidity), UID: int64(about.UID),
		Side: about.Side.String(), Verdict: v.Verdict.String(), Reasons: m.reasons(v.Reasons), Beside: m.reasons(v.Beside), Signature: v.SignatureChanged, hasNoTrailer: true,
	}
	if v.Tier != mailproof.TierNone {
		l.Tier = v.Tier.String()
	}
	if d := &v.Destination; v.Source.Side != 0 && d.Side != 0 {
		l.ToFolder, l.ToValidity, l.ToUID = m.of(FieldFolder, d.Mailbox), int64(d.UIDValidity), int64(d.UID)
	}
}

// reasons are written whole, or as their codes where the evidence may name
// somebody.
func (m *verdictMaker) reasons(list []mailproof.Reason) []string {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, len(list))
	for i, r := range list {
		if m.alias != nil {
			out[i] = r.Code
		} else {
			out[i] = r.String()
		}
	}
	return out
}

// joinDestination gives each verdict the line of the destination that it is
// about.
func joinDestination(marks string, from, to *sorter) (err error) {
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
func (b *builder) writeVerdicts(ctx context.Context, marks string, from *sorter) (out written, err error) {
	w, err := b.newTree(treeVerdicts)
	if err != nil {
		return out, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.file.Close())
		}
	}()
	r, err := openMarks(marks)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, r.file.Close()) }()
	var rec record
	var l verdictLine
	err = from.each(func(key, value []byte) error {
		if err := rec.read(value); err != nil {
			return err
		}
		l = verdictLine{Destination: rec.destination, Exception: b.from.Exception(rec.about)}
		if rec.hasSource {
			if l.Source, err = r.match(key[:len(key)-1], mailproof.Source); err != nil {
				return err
			}
		}
		if w.alias != nil {
			l.Salt = w.alias.Salt(treeVerdicts, w.tree.size)
		}
		c := coder{buf: append(w.begin(), rec.text...), some: true}
		l.trailer(&c)
		if _, err := w.add(append(c.buf, '}')); err != nil {
			return fmt.Errorf("seal: %w", err)
		}
		b.step()
		return ctx.Err()
	})
	if err = errors.Join(err, nilIf(err != nil, r.end(mailproof.Source))); err != nil {
		return out, err
	}
	return w.finish()
}

// record is a verdict on its way through the sorts.
type record struct {
	position    []byte // in the tree of verdicts
	text        []byte // the line up to its trailer
	hasSource   bool
	destination citation
	// about is the message that it is about, to ask for the number of the
	// exception by: the printed form may be a pseudonym.
	about mailproof.MessageKey
}

var errRecord = errors.New("seal: a sorted record cannot be read")

func (r *record) append(b []byte) []byte {
	flag := byte(0)
	if r.hasSource {
		flag = 1
	}
	k := &r.about
	b = append(b, flag, sideOctet(k.Side))
	for _, n := range [...]uint64{uint64(r.destination.Line), uint64(k.UIDValidity), uint64(k.UID)} {
		b = binary.AppendUvarint(b, n)
	}
	for _, part := range [...][]byte{r.position, r.text} {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	for _, part := range [...]string{k.Account, k.Mailbox, r.destination.Leaf} {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	return b
}

// read reads what append wrote. What is as in the record before keeps its
// memory; position and text are parts of b.
func (r *record) read(b []byte) error {
	if len(b) < 2 {
		return errRecord
	}
	k := &r.about
	r.hasSource, k.Side, b = b[0] == 1, mailproof.Side(b[1]), b[2:]
	number := func() (v uint64) {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			b = nil // every further part is missing then
			return 0
		}
		b = b[n:]
		return v
	}
	line, validity, uid := number(), number(), number()
	var parts [5][]byte
	for i := range parts {
		size, n := binary.Uvarint(b)
		if n <= 0 || uint64(len(b)-n) < size {
			return errRecord
		}
		parts[i], b = b[n:n+int(size)], b[n+int(size):]
	}
	r.position, r.text = parts[0], parts[1]
	k.UIDValidity, k.UID = uint32(validity), mailproof.UID(uid)
	keep(&k.Account, parts[2])
	keep(&k.Mailbox, parts[3])
	r.destination = citation{int64(line), string(parts[4])}
	return nil
}

// keep sets a text that is mostly the same as before.
func keep(s *string, b []byte) {
	if *s != string(b) {
		*s = string(b)
	}
}
