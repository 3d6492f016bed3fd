package evidence

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
)

// maxLine bounds one line in octets.
const maxLine = 4 << 20

// lineReader reads the lines of a file one after the other, and hashes all of
// it.
type lineReader struct {
	in   *bufio.Reader
	file io.ReadCloser
	sum  hash.Hash
	long []byte
	n    int64 // of the line that next returned, from 1
}

func newLineReader(f io.ReadCloser) *lineReader {
	r := &lineReader{file: f, sum: sha256.New()}
	r.in = bufio.NewReaderSize(io.TeeReader(f, r.sum), 64<<10)
	return r
}

var (
	errNoLineFeed = errors.New("the last line has no end: the file was cut")
	errLongLine   = errors.New("the line is too long")
)

// next returns a line without its line feed, valid until the next call, and
// io.EOF behind the last one.
func (r *lineReader) next() ([]byte, error) {
	text, err := r.in.ReadSlice('\n')
	if err == nil {
		r.n++
		return text[:len(text)-1], nil
	}
	r.long = append(r.long[:0], text...)
	for errors.Is(err, bufio.ErrBufferFull) && len(r.long) <= maxLine {
		text, err = r.in.ReadSlice('\n')
		r.long = append(r.long, text...)
	}
	switch {
	case err == nil && len(r.long) <= maxLine:
		r.n++
		return bytes.TrimSuffix(r.long, []byte("\n")), nil
	case errors.Is(err, io.EOF) && len(r.long) == 0:
		return nil, io.EOF
	case errors.Is(err, io.EOF):
		r.n++
		return nil, errNoLineFeed
	case err == nil || errors.Is(err, bufio.ErrBufferFull):
		r.n++
		return nil, errLongLine
	}
	return nil, err
}

// finish reads what is left and returns the hash of the whole file.
func (r *lineReader) finish() (sum [sha256.Size]byte, err error) {
	_, err = io.Copy(io.Discard, r.in)
	err = errors.Join(err, r.file.Close())
	return [sha256.Size]byte(r.sum.Sum(nil)), err
}
