package imapmem

import (
	"bufio"
	"compress/flate"
	"io"
)

// compress is COMPRESS DEFLATE (RFC 4978). The connection changes over when the
// reply has left.
func (c *conn) compress(p *parser) *status {
	p.space()
	algorithm := p.word()
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	switch {
	case algorithm != "DEFLATE":
		return no("algorithm is not known")
	case c.deflated:
		return no("[COMPRESSIONACTIVE] compressed already")
	}
	return ok("DEFLATE active")
}

func (c *conn) startCompress() bool {
	if c.w.Flush() != nil {
		return false
	}
	packer, err := flate.NewWriter(deadlineWriter{c.nc}, flate.BestSpeed)
	if err != nil {
		return false
	}
	c.deflated = true
	c.r = bufio.NewReaderSize(flate.NewReader(c.r), 64<<10)
	c.w = bufio.NewWriterSize(flushing{packer}, 64<<10)
	return true
}

// flushing packs each write so that the other end can read all of it.
type flushing struct{ *flate.Writer }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	if err == nil {
		err = f.Flush()
	}
	return n, err
}

var _ io.Writer = flushing{}
