package imapconn

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// promptConn acknowledges what it has read at once.
//
// A server that writes an answer in two pieces with Nagle's algorithm on, as
// Courier does with "OK" and the next "+", holds the second piece back until
// the first is acknowledged, and Linux delays an acknowledgement for 40 ms where
// it has nothing to send along: every APPEND then costs 40 ms more, however
// near the server is. Linux goes back to delaying by itself, so the option is
// set anew after every read (tcp(7), TCP_QUICKACK).
type promptConn struct {
	*net.TCPConn
	raw syscall.RawConn
}

// prompt makes a connection acknowledge at once, where the system can.
func prompt(c net.Conn) net.Conn {
	tcp, is := c.(*net.TCPConn)
	if !is {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c // it is only slower
	}
	return &promptConn{tcp, raw}
}

func (c *promptConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if n > 0 {
		// What fails here costs time and nothing else.
		_ = c.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	}
	return n, err
}
