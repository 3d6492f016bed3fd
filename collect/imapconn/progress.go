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
// brings octets extends it, disarm ends it when no answer is due any more.
// Once it has struck, the connection is dead for good: an answer that comes
// later would be taken for that of another command.
type progressConn struct {
	net.Conn
	timeout time.Duration
	octets  *traffic

	mu    sync.Mutex
	armed bool
	until time.Time // the deadline that is set on Conn while armed
	dead  error
}

// sendChunk bounds one write, so that a slow but steady line makes progress.
const sendChunk = 32 << 10

func newProgressConn(c net.Conn, timeout time.Duration, octets *traffic) *progressConn {
	return &progressConn{Conn: c, timeout: timeout, octets: octets}
}

// arm begins or extends the wait for an answer. A deadline that has most of
// its time left is not moved: setting one costs as much as a small read.
func (c *progressConn) arm() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead != nil {
		return c.dead
	}
	now := time.Now()
	if c.armed && c.until.Sub(now) > c.timeout*7/8 {
		return nil
	}
	c.armed, c.until = true, now.Add(c.timeout)
	return c.Conn.SetReadDeadline(c.until)
}

// disarm ends the wait: the connection may be idle for as long as it likes.
func (c *progressConn) disarm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed && c.dead == nil {
		c.armed = false
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
	c.mu.Lock()
	armed := c.armed
	c.mu.Unlock()
	if armed {
		// The time that the caller took before this read is not the server's.
		if err := c.arm(); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p)
	c.octets.read.Add(int64(n))
	if n > 0 {
		return n, nil // an error that came along comes again
	}
	if err != nil {
		err = c.fail(err)
	}
	return n, err
}

func (c *progressConn) Write(p []byte) (int, error) {
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
