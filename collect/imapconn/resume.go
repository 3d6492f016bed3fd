package imapconn

import (
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"time"
)

// A migration signs in to the same few servers thousands of times, and a full
// TLS handshake is most of what a sign-in costs either end. Sessions of TLS 1.3
// are therefore resumed (RFC 8446 §2.2), and nothing is given up for it:
//
//   - A session serves the address that it was made with, under the name and
//     the trust anchors that it was verified against. Each machine behind a name
//     shows its certificate before anything is resumed with it.
//   - crypto/tls verifies chain, name and dates of the certificate anew each
//     time, against the trust anchors of now.
//   - After [resumeFor] the server shows its certificate again, so that one that
//     was replaced is seen, and what is told of it is never older than that.
//   - A ticket is used once (RFC 8446 §C.4), and always with a key exchange of
//     its own, so that the key of the tickets opens no recorded connection.
//   - With a client certificate nothing is resumed: servers differ in whether
//     they remember who it was. Nor is it before TLS 1.3, where a resumed session
//     undoes channel binding unless both ends know better (RFC 7627 §1).

// resumeFor is how long sessions are resumed after a full handshake.
const resumeFor = time.Hour

// These bound what is kept: servers, and tickets of one.
const (
	maxResumable = 256
	maxTickets   = 64
)

// resumeKey is what a session was verified for.
type resumeKey struct {
	peer   string // address and port
	name   string
	caFile string
	verify bool
}

// ticket is a session and when the server last showed its certificate for it.
type ticket struct {
	since   time.Time
	session *tls.ClientSessionState
}

// resumable keeps the sessions of all connections.
type resumable struct {
	mu sync.Mutex
	by map[resumeKey][]ticket
}

var sessions resumable

// take hands out a session, which is then gone.
func (r *resumable) take(key resumeKey, now time.Time) (ticket, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := slices.DeleteFunc(r.by[key], func(t ticket) bool { return now.Sub(t.since) >= resumeFor })
	if len(kept) == 0 {
		delete(r.by, key)
		return ticket{}, false
	}
	last := len(kept) - 1
	t := kept[last]
	kept[last] = ticket{}
	r.by[key] = kept[:last]
	return t, true
}

func (r *resumable) keep(key resumeKey, t ticket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, known := r.by[key]
	switch {
	case len(kept) >= maxTickets:
		return
	case !known && len(r.by) >= maxResumable:
		for any := range r.by { // which one does not matter: it costs a handshake
			delete(r.by, any)
			break
		}
	}
	if r.by == nil {
		r.by = map[resumeKey][]ticket{}
	}
	r.by[key] = append(kept, t)
}

// forget drops what is kept of a server.
func (r *resumable) forget(key resumeKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.by, key)
}

// resumption is one handshake's view of the sessions. It is a
// [tls.ClientSessionCache].
type resumption struct {
	key     resumeKey
	since   time.Time // when the server showed the certificate of this connection
	offered bool      // a session was taken for this handshake
	settled bool      // the handshake is over, and what it brings may be kept
}

// resumptionOf returns nil where nothing is to be resumed.
func (c Config) resumptionOf(conn net.Conn) *resumption {
	peer := conn.RemoteAddr()
	if c.Endpoint.CertFile != "" || c.RootCAs != nil || peer == nil {
		return nil
	}
	return &resumption{key: resumeKey{peer.String(), c.Endpoint.Host, c.Endpoint.CAFile, !c.Endpoint.SkipVerify}}
}

// Get implements [tls.ClientSessionCache].
func (r *resumption) Get(string) (*tls.ClientSessionState, bool) {
	t, ok := sessions.take(r.key, time.Now())
	r.since, r.offered = t.since, ok
	return t.session, ok
}

// Put implements [tls.ClientSessionCache]. Tickets of TLS 1.3 come after the
// handshake; what comes within it is of an older version.
func (r *resumption) Put(_ string, session *tls.ClientSessionState) {
	if session != nil && r.settled {
		sessions.keep(r.key, ticket{r.since, session})
	}
}

// settle is told of the end of the handshake.
func (r *resumption) settle(state tls.ConnectionState) {
	if !state.DidResume {
		r.since = time.Now()
	}
	r.settled = state.Version >= tls.VersionTLS13
}

// failed is told that the handshake failed with err, and reports whether one
// without a session may do better: a server that cannot resume has to go on
// without, and some break off instead.
func (r *resumption) failed() bool {
	if r == nil || !r.offered {
		return false
	}
	sessions.forget(r.key)
	return true
}

// resumeError says that a handshake failed in which a session was offered.
type resumeError struct{ error }

// Unwrap returns why it failed.
func (e *resumeError) Unwrap() error { return e.error }
