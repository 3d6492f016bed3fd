package imapconn

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"

	"github.com/emersion/go-sasl"
)

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

// cramMD5 is CRAM-MD5 (RFC 2195): a keyed digest of the server's challenge.
type cramMD5 struct {
	user, password string
	answered       bool
}

func (c *cramMD5) Start() (mech string, initial []byte, err error) { return "CRAM-MD5", nil, nil }

func (c *cramMD5) Next(challenge []byte) ([]byte, error) {
	if c.answered {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	c.answered = true
	mac := hmac.New(md5.New, []byte(c.password))
	mac.Write(challenge)
	return []byte(c.user + " " + hex.EncodeToString(mac.Sum(nil))), nil
}

func (c *cramMD5) tested() bool     { return c.answered }
func (c *cramMD5) said() string     { return "" }
func (c *cramMD5) satisfied() error { return nil }

// external is EXTERNAL (RFC 4422, appendix A): the TLS client certificate says
// who it is, and the authorisation identity whose mail is meant. No password is
// tested, so a refusal leaves the others to be tried.
type external struct{ authz string }

// newExternal names no identity where the login's own is meant: the server
// derives it from the certificate, and some refuse any other.
func newExternal(l login) sasl.Client {
	if l.tls == nil {
		return nil
	}
	return &external{l.authz}
}

func (e *external) Start() (mech string, initial []byte, err error) {
	return "EXTERNAL", []byte(e.authz), nil
}

func (e *external) Next(challenge []byte) ([]byte, error) {
	if len(challenge) > 0 {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	return []byte(e.authz), nil
}

func (e *external) tested() bool     { return false }
func (e *external) said() string     { return "" }
func (e *external) satisfied() error { return nil }
