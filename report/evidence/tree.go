package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// emptyRoot is the root of a tree without leaves (RFC 6962 §2.1).
var emptyRoot = tlog.Hash(sha256.Sum256(nil))

// The octets that keep leaves and nodes apart (RFC 6962 §2.1).
const (
	leafPrefix = 0
	nodePrefix = 1
)

// leafHash is tlog.RecordHash of a line that has leafPrefix before it already:
// it takes no memory.
func leafHash(prefixed []byte) tlog.Hash { return sha256.Sum256(prefixed) }

// nodeHash is tlog.NodeHash, and takes no memory.
func nodeHash(left, right tlog.Hash) tlog.Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = nodePrefix
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// tree computes a root leaf by leaf (RFC 6962 §2.1) and keeps one hash for each
// bit of the number of leaves.
type tree struct {
	size   int64
	forest []tlog.Hash // roots of the complete subtrees, the largest first
}

func (t *tree) add(leaf tlog.Hash) {
	h := leaf
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(t.forest) - 1
		h = nodeHash(t.forest[last], h)
		t.forest = t.forest[:last]
	}
	t.forest = append(t.forest, h)
	t.size++
}

func (t *tree) root() tlog.Hash {
	if t.size == 0 {
		return emptyRoot
	}
	last := len(t.forest) - 1
	h := t.forest[last]
	for i := last - 1; i >= 0; i-- {
		h = nodeHash(t.forest[i], h)
	}
	return h
}

// cite shortens a leaf hash to what a verdict cites it by.
func cite(leaf tlog.Hash) string { return hex.EncodeToString(leaf[:8]) }

// leaves yields the hashes of a tree's leaves in order.
type leaves func() (tlog.Hash, error)

var errIndex = errors.New("the tree has no such leaf")

// provePath returns the inclusion proof of leaf n in a tree of the given size
// (RFC 6962 §2.1.1) and the tree's root. Every leaf is asked for once and in
// order, so that a tree of any size is proved from a stream.
func provePath(n, size int64, next leaves) (tlog.RecordProof, tlog.Hash, error) {
	if n < 0 || n >= size {
		return nil, tlog.Hash{}, errIndex
	}
	var path tlog.RecordProof
	root, err := subtree(0, size, n, next, &path)
	return path, root, err
}

// subtree computes the root over the leaves [lo, hi). Where n is among them it
// adds their part of the path of n.
func subtree(lo, hi, n int64, next leaves, path *tlog.RecordProof) (tlog.Hash, error) {
	if hi-lo == 1 {
		return next()
	}
	mid := lo + 1
	for step := int64(1); lo+2*step < hi; step *= 2 {
		mid = lo + 2*step
	}
	left, err := subtree(lo, mid, n, next, path)
	if err != nil {
		return left, err
	}
	before := *path
	right, err := subtree(mid, hi, n, next, path)
	switch {
	case err != nil:
		return right, err
	case n >= lo && n < mid:
		*path = append(before, right)
	case n >= mid && n < hi:
		*path = append(*path, left)
	}
	return tlog.NodeHash(left, right), nil
}

// Root is the signed root of one tree.
type Root struct {
	Tree string // "source"
	Size int64  // number of leaves
	Hash tlog.Hash
}

// File is the file that holds the tree's leaves.
func (r Root) File() string { return linesFile(r.Tree) }

// String returns the root as a checkpoint writes it: in base64.
func (r Root) String() string { return r.Hash.String() }

var _ fmt.Stringer = Root{}
