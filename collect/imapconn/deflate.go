package imapconn

import (
	"bufio"
	"bytes"
	"compress/flate"
)

// compress turns on COMPRESS=DEFLATE (RFC 4978): everything after the server's
// OK is a raw DEFLATE stream (RFC 1951), in both directions, below IMAP and
// above TLS. A server that says no goes on as before.
func (w *wire) compress() error {
	st, err := w.command("compress", "COMPRESS DEFLATE", nil, nil)
	if err != nil || !st.ok() {
		return err
	}
	d, err := newDeflater()
	if err != nil {
		return err
	}
	w.conn.deflate = d
	// What is buffered already is the beginning of the stream; flate takes
	// single octets from a reader that has them, and so never too many.
	w.br = bufio.NewReaderSize(flate.NewReader(w.br), readBuffer)
	return nil
}

// deflater packs what is written, so that the other end can read all of it at
// once.
type deflater struct {
	w   *flate.Writer
	out bytes.Buffer
}

func newDeflater() (*deflater, error) {
	d := new(deflater)
	var err error
	d.w, err = flate.NewWriter(&d.out, flate.BestSpeed)
	return d, err
}

// pack returns what p becomes. It is valid until the next call.
func (d *deflater) pack(p []byte) ([]byte, error) {
	d.out.Reset()
	if _, err := d.w.Write(p); err != nil {
		return nil, err
	}
	err := d.w.Flush()
	return d.out.Bytes(), err
}
