package imapconn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// traffic counts the octets of IMAP, below TLS and above the sanitizer. It
// outlives the connections that it counts for.
type traffic struct{ read, written atomic.Int64 }

// silenceError says that the server was silent for too long.
type silenceError struct{ after time.Duration }

func (e *silenceError) Error() string   { return fmt.Sprintf("no progress for %v", e.after) }
func (e *silenceError) Timeout() bool   { return true }
func (e *silenceError) Temporary() bool { return true }

// progressConn puts a deadline on silence: writing arms it, every read that
// brings leastProgress octets extends it, disarm ends it when no answer is due
// any more. Once it has struck, the connection is dead for good: an answer that
// comes later would be taken for that of another command.
type progressConn struct {
	net.Conn
	timeout time.Duration
	octets  *traffic
	deflate *deflater // nil: octets leave as they are

	mu       sync.Mutex
	armed    bool
	until    time.Time // the deadline
	set      time.Time // the deadline that is set on Conn, never later than until
	got      int       // octets read since the deadline was last extended
	returned time.Time // when the last read gave octets to the caller; zero if none did
	dead     error
}

// leastProgress is how many octets must come in within the time limit. A line
// that brings one octet a second is as dead as one that brings none, and would
// hold a pass up for weeks; a server that says "* OK still here" four times a
// minute while it works brings more.
const leastProgress = 64

// sendChunk bounds one write, so that a slow but steady line makes progress.
const sendChunk = 32 << 10

func newProgressConn(c net.Conn, timeout time.Duration, octets *traffic) *progressConn {
	return &progressConn{Conn: c, timeout: timeout, octets: octets}
}

// arm begins or renews the wait for an answer.
func (c *progressConn) arm() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return c.dead
	}
	c.armed, c.got, c.returned = true, 0, time.Time{}
	return c.extend(time.Now().Add(c.timeout))
}

// extend moves the deadline. One that has most of its time left is not set
// anew: setting one costs as much as a small read.
func (c *progressConn) extend(until time.Time) error {
	c.until = until
	if slack := until.Sub(c.set); slack >= 0 && slack < c.timeout/8 {
		return nil
	}
	c.set = until
	return c.Conn.SetReadDeadline(until)
}

// disarm ends the wait: the connection may be idle for as long as it likes.
func (c *progressConn) disarm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed && c.dead == nil {
		c.armed, c.set = false, time.Time{}
		// It fails on a closed connection only, which the next use reports.
		_ = c.Conn.SetReadDeadline(time.Time{})
	}
}

// fail makes an error stick and closes the connection.
func (c *progressConn) fail(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = &silenceError{c.timeout}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead == nil {
		c.dead = err
		_ = c.Conn.Close() // the reason of the closing is what counts
	}
	return c.dead
}

func (c *progressConn) Read(p []byte) (int, error) {
	if err := c.before(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.octets.read.Add(int64(n))
	if n > 0 {
		// An error that came along comes again.
		return n, c.after(n)
	}
	if err != nil {
		err = c.fail(err)
	}
	return n, err
}

// before gives back the time that the caller took since the last read: it is
// not the server's.
func (c *progressConn) before() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dead != nil:
		return c.dead
	case !c.armed || c.returned.IsZero():
		return nil
	}
	return c.extend(c.until.Add(time.Since(c.returned)))
}

// after counts what came in.
func (c *progressConn) after(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.armed || c.dead != nil {
		return nil
	}
	c.returned = time.Now()
	if c.got += n; c.got < leastProgress {
		return nil
	}
	c.got = 0
	return c.extend(c.returned.Add(c.timeout))
}

func (c *progressConn) Write(p []byte) (int, error) {
	if c.deflate == nil {
		return c.writeRaw(p)
	}
	packed, err := c.deflate.pack(p)
	if err != nil {
		return 0, err
	}
	if _, err := c.writeRaw(packed); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *progressConn) writeRaw(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		if err := c.arm(); err != nil {
			return written, err
		}
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return written, c.fail(err)
		}
		n, err := c.Conn.Write(p[written:min(len(p), written+sendChunk)])
		written += n
		c.octets.written.Add(int64(n))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return written, c.fail(err)
		} else if err != nil {
			// The connection stays open for reading: a server that hangs up on
			// a command often has said why.
			return written, err
		}
	}
	return written, nil
}

// Deadlines belong to this layer: the client above sets its own, which would
// cut a large message short after a fixed time.
func (c *progressConn) SetDeadline(time.Time) error      { return nil }
func (c *progressConn) SetReadDeadline(time.Time) error  { return nil }
func (c *progressConn) SetWriteDeadline(time.Time) error { return nil }
