package imapconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/mailproof/mailproof"
)

// ReasonExpunged is what [Reader.Bodies] reports of a message that the server
// no longer lists: it was deleted while it was about to be read.
const ReasonExpunged = "expunged while it was read"

// ErrUIDValidityChanged says that the mailbox was given new UIDs while it was
// read (RFC 9051 §2.3.1.1): what was learnt of the old ones is void.
var ErrUIDValidityChanged = errors.New("UIDVALIDITY changed while the mailbox was read")

// errClosed says that the caller closed the Reader or Writer.
var errClosed = errors.New("imapconn: closed")

// status is a status response (RFC 9051 §7.1): tagged, untagged or greeting.
type status struct {
	typ  string // OK, NO, BAD, BYE or PREAUTH
	code string // response code in capitals
	args string // what follows the code within the brackets
	text string
}

func (st status) ok() bool { return st.typ == "OK" }

// throttled are the texts by which servers ask for patience, in lower case.
// Gmail, Exchange Online, Yahoo and Dovecot have no common response code.
var throttled = []string{
	"throttl", "too many simultaneous connections", "maximum number of connections", "too many connections",
	"exceeded command or bandwidth limits", "rate limit", "slow down", "too many login", "try again later", "server busy",
}

// tooLarge are the texts of servers that lack the code TOOBIG (RFC 4469).
var tooLarge = []string{
	"maximum size of appendable message", "exceeds maximum size", "message too large", "message too big", "too large message",
	"message size exceeds", "exceeds the maximum message size", "message exceeds", "larger than the maximum",
}

// kindOfRefusal classes a NO, BAD or BYE by its response code (RFC 5530) and,
// as many servers have none, by its text.
func kindOfRefusal(st status) mailproof.ErrorKind {
	text := strings.ToLower(st.text)
	has := func(words []string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch {
	// LIMIT on a command is a limit of what was asked, such as the number of
	// flags of a message; only with BYE is it one of the connection.
	case has(throttled), st.code == "LIMIT" && st.typ == "BYE", st.code == "INUSE":
		return mailproof.ErrThrottled // Gmail says so with [OVERQUOTA]
	case st.code == "TOOBIG", has(tooLarge):
		return mailproof.ErrTooLarge
	case st.code == "OVERQUOTA", strings.Contains(text, "quota exceeded"), strings.Contains(text, "over quota"), strings.Contains(text, "mailbox is full"):
		return mailproof.ErrQuota
	case st.code == "TRYCREATE", st.code == "NONEXISTENT":
		return mailproof.ErrNoMailbox
	case strings.Contains(text, "authenticated but not connected"): // Exchange Online: a permission or scope is missing
		return mailproof.ErrAuth
	case st.code == "AUTHENTICATIONFAILED", st.code == "AUTHORIZATIONFAILED", st.code == "EXPIRED", st.code == "PRIVACYREQUIRED":
		return mailproof.ErrAuth
	case st.code == "UNAVAILABLE", st.typ == "BYE":
		return mailproof.ErrConnection
	}
	return mailproof.ErrRefused
}

// masker takes secrets out of what a server says: some echo the command that
// they refuse.
type masker struct{ r *strings.Replacer }

// newMasker masks the given texts, alone and within what is base64, as the response
// of a mechanism is.
func newMasker(secrets ...string) masker {
	var pairs []string
	for _, s := range secrets {
		if s == "" {
			continue
		}
		quoted := quotedChars.Replace(s)
		for _, form := range []string{quoted, s, base64.StdEncoding.EncodeToString([]byte(s))} {
			pairs = append(pairs, form, mailproof.SecretMask)
		}
	}
	for _, s := range secrets {
		for _, form := range within64(s) {
			pairs = append(pairs, form, mailproof.SecretMask)
		}
	}
	return masker{strings.NewReplacer(pairs...)}
}

// least64 is the length from which a text is masked within other base64: what is
// left of a shorter one might stand in any word.
const least64 = 6

// within64 returns what the base64 of any longer text holds of this one, for each
// of the three places at which it may begin: the characters that depend on nothing
// else.
func within64(s string) (forms []string) {
	if len(s) < least64 {
		return nil
	}
	for before := range 3 {
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), s...))
		forms = append(forms, text[(before*8+5)/6:(before+len(s))*8/6])
	}
	return forms
}

func (m masker) mask(s string) string {
	if m.r == nil {
		return s
	}
	return m.r.Replace(s)
}

// printable is [printable] of a text without secrets: they are taken out first, as
// of one that is cut off nobody would know the rest again.
func (m masker) printable(s string) string { return m.mask(printable(m.mask(s))) }

// excerpt is [excerpt] in the same way.
func (m masker) excerpt(line string) string { return m.mask(excerpt([]byte(m.mask(line)))) }

// refusal is the error of a command that was answered NO, BAD or BYE.
func (m masker) refusal(server, op string, st status) *mailproof.ServerError {
	e := &mailproof.ServerError{Kind: kindOfRefusal(st), Server: server, Op: op, Code: m.mask(st.code), Text: m.printable(st.text)}
	if e.Code == "" && e.Text == "" {
		e.Text = st.typ
	}
	return e
}

// printable makes foreign text fit for an error: control characters become
// blanks, invalid UTF-8 the replacement character, and it has an end.
func printable(s string) string {
	const most = 500
	if len(s) > most {
		s = s[:most] + "…"
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s))
}

// dialError classes the failure to open a TCP connection.
func dialError(server string, err error) *mailproof.ServerError {
	e := &mailproof.ServerError{Kind: mailproof.ErrUnreachable, Server: server, Op: "connect", Err: err}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		e.Kind = mailproof.ErrUnknownHost
	} else if errors.Is(err, context.DeadlineExceeded) {
		e.Err = errors.New("no answer in time")
	}
	return e
}

// tlsError says in plain words what is wrong with a certificate or handshake.
func tlsError(server, host string, err error) *mailproof.ServerError {
	e := &mailproof.ServerError{Kind: mailproof.ErrTLS, Server: server, Op: "TLS handshake", Err: err}
	var (
		name    x509.HostnameError
		anchor  x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &name):
		e.Err = fmt.Errorf("the certificate is not for %s but for %s: %w", host, names(name.Certificate), err)
	case errors.As(err, &anchor):
		e.Err = fmt.Errorf("the certificate is signed by an authority that is not trusted here: %w", err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		e.Err = fmt.Errorf("the certificate is valid only from %s on: %w", invalid.Cert.NotBefore.Format(time.DateOnly), err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.Err = fmt.Errorf("the certificate expired on %s: %w", invalid.Cert.NotAfter.Format(time.DateOnly), err)
	case errors.As(err, &record):
		e.Err = fmt.Errorf("the server does not speak TLS on this port: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Err = mailproof.ErrUnreachable, errors.New("no answer in time")
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		e.Kind, e.Err = mailproof.ErrConnection, fmt.Errorf("the server closed the connection: %w", err)
	}
	return e
}

func names(cert *x509.Certificate) string {
	if cert == nil {
		return "another host"
	}
	all := append([]string(nil), cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return fmt.Sprintf("%q", cert.Subject.CommonName)
	}
	if len(all) > 5 {
		all = append(all[:5], "…")
	}
	return strings.Join(all, ", ")
}

// refused reports whether the server answered NO or BAD, so that the
// connection is still in step.
func refused(err error) bool {
	switch mailproof.KindOf(err) {
	case mailproof.ErrRefused, mailproof.ErrNoMailbox, mailproof.ErrTooLarge, mailproof.ErrQuota, mailproof.ErrAuth:
		return true
	}
	return false
}
