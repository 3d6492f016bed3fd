package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"os"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/mailproof/mailproof"
)

// treeReader reads a tree line by line: form, order, leaf hashes and root.
type treeReader struct {
	v    *verifier
	name string // of the tree
	file string
	in   *lineReader
	tree tree
	last position
	side string // of the last verdict
	leaf tlog.Hash
	bad  bool // the line could not be read; what it says is not known
	over bool

	hash    hash.Hash // for the leaves
	coder   coder
	message messageLine // where lines of messages are read to
}

func (v *verifier) openTree(name string) (*treeReader, error) {
	file := linesFile(name)
	f, err := v.store.open(file)
	if err != nil {
		v.problem(CheckManifest, file, 0, "%s", readError(err))
		return nil, err
	}
	return &treeReader{v: v, name: name, file: file, in: newLineReader(f), hash: sha256.New()}, nil
}

// next reads the next line into l; false at the end.
func (t *treeReader) next(l line) bool {
	if t.over {
		return false
	}
	text, err := t.in.next()
	switch {
	case errors.Is(err, io.EOF):
		t.over = true
		return false
	case errors.Is(err, errNoLineFeed), errors.Is(err, errLongLine):
		t.v.problem(CheckLines, t.file, t.in.n, "%v", err)
		t.over = true
		return false
	case err != nil:
		t.v.problem(CheckManifest, t.file, t.in.n+1, "%s", readError(err))
		t.over = true
		return false
	}
	t.hash.Reset()
	t.hash.Write([]byte{leafPrefix})
	t.hash.Write(text)
	t.hash.Sum(t.leaf[:0])
	t.tree.add(t.leaf)
	t.bad = false
	if err := t.coder.decode(text, l); err != nil {
		t.v.problem(CheckLines, t.file, t.in.n, "%v", err)
		t.bad = true
	}
	if t.v.lines++; t.v.Progress != nil && t.v.lines&0xfff == 0 {
		t.v.Progress(t.v.lines)
	}
	return true
}

// nextMessage reads the next line, which is valid until the one after it; nil at
// the end.
func (t *treeReader) nextMessage() *messageLine {
	t.message = messageLine{}
	if !t.next(&t.message) {
		return nil
	}
	t.order(t.message.key(), "")
	return &t.message
}

// order checks that a line comes after the one before. The verdict on a source
// message comes before that on a destination message of the same position.
func (t *treeReader) order(at position, side string) {
	if t.bad {
		return
	}
	if t.in.n > 1 && !t.last.less(at) && (t.last != at || t.side != treeSource || side != treeDestination) {
		t.v.problem(CheckLines, t.file, t.in.n, "does not come after the line before it, or repeats it")
	}
	t.last, t.side = at, side
}

// finish compares the file with its hash and the tree with its checkpoint.
func (t *treeReader) finish() {
	sum, err := t.in.finish()
	if err != nil {
		t.v.problem(CheckManifest, t.file, 0, "%s", readError(err))
	}
	t.v.compareSum(CheckManifest, t.file, sum, t.v.payload)
	root := Root{t.name, t.tree.size, t.tree.root()}
	t.v.result.Roots = append(t.v.result.Roots, VerifiedRoot{root.File(), root.Size, root.String()})
	c, ok := t.v.checkpoints[t.name]
	switch {
	case !ok:
	case c.Size != root.Size:
		t.v.problem(CheckRoots, t.file, 0, "has %d lines, and %d are signed", root.Size, c.Size)
	case c.Hash != root.Hash:
		t.v.problem(CheckRoots, t.file, 0, "its lines make the root %s, and %s is signed", root, c.Root)
	}
}

// checkTrees reads the three trees. Each is read once, and in step with what it
// has to agree with.
func (v *verifier) checkTrees(ctx context.Context) (err error) {
	v.tally = newTally()
	if !v.profile.HasLines() {
		for _, t := range treeNames {
			c := v.checkpoints[t]
			v.result.Roots = append(v.result.Roots, VerifiedRoot{linesFile(t), c.Size, c.Hash.String()})
		}
		return nil
	}
	dir, err := v.tempDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cited := newSorter(dir, v.runSize)
	defer func() { err = errors.Join(err, cited.close()) }()
	if err := v.readVerdicts(ctx, cited); err != nil {
		return err
	}
	if err := v.readDestination(ctx, cited); err != nil {
		return err
	}
	v.done(CheckRoots, "%d, %d and %d lines make the roots that are signed", v.size(treeSource), v.size(treeDestination), v.size(treeVerdicts))
	v.done(CheckVerdicts, "every message of both inventories has one verdict, which holds for the hashes of the lines that it cites")
	return nil
}

func (v *verifier) size(tree string) int64 { return v.checkpoints[tree].Size }

// readVerdicts reads verdicts and source in step. What a verdict says of a line
// of the destination is handed to cited, by the number of that line.
func (v *verifier) readVerdicts(ctx context.Context, cited *sorter) error {
	verdicts, err := v.openTree(treeVerdicts)
	if err != nil {
		return nil // recorded
	}
	source, err := v.openTree(treeSource)
	if err != nil {
		verdicts.drain(func() line { return new(verdictLine) })
		return nil
	}
	var l verdictLine
	var c citing
	for ; verdicts.next(&l); l = (verdictLine{}) {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, verdicts.in.file.Close(), source.in.file.Close())
		}
		verdicts.order(l.key(), l.Side)
		if verdicts.bad {
			continue
		}
		tier := v.readCited(verdicts, source, &l)
		v.tally.verdict(v, verdicts, &l)
		if l.Destination.Line == 0 {
			continue
		}
		if err := c.destination(cited, &l, tier, verdicts.in.n); err != nil {
			return errors.Join(err, verdicts.in.file.Close(), source.in.file.Close())
		}
	}
	for v.readSource(source) {
		v.problem(CheckVerdicts, source.file, source.in.n, "has no verdict")
	}
	source.finish()
	verdicts.finish()
	return nil
}

// drain reads a tree that cannot be compared with its neighbour.
func (t *treeReader) drain(zero func() line) {
	for t.next(zero()) {
		continue
	}
	t.finish()
}

// readSource reads a line of the source that nobody cites.
func (v *verifier) readSource(t *treeReader) bool {
	m := t.nextMessage()
	if m == nil {
		return false
	}
	v.tally.source(m, t.bad)
	return true
}

// readCited reads the line of the source that a verdict cites and compares the
// two. It returns the source's hash of the tier that the verdict rests on.
func (v *verifier) readCited(verdicts, source *treeReader, l *verdictLine) (tier string) {
	n := verdicts.in.n
	wrong := func(format string, args ...any) { v.problem(CheckVerdicts, verdicts.file, n, format, args...) }
	switch {
	case l.Side == treeDestination && (l.Source.Line != 0 || l.Destination.Line == 0):
		wrong("is about a message of the destination and does not cite it alone")
		return ""
	case l.Side == treeDestination:
		return ""
	case l.Side != treeSource:
		wrong("is about neither side")
		return ""
	case l.Source.Line <= source.in.n:
		wrong("cites line %d of %s, which another verdict is about", l.Source.Line, source.file)
		return ""
	}
	for source.in.n+1 < l.Source.Line {
		if !v.readSource(source) {
			break
		}
		v.problem(CheckVerdicts, source.file, source.in.n, "has no verdict")
	}
	m := source.nextMessage()
	if m == nil {
		wrong("cites line %d of %s, which has no such line", l.Source.Line, source.file)
		return ""
	}
	v.tally.source(m, source.bad)
	if cite(source.leaf) != l.Source.Leaf {
		v.problem(CheckVerdicts, source.file, source.in.n, "is not the line that line %d of %s is about", n, verdicts.file)
	} else if m.key() != l.key() {
		wrong("cites line %d of %s, which is another message", l.Source.Line, source.file)
	}
	return m.tier(l.Tier)
}

// provable are the tiers whose hash both messages of a pair must share. At the
// tiers below, a pair rests on more than that hash.
var provable = map[string]bool{"T0": true, "T1": true, "T2": true, "T2v": true, "T2c": true}

// tierOf are the tiers that verdicts must rest on.
var tierOf = map[string]string{
	mailproof.Identical.String(): "T0", mailproof.IdenticalNormalised.String(): "T1", mailproof.Equivalent.String(): "T2", mailproof.EquivalentText.String(): "T2v",
}

// citing writes down what must hold of lines of the destination.
type citing struct{ at, key, value []byte }

func (c *citing) destination(cited *sorter, l *verdictLine, tier string, n int64) error {
	at := position{l.Account, l.Folder, l.UIDValidity, l.UID}
	if l.Side == treeSource {
		at = position{l.Account, l.ToFolder, l.ToValidity, l.ToUID}
	}
	name := ""
	if l.Side == treeSource && provable[l.Tier] {
		name = l.Tier
	}
	c.at = at.append(c.at[:0])
	c.key = binary.BigEndian.AppendUint64(c.key[:0], uint64(l.Destination.Line))
	value := binary.AppendUvarint(c.value[:0], uint64(n))
	for _, part := range [...]string{l.Destination.Leaf, name, tier} {
		value = append(binary.AppendUvarint(value, uint64(len(part))), part...)
	}
	c.value = append(binary.AppendUvarint(value, uint64(len(c.at))), c.at...)
	return cited.add(c.key, c.value)
}

// readDestination reads the destination in step with what the verdicts say of
// it.
func (v *verifier) readDestination(ctx context.Context, cited *sorter) error {
	t, err := v.openTree(treeDestination)
	if err != nil {
		return nil // recorded
	}
	verdicts := linesFile(treeVerdicts)
	last := uint64(0)
	read := func() bool {
		m := t.nextMessage()
		if m == nil {
			return false
		}
		v.tally.destination(m, t.bad)
		return true
	}
	var at []byte
	err = cited.each(func(key, value []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		want := binary.BigEndian.Uint64(key)
		n, f, err := readCitation(value)
		if err != nil {
			return err
		}
		if want == last {
			v.problem(CheckVerdicts, verdicts, n, "cites line %d of %s, which another verdict is about", want, t.file)
			return nil
		}
		last = want
		for uint64(t.in.n) < want {
			if !read() {
				v.problem(CheckVerdicts, verdicts, n, "cites line %d of %s, which has no such line", want, t.file)
				return nil
			}
			if uint64(t.in.n) < want {
				v.problem(CheckVerdicts, t.file, t.in.n, "has no verdict")
			}
		}
		at = t.message.key().append(at[:0])
		v.compareDestination(t, at, n, f)
		return nil
	})
	if err != nil {
		return errors.Join(err, t.in.file.Close())
	}
	for read() {
		v.problem(CheckVerdicts, t.file, t.in.n, "has no verdict")
	}
	t.finish()
	return nil
}

// compareDestination holds the line at hand, which is of the message at, against
// what line n of the verdicts says of it.
func (v *verifier) compareDestination(t *treeReader, at []byte, n int64, f [4][]byte) {
	leaf, tier, hash, wanted := f[0], f[1], f[2], f[3]
	verdicts := linesFile(treeVerdicts)
	switch {
	case cite(t.leaf) != string(leaf):
		v.problem(CheckVerdicts, t.file, t.in.n, "is not the line that line %d of %s is about", n, verdicts)
	case t.bad:
	case !bytes.Equal(at, wanted):
		v.problem(CheckVerdicts, verdicts, n, "cites line %d of %s, which is another message", t.in.n, t.file)
	case len(tier) > 0 && (len(hash) == 0 || t.message.tier(string(tier)) != string(hash)):
		v.problem(CheckVerdicts, verdicts, n, "rests on tier %s, and the two messages do not share its hash", tier)
	}
}

var errCitation = errors.New("verify: a sorted record cannot be read")

// readCitation reads what citing wrote; f are parts of b.
func readCitation(b []byte) (n int64, f [4][]byte, err error) {
	number, size := binary.Uvarint(b)
	if size <= 0 {
		return 0, f, errCitation
	}
	b = b[size:]
	for i := range f {
		length, size := binary.Uvarint(b)
		if size <= 0 || uint64(len(b)-size) < length {
			return 0, f, errCitation
		}
		f[i], b = b[size:size+int(length)], b[size+int(length):]
	}
	return int64(number), f, nil
}
