package main

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// relay is a TCP relay that counts the octets that the server sends, and holds
// every octet back for half of the round trip in either direction.
type relay struct {
	listener net.Listener
	target   string
	half     time.Duration
	down     atomic.Int64 // octets from the server
	wg       sync.WaitGroup
}

func newRelay(target string, roundTrip time.Duration) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &relay{listener: l, target: target, half: roundTrip / 2}
	p.wg.Go(p.serve)
	return p, nil
}

func (p *relay) addr() string { return p.listener.Addr().String() }

func (p *relay) close() error {
	err := p.listener.Close()
	p.wg.Wait()
	return err
}

func (p *relay) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.wg.Go(func() {
			defer client.Close()
			server, err := net.DialTimeout("tcp", p.target, 10*time.Second)
			if err != nil {
				return // the client sees its connection closed
			}
			defer server.Close()
			up := make(chan struct{})
			go func() {
				defer close(up)
				p.pipe(server, client, nil)
				closeWrite(server)
			}()
			p.pipe(client, server, &p.down)
			closeWrite(client)
			<-up
		})
	}
}

func closeWrite(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.CloseWrite() // the other end may be gone already: that is how connections end
	}
}

// pipe copies until the end, each chunk not before its time: latency without a
// limit of throughput.
func (p *relay) pipe(dst io.Writer, src io.Reader, count *atomic.Int64) {
	if p.half == 0 {
		buffer := make([]byte, 64<<10)
		for {
			n, err := src.Read(buffer)
			if count != nil {
				count.Add(int64(n))
			}
			if _, werr := dst.Write(buffer[:n]); errors.Join(err, werr) != nil {
				return
			}
		}
	}
	type chunk struct {
		due  time.Time
		data []byte
	}
	chunks := make(chan chunk, 1024)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for c := range chunks {
			time.Sleep(time.Until(c.due))
			if _, err := dst.Write(c.data); err != nil {
				for range chunks { // the reader must not block on a connection that ended
				}
				return
			}
		}
	}()
	for {
		buffer := make([]byte, 32<<10)
		n, err := src.Read(buffer)
		if count != nil {
			count.Add(int64(n))
		}
		if n > 0 {
			chunks <- chunk{time.Now().Add(p.half), buffer[:n]}
		}
		if err != nil {
			break
		}
	}
	close(chunks)
	<-done
}
