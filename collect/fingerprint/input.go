package fingerprint

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/mailproof/mailproof"
)

// input builds the input of a hash so that no two different lists of values
// have the same octets: every string is preceded by its length, every list by
// its count, both as eight octets in network order, and the first two strings
// are the algorithm and the name of the hash.
type input []byte

func (in input) start(name string) input {
	return in[:0].str(mailproof.FingerprintAlgorithm).str(name)
}

func (in input) num(n int) input { return binary.BigEndian.AppendUint64(in, uint64(n)) }

func (in input) str(s string) input { return append(in.num(len(s)), s...) }

func (in input) bytes(b []byte) input { return append(in.num(len(b)), b...) }

func (in input) list(l []string) input {
	in = in.num(len(l))
	for _, s := range l {
		in = in.str(s)
	}
	return in
}

func (in input) sum() mailproof.Hash { return sha256.Sum256(in) }

func short(h mailproof.Hash) (s mailproof.Short) {
	copy(s[:], h[:])
	return s
}

// digest is a SHA-256 that gathers small writes: the hash works on blocks of
// 64 octets and mail comes in lines of 76.
type digest struct {
	h   hash.Hash
	fed bool // h has had octets; if not, all of them are in buf
	buf []byte
	out mailproof.Hash // what Sum is given escapes
}

const digestBuffer = 16 << 10

func newDigest() *digest { return &digest{h: sha256.New(), buf: make([]byte, 0, digestBuffer)} }

func (d *digest) reset() {
	if d.fed {
		d.h.Reset()
		d.fed = false
	}
	d.buf = d.buf[:0]
}

func (d *digest) feed(b []byte) {
	d.h.Write(b)
	d.fed = true
}

// room makes place for n octets (at most digestBuffer) in buf.
func (d *digest) room(n int) {
	if cap(d.buf)-len(d.buf) < n {
		d.feed(d.buf)
		d.buf = d.buf[:0]
	}
}

func (d *digest) write(b []byte) {
	if len(b) > digestBuffer/2 {
		if len(d.buf) > 0 {
			d.feed(d.buf)
			d.buf = d.buf[:0]
		}
		d.feed(b)
		return
	}
	d.room(len(b))
	d.buf = append(d.buf, b...)
}

func (d *digest) writeByte(c byte) {
	d.room(1)
	d.buf = append(d.buf, c)
}

// writeHash is write for a value that need not leave the stack for it.
func (d *digest) writeHash(h mailproof.Hash) {
	d.room(len(h))
	d.buf = append(d.buf, h[:]...)
}

// writeLines writes lines with LF as their line end.
func (d *digest) writeLines(r run) {
	start := 0
	for _, end := range r.ends {
		line := r.octets[start:end]
		start = int(end) + len(crlf)
		if len(line) > digestBuffer/2 {
			d.write(line)
			d.writeByte('\n')
			continue
		}
		d.room(len(line) + 1)
		d.buf = append(append(d.buf, line...), '\n')
	}
}

func (d *digest) sum() mailproof.Hash {
	if !d.fed {
		return sha256.Sum256(d.buf)
	}
	d.feed(d.buf)
	d.buf = d.buf[:0]
	d.h.Sum(d.out[:0])
	return d.out
}
