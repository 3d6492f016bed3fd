package imapconn

import (
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"

	"github.com/mailproof/mailproof"
)

// mechanism is a way to sign in. Another one is another element of mechanisms.
type mechanism struct {
	name string
	// offered reports whether the server takes it.
	offered func(capabilities) bool
	// authz says that it can sign in on behalf of another identity.
	authz bool
	run   func(w *wire, op string, c Config) (status, error)
}

// mechanisms in order of preference. With TLS below, PLAIN is as good as any
// that sends a password, and the only one that knows an authorisation identity.
var mechanisms = []mechanism{
	{
		name:    "PLAIN",
		offered: func(c capabilities) bool { return c.has("AUTH=PLAIN") },
		authz:   true,
		run: func(w *wire, op string, c Config) (status, error) {
			return w.authenticate(op, sasl.NewPlainClient(c.Endpoint.Authz, c.Endpoint.User, c.Password.Reveal()))
		},
	},
	{
		name:    "LOGIN command",
		offered: func(c capabilities) bool { return !c.has("LOGINDISABLED") },
		run:     func(w *wire, op string, c Config) (status, error) { return w.login(op, c) },
	},
	{
		name:    "LOGIN",
		offered: func(c capabilities) bool { return c.has("AUTH=LOGIN") },
		run: func(w *wire, op string, c Config) (status, error) {
			return w.authenticate(op, &loginClient{answers: []string{c.Endpoint.User, c.Password.Reveal()}})
		},
	},
}

// signIn tries what the server offers. A refusal is final: a second attempt
// with the same password only counts towards a lock-out. Only where the server
// does not know the mechanism after all (BAD) is the next one tried.
func (w *wire) signIn(c Config) (name string, err error) {
	op := "sign in as " + c.Endpoint.User
	if c.Endpoint.Authz != "" {
		op += " for " + c.Endpoint.Authz
	}
	fail := func(cause error) error {
		return &mailproof.ServerError{Kind: mailproof.ErrAuth, Server: w.server, Op: op, Err: cause}
	}
	if strings.ContainsAny(c.Endpoint.User+c.Endpoint.Authz+c.Password.Reveal(), "\x00\r\n") {
		return "", fail(errors.New("the user or the password holds a control character"))
	}
	if c.Password.IsZero() {
		return "", fail(errors.New("no password was given"))
	}
	var last error
	for _, m := range mechanisms {
		if !m.offered(w.caps) || c.Endpoint.Authz != "" && !m.authz {
			continue
		}
		st, err := m.run(w, op, c)
		if err != nil {
			return "", err
		}
		if st.ok() {
			if st.code == "CAPABILITY" {
				w.caps = parseCapabilities(st.args)
				return m.name, nil
			}
			return m.name, w.capability()
		}
		refusal := w.masker.refusal(w.server, op, st)
		if refusal.Kind == mailproof.ErrRefused {
			refusal.Kind = mailproof.ErrAuth
		}
		last = refusal
		if st.typ != "BAD" {
			break
		}
	}
	if last != nil {
		return "", last
	}
	if c.Endpoint.Authz != "" {
		return "", fail(fmt.Errorf("signing in for another user needs AUTH=PLAIN; the server offers %s", offer(w.caps)))
	}
	return "", fail(fmt.Errorf("no way to sign in: the server offers %s", offer(w.caps)))
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

// login sends the LOGIN command (RFC 9051 §6.2.3), with literals for what does
// not go into quotes.
func (w *wire) login(op string, c Config) (status, error) {
	pieces := []string{"LOGIN "}
	for i, arg := range []string{c.Endpoint.User, c.Password.Reveal()} {
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

// loginClient is the LOGIN mechanism, which no standard describes: the server
// asks for the user, then for the password, in words that differ.
type loginClient struct{ answers []string }

func (l *loginClient) Start() (mech string, initial []byte, err error) { return "LOGIN", nil, nil }

func (l *loginClient) Next([]byte) ([]byte, error) {
	if len(l.answers) == 0 {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	answer := l.answers[0]
	l.answers = l.answers[1:]
	return []byte(answer), nil
}

var _ sasl.Client = (*loginClient)(nil)
