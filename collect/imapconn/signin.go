package imapconn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/emersion/go-sasl"

	"github.com/mailproof/mailproof"
)

// login is what a mechanism proves, and the line on which it does so.
type login struct {
	user, authz string
	secret      string // password or access token
	host        string
	port        int
	tls         *tls.ConnectionState // nil without TLS
	caps        capabilities
}

// secretKind is by what a mechanism knows the client.
type secretKind uint8

const (
	byPassword secretKind = iota
	byToken               // OAuth 2 access token
	byCert                // TLS client certificate
)

// mechanism is a way to sign in. Another one is another element of mechanisms.
type mechanism struct {
	name string
	kind secretKind
	// challenge says that the secret itself does not go over the line.
	challenge bool
	// authz says that it can sign in on behalf of another identity.
	authz bool
	// offered reports whether the server takes it.
	offered func(capabilities) bool
	// client returns nil where this connection does not allow the mechanism.
	// It is nil for the LOGIN command.
	client func(login) sasl.Client
}

func auth(name string) func(capabilities) bool {
	return func(c capabilities) bool { return c.has("AUTH=" + name) }
}

// mechanisms in order of preference over TLS. What binds the sign-in to the
// TLS connection comes first, then what keeps the password to itself and makes
// the server prove that it knows it. CRAM-MD5 does only half of that, and makes
// the server keep the password itself: within TLS it is worth less than PLAIN.
var mechanisms = []mechanism{
	{name: "EXTERNAL", kind: byCert, challenge: true, authz: true, offered: auth("EXTERNAL"), client: newExternal},
	{name: "OAUTHBEARER", kind: byToken, authz: true, offered: auth("OAUTHBEARER"), client: newOAuthBearer},
	{name: "XOAUTH2", kind: byToken, offered: auth("XOAUTH2"), client: newXOAuth2},
	{name: "SCRAM-SHA-256-PLUS", challenge: true, authz: true, offered: auth("SCRAM-SHA-256-PLUS"), client: scramSHA256.plus},
	{name: "SCRAM-SHA-1-PLUS", challenge: true, authz: true, offered: auth("SCRAM-SHA-1-PLUS"), client: scramSHA1.plus},
	{name: "SCRAM-SHA-256", challenge: true, authz: true, offered: auth("SCRAM-SHA-256"), client: scramSHA256.plain},
	{name: "SCRAM-SHA-1", challenge: true, authz: true, offered: auth("SCRAM-SHA-1"), client: scramSHA1.plain},
	{name: "PLAIN", authz: true, offered: auth("PLAIN"), client: func(l login) sasl.Client { return sasl.NewPlainClient(l.authz, l.user, l.secret) }},
	{name: loginCommand, offered: func(c capabilities) bool { return !c.has("LOGINDISABLED") }},
	{name: "LOGIN", offered: auth("LOGIN"), client: func(l login) sasl.Client { return &loginClient{answers: []string{l.user, l.secret}} }},
	{name: "CRAM-MD5", challenge: true, offered: auth("CRAM-MD5"), client: func(l login) sasl.Client { return &cramMD5{user: l.user, password: l.secret} }},
}

const loginCommand = "LOGIN command"

// attempt is how one mechanism fared.
type attempt struct {
	status status
	// tested says that the server has seen a proof of the secret, and so has
	// counted a refusal as a wrong one.
	tested bool
	// said is the server's own account of a refusal, where the mechanism has
	// one (RFC 7628 §3.2.2, RFC 5802 §7).
	said string
}

// bindingFailed reports whether it was not the password that was refused but the
// binding to the TLS connection: some servers know none for TLS 1.3, and offer it
// all the same. Cyrus SASL says so in these words, others by RFC 5802 §7.
func (a attempt) bindingFailed() bool {
	text := strings.ToLower(a.status.text + a.said)
	return !a.status.ok() && (strings.Contains(text, "bad protocol") || strings.Contains(text, "channel-binding") || strings.Contains(text, "channel binding"))
}

func binds(m mechanism) bool { return strings.HasSuffix(m.name, "-PLUS") }

// unbound are the servers, HOST:PORT, with which no binding came about: others
// are not made to wait for the same refusal, which some servers delay.
var unbound servers

type servers struct {
	mu  sync.Mutex
	set map[string]bool
}

func (s *servers) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set[name]
}

func (s *servers) add(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == nil {
		s.set = map[string]bool{}
	}
	s.set[name] = true
}

// choose returns the mechanisms that may be tried, in order. Without TLS those
// that keep the secret to themselves come first, and if the server offers one
// of them no other is tried: a refusal must not talk us into sending the
// password in the clear.
func choose(caps capabilities, l login, want mailproof.Endpoint, kinds ...secretKind) []mechanism {
	var out, inTheClear []mechanism
	for _, kind := range kinds {
		for _, m := range mechanisms {
			forced := strings.EqualFold(want.Auth, m.name) || want.Auth == mailproof.LoginCommand && m.name == loginCommand
			switch {
			case m.kind != kind, want.Auth != "" && !forced, l.authz != "" && !m.authz, !m.offered(caps):
			case l.tls == nil && !m.challenge:
				inTheClear = append(inTheClear, m)
			default:
				out = append(out, m)
			}
		}
	}
	if len(out) > 0 {
		return out
	}
	return inTheClear
}

// kinds are the secrets that there are, in the order in which they are used.
func (c Config) kinds() []secretKind {
	var out []secretKind
	if c.Endpoint.CertFile != "" {
		out = append(out, byCert)
	}
	switch {
	case c.Tokens != nil, c.Endpoint.Auth == "XOAUTH2", c.Endpoint.Auth == "OAUTHBEARER":
		return append(out, byToken)
	case !c.Password.IsZero():
		return append(out, byPassword)
	}
	return out
}

// signIn tries what the server offers. A refusal is final: a second attempt
// with the same password only counts towards a lock-out. The next mechanism is
// tried only where the server does not know this one after all (BAD), or ended
// it before it had seen any proof of the password, as it does where it keeps no
// secret of the kind that SCRAM needs.
func (w *wire) signIn(c Config, l login) (name string, err error) {
	op := "sign in as " + c.Endpoint.User
	if c.Endpoint.Authz != "" {
		op += " for " + c.Endpoint.Authz
	}
	fail := func(cause error) error {
		return &mailproof.ServerError{Kind: mailproof.ErrAuth, Server: w.server, Op: op, Err: cause}
	}
	if strings.ContainsAny(l.user+l.authz+l.secret, "\x00\r\n") {
		return "", fail(errors.New("the user or the password holds a control character"))
	}
	kinds := c.kinds()
	if len(kinds) == 0 {
		return "", fail(errors.New("no password was given"))
	}
	l.caps = w.caps
	var last error
	for _, m := range choose(w.caps, l, c.Endpoint, kinds...) {
		if binds(m) && c.Endpoint.Auth == "" && unbound.has(w.server) {
			continue
		}
		got, err := w.try(m, op, l)
		if binds(m) && got.bindingFailed() {
			unbound.add(w.server)
			got.tested = false // it was the binding that failed
		}
		switch {
		case errors.Is(err, errNotHere):
			continue
		case errors.Is(err, errDistrust):
			return "", &SignInError{m.name, fail(fmt.Errorf("%s: %w", m.name, err))}
		case err != nil:
			return "", err
		case got.status.ok():
			if got.status.code == "CAPABILITY" {
				w.caps = parseCapabilities(got.status.args)
				return m.name, nil
			}
			return m.name, w.capability()
		}
		last = &SignInError{Mechanism: m.name, Err: w.refusedSignIn(op, got)}
		if got.tested && got.status.typ != "BAD" {
			break
		}
	}
	if last != nil {
		return "", last
	}
	return "", fail(noMechanism(w.caps, c, l, kinds[len(kinds)-1]))
}

// SignInError says by which mechanism a sign-in was refused. Its text is that of
// the [mailproof.ServerError] within.
type SignInError struct {
	Mechanism string
	Err       error
}

func (e *SignInError) Error() string { return e.Err.Error() }

// Unwrap returns what the server said.
func (e *SignInError) Unwrap() error { return e.Err }

// refusedSignIn is the error of a refused attempt, with what the mechanism
// itself carried of the server's reasons.
func (w *wire) refusedSignIn(op string, a attempt) error {
	refusal := w.masker.refusal(w.server, op, a.status)
	if refusal.Kind == mailproof.ErrRefused {
		refusal.Kind = mailproof.ErrAuth
	}
	if said := w.masker.printable(a.said); said != "" {
		refusal.Text = strings.TrimSpace(refusal.Text + " (" + said + ")")
	}
	if a.status.code == "REFERRAL" { // RFC 2221: another server, which is not handed the password unasked
		refusal.Text = strings.TrimSpace(refusal.Text + " (the server refers to " + w.masker.printable(a.status.args) + ")")
	}
	return refusal
}

// noMechanism says why nothing was tried.
func noMechanism(caps capabilities, c Config, l login, kind secretKind) error {
	have := offer(caps)
	switch {
	case c.Endpoint.Auth != "":
		return fmt.Errorf("%s is asked for (auth=), and the server offers %s", c.Endpoint.Auth, have)
	case kind == byToken:
		return fmt.Errorf("signing in with an OAuth token needs AUTH=XOAUTH2 or AUTH=OAUTHBEARER; the server offers %s", have)
	case kind == byCert:
		return fmt.Errorf("signing in with a certificate needs AUTH=EXTERNAL; the server offers %s", have)
	case l.authz != "":
		return fmt.Errorf("signing in for another user needs AUTH=PLAIN or SCRAM; the server offers %s; where login names such as anna*admin do it, say admin_separator=*", have)
	case caps.has("LOGINDISABLED") && l.tls == nil:
		return fmt.Errorf("the server takes no password without TLS: it offers %s", have)
	}
	return fmt.Errorf("no way to sign in: the server offers %s", have)
}

func offer(c capabilities) string {
	have := c.mechanisms()
	if c.has("LOGINDISABLED") {
		have = append(have, "LOGINDISABLED")
	}
	if len(have) == 0 {
		return "none"
	}
	return strings.Join(have, ", ")
}

var (
	// errNotHere says that a mechanism cannot be used on this connection.
	errNotHere = errors.New("imapconn: not on this connection")
	// errDistrust says that the server failed to prove who it is. Nothing more
	// is said to it.
	errDistrust = errors.New("the server could not prove that it knows the password: something stands between, or it is broken")
)

// careful is a client that knows how far it got.
type careful interface {
	sasl.Client
	// tested reports whether a proof of the secret was sent.
	tested() bool
	// said returns the server's reasons, where they were given in a challenge.
	said() string
	// satisfied is asked after the server's OK.
	satisfied() error
}

// try runs one mechanism.
func (w *wire) try(m mechanism, op string, l login) (attempt, error) {
	if m.client == nil {
		st, err := w.login(op, l)
		return attempt{status: st, tested: true}, err
	}
	client := m.client(l)
	if client == nil {
		return attempt{}, errNotHere
	}
	st, failure, err := w.authenticate(op, client)
	got := attempt{status: st, tested: true}
	c, ok := client.(careful)
	if ok {
		got.tested, got.said = c.tested(), c.said()
	}
	switch {
	case errors.Is(failure, errDistrust):
		return got, failure
	case err != nil:
		return got, err
	case ok && st.ok():
		return got, c.satisfied()
	case failure != nil && !st.ok() && got.said == "":
		got.said = failure.Error()
	}
	return got, nil
}

// login sends the LOGIN command (RFC 9051 §6.2.3), with literals for what does
// not go into quotes.
func (w *wire) login(op string, l login) (status, error) {
	pieces := []string{"LOGIN "}
	for i, arg := range []string{l.user, l.secret} {
		if i > 0 {
			pieces[len(pieces)-1] += " "
		}
		if quotable(arg) {
			pieces[len(pieces)-1] += quote(arg)
			continue
		}
		pieces[len(pieces)-1] += fmt.Sprintf("{%d}", len(arg))
		pieces = append(pieces, arg)
	}
	next := 0
	return w.command(op, pieces[0], nil, func(string) (string, error) {
		if next++; next >= len(pieces) {
			return "", malformed("a continuation request that nothing asked for")
		}
		return pieces[next], nil
	})
}
