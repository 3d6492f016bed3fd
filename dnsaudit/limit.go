package dnsaudit

import (
	"errors"
	"net"
)

// limitedConn reads at most left octets, so that a peer cannot make us buffer
// an endless line.
type limitedConn struct {
	net.Conn
	left int
}

var errTooMuch = errors.New("the peer sends more than it should")

// Read implements [net.Conn].
func (c *limitedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooMuch
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
