package evidence

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/mailproof/mailproof"
)

// Proof shows that one line belongs to a signed tree (C2SP tlog-proof). It is
// small, needs nothing of the bundle, and tells of no other line.
type Proof struct {
	Leaf       []byte // the line; stands in the extra field, untrusted until it hashes into the root
	Index      int64  // of the leaf, from 0
	Path       tlog.RecordProof
	Checkpoint []byte
}

const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	maxProof    = 8 << 20 // octets; a leaf has at most maxLine
)

// Text writes the proof.
func (p *Proof) Text() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s\nextra %s\nindex %d\n", proofHeader, base64.StdEncoding.EncodeToString(p.Leaf), p.Index)
	for _, h := range p.Path {
		out.WriteString(h.String() + "\n")
	}
	out.WriteByte('\n')
	out.Write(p.Checkpoint)
	return out.Bytes()
}

var errProof = errors.New("this is no proof: want the lines of c2sp.org/tlog-proof@v1 with an extra field, and a checkpoint")

// ParseProof reads a proof and verifies nothing.
func ParseProof(data []byte) (*Proof, error) {
	if len(data) > maxProof {
		return nil, errProof
	}
	head, checkpoint, ok := strings.Cut(string(data), "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 3 || lines[0] != proofHeader || len(lines) > 3+64 {
		return nil, errProof
	}
	extra, ok1 := strings.CutPrefix(lines[1], "extra ")
	index, ok2 := strings.CutPrefix(lines[2], "index ")
	if !ok1 || !ok2 {
		return nil, errProof
	}
	p := &Proof{Checkpoint: []byte(checkpoint)}
	var err error
	if p.Leaf, err = base64.StdEncoding.Strict().DecodeString(extra); err != nil {
		return nil, errProof
	}
	if p.Index, err = strconv.ParseInt(index, 10, 64); err != nil || p.Index < 0 || strconv.FormatInt(p.Index, 10) != index {
		return nil, errProof
	}
	for _, l := range lines[3:] {
		h, err := tlog.ParseHash(l)
		if err != nil || h.String() != l {
			return nil, errProof
		}
		p.Path = append(p.Path, h)
	}
	if _, err := readCheckpoint(p.Checkpoint); err != nil {
		return nil, err
	}
	if !bytes.Equal(p.Text(), data) {
		return nil, errProof
	}
	return p, nil
}

// Proven is what a proof shows.
type Proven struct {
	Tree    string `json:"tree"` // "verdicts"
	Index   int64  `json:"index"`
	Size    int64  `json:"size"`
	Origin  string `json:"origin"`
	Root    string `json:"root"`
	Leaf    string `json:"leaf"` // the line itself
	Account string `json:"account"`
	Folder  string `json:"folder"`
	UID     int64  `json:"uid"`
	Verdict string `json:"verdict,omitempty"` // of a line of verdicts
	// Signed says that the checkpoint's signature was verified; without a key it
	// cannot be.
	Signed      bool   `json:"signed"`
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Check verifies the proof: that the line hashes into the root, and that the
// key signed that root. With the zero key the signature is left unchecked, and
// the result says so.
func (p *Proof) Check(key PublicKey) (r Proven, err error) {
	c, err := readCheckpoint(p.Checkpoint)
	if err != nil {
		return r, err
	}
	if !key.IsZero() {
		if c, err = openCheckpoint(p.Checkpoint, key); err != nil {
			return r, err
		}
		r.Signed, r.Fingerprint = true, key.Fingerprint()
	}
	if p.Index >= c.Size {
		return r, fmt.Errorf("the tree has %d leaves, and the proof is of number %d from 0", c.Size, p.Index)
	}
	if err := checkRecord(p.Path, c.Size, c.Hash, p.Index, tlog.RecordHash(p.Leaf)); err != nil {
		return r, fmt.Errorf("the line does not belong to the signed tree: %w", err)
	}
	r.Tree, r.Index, r.Size, r.Origin, r.Root, r.Leaf = c.Tree, p.Index, c.Size, c.Origin, c.Hash.String(), string(p.Leaf)
	return r, r.read(p.Leaf)
}

// checkRecord keeps the library's panics from whoever hands in a proof.
func checkRecord(path tlog.RecordProof, size int64, root tlog.Hash, n int64, leaf tlog.Hash) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the path cannot be followed")
		}
	}()
	return tlog.CheckRecord(path, size, root, n, leaf)
}

// read tells in words what the line says.
func (r *Proven) read(leaf []byte) error {
	if r.Tree == treeVerdicts {
		var l verdictLine
		if err := decode(leaf, &l); err != nil {
			return fmt.Errorf("the line is signed and cannot be read: %w", err)
		}
		r.Account, r.Folder, r.UID, r.Verdict = l.Account, l.Folder, l.UID, l.Verdict
		return nil
	}
	var l messageLine
	if err := decode(leaf, &l); err != nil {
		return fmt.Errorf("the line is signed and cannot be read: %w", err)
	}
	r.Account, r.Folder, r.UID = l.Account, l.Folder, l.UID
	return nil
}

// Wanted says which message is to be proved: by the number of its exception, or
// by its names as they are written in the bundle.
type Wanted struct {
	Exception       string
	Account, Folder string
	UID             mailproof.UID
	UIDValidity     uint32 // 0: any
	// Side is that of Account, Folder and UID; zero: the source, or what is on
	// the destination only.
	Side mailproof.Side
	// Tree is the tree to prove from: source, destination or verdicts.
	Tree string
}

// ErrNotThere says that a bundle has no line of the message.
var ErrNotThere = errors.New("the bundle has no such message")

// Prove makes the proof of one message from a bundle, a directory or a zip. Of a
// summary, kept is the directory that holds its lines. It reads the lines twice
// and verifies nothing but its own proof.
func Prove(ctx context.Context, bundle, kept string, w Wanted) (p *Proof, err error) {
	s, err := openStore(bundle)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	lines := func(tree string) (io.ReadCloser, error) {
		f, err := s.open(linesFile(tree))
		if err != nil && kept != "" {
			f, err = os.Open(filepath.Join(kept, filepath.FromSlash(linesFile(tree))))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s", linesFile(tree), readError(err))
		}
		return f, nil
	}
	index, err := w.find(ctx, lines)
	if err != nil {
		return nil, err
	}
	p = &Proof{Index: index}
	if p.Checkpoint, err = readSmall(s, checkpointFile(w.Tree), maxNote); err != nil {
		return nil, fmt.Errorf("%s: %s", checkpointFile(w.Tree), readError(err))
	}
	c, err := readCheckpoint(p.Checkpoint)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", checkpointFile(w.Tree), err)
	}
	if err := p.path(ctx, lines, w.Tree, c); err != nil {
		return nil, err
	}
	if _, err := p.Check(PublicKey{}); err != nil {
		return nil, fmt.Errorf("prove: %w", err)
	}
	return p, nil
}

// path computes the proof's path from the lines.
func (p *Proof) path(ctx context.Context, open func(string) (io.ReadCloser, error), tree string, c checkpoint) (err error) {
	f, err := open(tree)
	if err != nil {
		return err
	}
	in := newLineReader(f)
	defer func() { err = errors.Join(err, f.Close()) }()
	var root tlog.Hash
	p.Path, root, err = provePath(p.Index, c.Size, func() (tlog.Hash, error) {
		text, err := in.next()
		if err != nil {
			return tlog.Hash{}, fmt.Errorf("%s:%d: %w", linesFile(tree), in.n, err)
		}
		if in.n == p.Index+1 {
			p.Leaf = bytes.Clone(text)
		}
		return tlog.RecordHash(text), ctx.Err()
	})
	if err == nil && root != c.Hash {
		err = fmt.Errorf("%s does not make the root that is signed: verify the bundle first", linesFile(tree))
	}
	return err
}

// find looks for the index of the line in its tree. Verdicts cite the lines of
// both inventories, so that they are found by one reading of the verdicts.
func (w Wanted) find(ctx context.Context, open func(string) (io.ReadCloser, error)) (index int64, err error) {
	f, err := open(treeVerdicts)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in := newLineReader(f)
	for {
		text, err := in.next()
		if errors.Is(err, io.EOF) {
			return 0, ErrNotThere
		}
		var l verdictLine
		if err == nil {
			err = decode(text, &l)
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return 0, fmt.Errorf("%s:%d: %w", linesFile(treeVerdicts), in.n, err)
		}
		if !w.matches(&l) {
			continue
		}
		switch w.Tree {
		case treeVerdicts:
			return in.n - 1, nil
		case treeSource:
			index = l.Source.Line
		case treeDestination:
			index = l.Destination.Line
		default:
			return 0, fmt.Errorf("there is no tree %q: source, destination or verdicts", cutText(w.Tree))
		}
		if index == 0 {
			return 0, fmt.Errorf("%w on the %s: its verdict is %s", ErrNotThere, w.Tree, l.Verdict)
		}
		return index - 1, nil
	}
}

func (w Wanted) matches(l *verdictLine) bool {
	if w.Exception != "" {
		return l.Exception == w.Exception
	}
	same := func(folder string, validity, uid int64) bool {
		return l.Account == w.Account && folder == w.Folder && uid == int64(w.UID) && (w.UIDValidity == 0 || validity == int64(w.UIDValidity))
	}
	if w.Side == mailproof.Destination {
		return l.Side == treeDestination && same(l.Folder, l.UIDValidity, l.UID) || l.Side == treeSource && same(l.ToFolder, l.ToValidity, l.ToUID)
	}
	return l.Side == treeSource && same(l.Folder, l.UIDValidity, l.UID)
}
