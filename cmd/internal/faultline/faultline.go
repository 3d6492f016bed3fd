// Package faultline is a TCP relay for tests that stands between a client and a
// real IMAP server, follows the conversation, and breaks the connection at a
// stage that is asked for: in the greeting, during sign-in, in the middle of a
// literal, after the last octet of an APPEND but before its answer, and so on
// (the stages are those at which a lost connection leaves a different doubt).
//
// It reads only as much of RFC 9051 as it takes to know where literals and
// commands end, and changes no octet that it lets through. It works without TLS
// and without compression.
package faultline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Stage is a point of the conversation.
type Stage string

// The stages, in the order in which a session reaches them.
const (
	Greeting   Stage = "greeting"    // a few octets into the server's greeting
	SignIn     Stage = "sign-in"     // LOGIN or AUTHENTICATE was sent; its answer never arrives
	Examine    Stage = "examine"     // EXAMINE or SELECT was sent; its answer never arrives
	MidFetch   Stage = "mid-fetch"   // in the middle of a literal that the server sends
	MidAppend  Stage = "mid-append"  // in the middle of a literal that the client sends
	MidBatch   Stage = "mid-batch"   // the same, in the second or a later literal of one APPEND (RFC 3502)
	Unanswered Stage = "unanswered"  // the whole APPEND arrived; its answer never does
	AnyServer  Stage = "server-line" // after a line that the server sends and that no literal follows
)

// Action is what happens there.
type Action string

// The actions.
const (
	FIN     Action = "fin"     // both connections are closed in order
	RST     Action = "rst"     // both are reset
	Silence Action = "silence" // both stay open and nothing moves any more
	Trickle Action = "trickle" // one octet a second from the server, from then on
)

// Fault is a stage and what happens there.
type Fault struct {
	Stage  Stage
	Action Action
	// Skip is how often the stage passes unharmed before.
	Skip int
	// Times is how often it strikes; 0 means once.
	Times int
}

func (f Fault) String() string { return fmt.Sprintf("%s at %s, skip %d", f.Action, f.Stage, f.Skip) }

// Relay passes connections on to one server.
type Relay struct {
	listener net.Listener
	target   string
	wg       sync.WaitGroup
	ctx      context.Context
	stop     context.CancelFunc

	mu    sync.Mutex
	fault Fault
	armed bool
	seen  int // how often the stage was reached since Arm
	fired int
	open  int // connections
	peak  int
}

// New starts a relay on loopback.
func New(target string) (*Relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("faultline: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Relay{listener: l, target: target, ctx: ctx, stop: stop}
	r.wg.Go(r.serve)
	return r, nil
}

// Addr is where the relay listens.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Close ends the relay and every connection.
func (r *Relay) Close() error {
	r.stop()
	err := r.listener.Close()
	r.wg.Wait()
	return err
}

// Arm sets what is to happen next, in connections that are open and in those to
// come.
func (r *Relay) Arm(f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.Times == 0 {
		f.Times = 1
	}
	r.fault, r.armed, r.seen, r.fired = f, true, 0, 0
}

// Disarm lets everything through from now on.
func (r *Relay) Disarm() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.armed = false
}

// Fired is how often the fault struck since Arm.
func (r *Relay) Fired() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fired
}

// Peak is the largest number of connections that were open at once.
func (r *Relay) Peak() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.peak
}

func (r *Relay) count(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open += n
	r.peak = max(r.peak, r.open)
}

// reached says what is to happen at a stage, "" for nothing.
func (r *Relay) reached(s Stage) Action {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.armed || r.fault.Stage != s {
		return ""
	}
	r.seen++
	if r.seen <= r.fault.Skip || r.fired >= r.fault.Times {
		return ""
	}
	r.fired++
	return r.fault.Action
}

func (r *Relay) serve() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		r.wg.Go(func() { r.connection(client) })
	}
}

// connection relays one connection until either side ends it.
func (r *Relay) connection(client net.Conn) {
	server, err := net.DialTimeout("tcp", r.target, 10*time.Second)
	if err != nil {
		_ = client.Close() // the client sees a connection that ends at once, as from a dead server
		return
	}
	r.count(1)
	defer r.count(-1)
	l := &link{relay: r, client: client.(*net.TCPConn), server: server.(*net.TCPConn), ended: make(chan struct{})}
	stop := context.AfterFunc(r.ctx, l.end)
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { l.pump(l.server, l.client, newClientScan()) })
	both.Go(func() { l.pump(l.client, l.server, newServerScan()) })
	both.Wait()
	l.end()
}

// link is one relayed connection.
type link struct {
	relay          *Relay
	client, server *net.TCPConn
	once           sync.Once
	ended          chan struct{}

	mu      sync.Mutex
	pending Action // strikes when the server next sends something
	slow    bool
}

func (l *link) end() {
	l.once.Do(func() { close(l.ended) })
	_ = errors.Join(l.client.Close(), l.server.Close()) // either may be closed already
}

// scan follows one direction of the conversation.
type scan interface {
	// next returns how many octets of p lie before the next stage, and that
	// stage; len(p) and "" where there is none in p.
	next(p []byte) (int, Stage)
}

// pump copies src to dst and strikes where it must.
func (l *link) pump(dst, src *net.TCPConn, s scan) {
	fromServer := src == l.server
	defer func() {
		if fromServer {
			_ = dst.CloseWrite() // what the client still has to say may go on
			return
		}
		l.end() // a client that hung up reads no more
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := src.Read(buffer)
		if n > 0 && fromServer && !l.due(src) {
			return
		}
		for p := buffer[:n]; len(p) > 0; {
			k, stage := s.next(p)
			if !l.write(dst, p[:k], fromServer) {
				return
			}
			p = p[k:]
			if stage != "" && !l.strike(src, stage, l.relay.reached(stage)) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// write passes octets on, slowly where the link trickles.
func (l *link) write(dst *net.TCPConn, p []byte, fromServer bool) bool {
	l.mu.Lock()
	slow := l.slow && fromServer
	l.mu.Unlock()
	if !slow {
		_, err := dst.Write(p)
		return err == nil
	}
	for i := range p {
		select {
		case <-l.ended:
			return false
		case <-time.After(time.Second):
		}
		if _, err := dst.Write(p[i : i+1]); err != nil {
			return false
		}
	}
	return true
}

// due strikes what waits for the server's answer; it reports whether the link
// goes on.
func (l *link) due(src *net.TCPConn) bool {
	l.mu.Lock()
	action := l.pending
	l.pending = ""
	l.mu.Unlock()
	return l.act(src, action)
}

// strike carries out an action at a stage. At the stages that stand for an
// answer that never arrives, the command goes through first, and the action
// waits until the server has answered: then it is certain that it was carried
// out.
func (l *link) strike(src *net.TCPConn, stage Stage, action Action) bool {
	switch stage {
	case SignIn, Examine, Unanswered:
		if action != "" {
			l.mu.Lock()
			l.pending = action
			l.mu.Unlock()
		}
		return true
	default:
		return l.act(src, action)
	}
}

// mute is how long a silent link takes nothing in either, so that writing to it
// stalls, too. Then it does, to see the client hang up: what nobody has open any
// more is no connection.
var mute = 5 * time.Second

func (l *link) act(src *net.TCPConn, action Action) bool {
	switch action {
	case FIN:
		l.end()
	case RST:
		_ = errors.Join(l.client.SetLinger(0), l.server.SetLinger(0)) // a closed connection has nothing to reset
		l.end()
	case Silence:
		select {
		case <-l.ended:
			return false
		case <-time.After(mute):
		}
		if src == l.client {
			_, _ = io.Copy(io.Discard, src) // ends when the client hangs up, however it does
			l.end()
		}
		<-l.ended
	case Trickle:
		l.mu.Lock()
		l.slow = true
		l.mu.Unlock()
		return true
	default:
		return true
	}
	return false
}
