package imapmem

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	mailproof "github.com/mailproof/mailproof"
)

// Options are how a server behaves. The zero Options are a server in the
// manner of Dovecot: separator "/", no prefix, every capability but Gmail's.
type Options struct {
	// Name stands in the greeting and in the reply to ID; empty: "imapmem".
	Name string
	// Separator parts the levels of mailbox names; empty: "/".
	Separator string
	// Prefix is the personal namespace, such as "INBOX." in the manner of
	// Courier: every mailbox but INBOX must begin with it.
	Prefix string
	// Folders are made, and subscribed, for every account beside INBOX. Their
	// names are whole names; Server.Name makes one.
	Folders []Folder
	// Hide lists capabilities that are not advertised and, where that means
	// something, not honoured either.
	Hide []string
	// Location is the time zone of INTERNALDATE; nil: UTC.
	Location *time.Location
	// AppendLimit is the size in octets beyond which APPEND is refused with
	// TOOBIG; 0: 256 MiB, which is not advertised.
	AppendLimit int64
	// Gmail offers X-GM-EXT-1: FETCH gives X-GM-MSGID and X-GM-LABELS. Labels
	// are the mailboxes that hold a copy; they cannot be stored.
	Gmail bool
	// FoldKeywords stores keywords in lower case, as some servers do.
	FoldKeywords bool
	// MaxConnections is how many connections one account may have signed in at
	// a time; 0: any number.
	MaxConnections int
	// Latency is waited before each command is carried out.
	Latency time.Duration
	// MasterUser may sign in with MasterPassword for any account, by naming
	// the account as the authorisation identity of PLAIN.
	MasterUser, MasterPassword string
	// Now gives the date of an APPEND that names none; nil: time.Now.
	Now func() time.Time

	// Tokens, where it is not nil, offers XOAUTH2 and OAUTHBEARER and says
	// whether a token opens the account of a user.
	Tokens func(user, token string) error
	// OnSignIn is asked when the credentials of an account are right: an error
	// refuses the sign-in all the same, with its text as the reply after NO.
	OnSignIn func(account string) error

	// OnCommand is asked before a command of a signed-in connection is carried
	// out: an error refuses it. See [ErrCut] and [ByeError].
	OnCommand func(account, command string) error
	// OnAppend sees each message that APPEND brings and returns what is
	// stored: raw itself, or another slice; raw may not be changed in place. An
	// error refuses the message: its text is the server's reply after NO,
	// response code included ("[LIMIT] message content refused").
	OnAppend func(account, mailbox string, raw []byte) ([]byte, error)
	// OnStored is told of each APPEND when its messages are stored and its reply
	// is not yet sent. ErrCut cuts the connection there: the client never
	// learns that they arrived. Other errors mean nothing.
	OnStored func(account, mailbox string, messages int) error
	// OnState sees what STATUS, and LIST with STATUS, tell of a mailbox, and returns
	// what is told in its place.
	OnState func(account, mailbox string, state mailproof.MailboxState) mailproof.MailboxState
	// OnFetch sees each body before it is sent and returns what is sent in its
	// place: raw itself, or another slice. After an error the message is left
	// out of the response and the command ends with NO and the error's text.
	// See [ErrCut].
	OnFetch func(account, mailbox string, uid mailproof.UID, raw []byte) ([]byte, error)
}

// Folder is a mailbox that every account of a server has from the start.
type Folder struct {
	Name string
	Use  mailproof.SpecialUse
}

// ErrCut, returned by a hook, cuts the connection: by OnCommand before the
// command is carried out, by OnAppend before the message is stored, by OnFetch
// in the middle of the literal.
var ErrCut = errors.New("imapmem: cut the connection")

// maxAppend bounds what one APPEND may bring where no limit is set.
const maxAppend = 256 << 20

// Server is an IMAP server. It is safe for concurrent use.
type Server struct {
	opts Options
	cert *certificate

	mu        sync.Mutex
	accounts  map[string]*Account
	listeners []net.Listener
	endpoint  mailproof.Endpoint // of the first listener
	conns     map[net.Conn]struct{}
	closed    bool
	done      chan struct{} // closed by Close
	wait      sync.WaitGroup
}

// New returns a server without accounts that listens nowhere yet.
func New(opts Options) *Server {
	if opts.Name == "" {
		opts.Name = "imapmem"
	}
	if opts.Separator == "" {
		opts.Separator = "/"
	}
	if opts.Location == nil {
		opts.Location = time.UTC
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Server{opts: opts, cert: new(certificate), accounts: map[string]*Account{}, conns: map[net.Conn]struct{}{}, done: make(chan struct{})}
}

// Name joins the levels of a mailbox name as this server writes it, with its
// prefix: Name("Sent", "2019") is "INBOX.Sent.2019" in the manner of Courier.
// Name("INBOX") is INBOX everywhere.
func (s *Server) Name(path ...string) string {
	if len(path) == 1 && strings.EqualFold(path[0], "INBOX") {
		return "INBOX"
	}
	return s.opts.Prefix + strings.Join(path, s.opts.Separator)
}

// AddAccount makes an account with an INBOX and the server's folders. An
// account that is there already gets the new password and keeps its mail.
func (s *Server) AddAccount(user, password string) *Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[user]; a != nil {
		a.mu.Lock()
		a.password = password
		a.mu.Unlock()
		return a
	}
	a := newAccount(s, user, password)
	s.accounts[user] = a
	return a
}

// Account returns the account of that name, or nil.
func (s *Server) Account(user string) *Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[user]
}

// Start listens on a free port of 127.0.0.1 and serves there until ctx ends or
// [Server.Close] is called. A server may listen at several addresses, say with
// and without TLS.
func (s *Server) Start(ctx context.Context, security mailproof.Security) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("imapmem: %w", err)
	}
	return s.Serve(ctx, l, security)
}

// Serve serves connections of l in the background, until ctx ends or
// [Server.Close] is called, and then closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener, security mailproof.Security) error {
	var config *tls.Config
	if security != mailproof.Plaintext {
		var err error
		if config, err = s.cert.config(); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.Join(errors.New("imapmem: server is closed"), l.Close())
	}
	if len(s.listeners) == 0 {
		s.endpoint = endpointOf(l, security)
	}
	s.listeners = append(s.listeners, l)
	context.AfterFunc(ctx, func() { _ = s.Close() })
	s.wait.Add(1)
	go func() {
		defer s.wait.Done()
		s.accept(l, security, config)
	}()
	return nil
}

func endpointOf(l net.Listener, security mailproof.Security) mailproof.Endpoint {
	e := mailproof.Endpoint{Host: l.Addr().String(), Security: security}
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		e.Host, e.Port = a.IP.String(), a.Port
	}
	return e
}

// accept ends when the listener is closed.
func (s *Server) accept(l net.Listener, security mailproof.Security, config *tls.Config) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		if !s.enter(nc) {
			_ = nc.Close()
			return
		}
		go func() {
			defer s.leave(nc)
			c := newConn(s, nc, config)
			if security == mailproof.ImplicitTLS {
				c.attach(tls.Server(nc, config))
			}
			c.needTLS = security == mailproof.STARTTLS
			c.serve()
		}()
	}
}

func (s *Server) enter(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[nc] = struct{}{}
	s.wait.Add(1)
	return true
}

func (s *Server) leave(nc net.Conn) {
	_ = nc.Close()
	s.mu.Lock()
	delete(s.conns, nc)
	s.mu.Unlock()
	s.wait.Done()
}

// Addr returns HOST:PORT of the first listener, or "" before the first Start.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.listeners) == 0 {
		return ""
	}
	return s.listeners[0].Addr().String()
}

// Endpoint returns the login of a user at the first listener. Its CAFile is
// empty: a caller that uses TLS writes [Server.CA] into a file and sets it.
func (s *Server) Endpoint(user string) mailproof.Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.endpoint
	e.User = user
	return e
}

// CA returns, as PEM, the certificate authority that issued the certificate
// of this server, which is valid for localhost and 127.0.0.1.
func (s *Server) CA() ([]byte, error) { return s.cert.ca() }

// Disconnect cuts every open connection and goes on listening.
func (s *Server) Disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for nc := range s.conns {
		_ = nc.Close()
	}
}

// Close stops listening, cuts every connection and waits for them to end. The
// mail stays and can still be looked at.
func (s *Server) Close() error {
	s.mu.Lock()
	var errs []error
	if !s.closed {
		s.closed = true
		close(s.done)
		for _, l := range s.listeners {
			errs = append(errs, l.Close())
		}
		for nc := range s.conns {
			_ = nc.Close()
		}
	}
	s.mu.Unlock()
	s.wait.Wait()
	return errors.Join(errs...)
}

// pause waits, and reports false if the server was closed meanwhile.
func (s *Server) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.done:
		return false
	}
}

// offers reports whether a capability is not hidden.
func (s *Server) offers(capability string) bool {
	if capability == gmailExtension && !s.opts.Gmail {
		return false
	}
	return !slices.ContainsFunc(s.opts.Hide, func(h string) bool { return strings.EqualFold(h, capability) })
}

var capabilities = []string{
	"IMAP4rev1", "LITERAL+", "SASL-IR", "ID", "ENABLE", "NAMESPACE", "CHILDREN", "LIST-EXTENDED", "LIST-STATUS", "STATUS=SIZE",
	"SPECIAL-USE", "CREATE-SPECIAL-USE", "UIDPLUS", "MULTIAPPEND", "CONDSTORE", "ESEARCH", "MOVE", "UNSELECT", "QUOTA", "COMPRESS=DEFLATE", gmailExtension,
}

const gmailExtension = "X-GM-EXT-1"

func (s *Server) capabilities(startTLS, loginDisabled bool) string {
	caps := slices.DeleteFunc(slices.Clone(capabilities), func(c string) bool { return !s.offers(c) })
	if s.opts.AppendLimit > 0 && s.offers("APPENDLIMIT") {
		caps = append(caps, fmt.Sprintf("APPENDLIMIT=%d", s.opts.AppendLimit))
	}
	if startTLS && s.offers("STARTTLS") {
		caps = append(caps, "STARTTLS")
	}
	if loginDisabled {
		caps = append(caps, "LOGINDISABLED")
	} else if s.offers("AUTH=PLAIN") {
		caps = append(caps, "AUTH=PLAIN")
	}
	if s.opts.Tokens != nil && !loginDisabled {
		for _, c := range []string{"AUTH=XOAUTH2", "AUTH=OAUTHBEARER"} {
			if s.offers(c) {
				caps = append(caps, c)
			}
		}
	}
	return strings.Join(caps, " ")
}

func (s *Server) appendLimit() int64 {
	if s.opts.AppendLimit > 0 {
		return s.opts.AppendLimit
	}
	return maxAppend
}
