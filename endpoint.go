package mailproof

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Security says how the connection to a server is protected.
type Security uint8

// The three ways. Plaintext is refused unless the address asks for it in so
// many words ("?tls=none").
const (
	ImplicitTLS Security = iota // TLS from the first octet, port 993 (RFC 8314 §3.2)
	STARTTLS                    // upgrade before anything else, port 143 (RFC 9051 §6.2.1); required, never optional
	Plaintext                   // no TLS at all
)

var securityNames = map[Security]string{ImplicitTLS: "TLS", STARTTLS: "STARTTLS", Plaintext: "no TLS"}

func (s Security) String() string { return securityNames[s] }

// Endpoint is the login of one account on one server, without its password.
type Endpoint struct {
	User       string // login name, authentication identity
	Authz      string // authorisation identity (RFC 4422 §2): whose mail it is; empty: the user's own
	Host       string
	Port       int
	Security   Security
	CAFile     string // PEM file of further trust anchors; empty: the system's
	SkipVerify bool   // certificate is not checked; only where asked for in so many words
	Compress   bool   // COMPRESS=DEFLATE where the server offers it: for slow lines, it costs the server time

	// AdminSeparator joins Authz and User into one login name, as Dovecot's
	// "*" does in "anna*master", for servers that take no authorisation
	// identity. Empty: the mechanism carries the two apart.
	AdminSeparator string
	// Auth names the one SASL mechanism to sign in with, in capitals, or
	// LoginCommand; empty: the best that the server offers.
	Auth string
	// CertFile and KeyFile are the PEM files of a client certificate and its
	// key, which may be one file.
	CertFile, KeyFile string
}

// LoginCommand is what [Endpoint].Auth calls the LOGIN command (RFC 9051
// §6.2.3), which is no SASL mechanism.
const LoginCommand = "LOGIN-COMMAND"

// Mechanisms are what [Endpoint].Auth may name.
func Mechanisms() []string {
	return []string{
		"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN", LoginCommand,
		"OAUTHBEARER", "XOAUTH2", "EXTERNAL",
	}
}

// ParseEndpoint reads a server address:
//
//	imaps://USER@HOST[:PORT]           TLS, port 993
//	imap://USER@HOST[:PORT]            STARTTLS required, port 143
//	imap://USER@HOST[:PORT]?tls=none   no TLS
//
// An @ in the user is written %40; as people forget, the last @ parts user from
// host. A password in the address is refused: addresses end up in shell
// histories, ledgers and reports. The options are
//
//	ca=FILE                     further trust anchors
//	insecure=skip-verify        the certificate is not checked
//	compress=deflate            COMPRESS=DEFLATE (RFC 4978) where the server offers it
//	auth=MECHANISM              this one of [Mechanisms] and no other
//	admin=ADMIN                 ADMIN signs in, and reads the mail of USER
//	authzid=OWNER               the same the other way round: USER signs in for OWNER
//	admin_separator=*           with admin or authzid: the login name is OWNER*ADMIN
//	cert=FILE, key=FILE         client certificate; without key it is in the same file.
//	                            The key may be a credential reference instead
func ParseEndpoint(raw string) (Endpoint, error) {
	fail := func(format string, args ...any) (Endpoint, error) {
		return Endpoint{}, fmt.Errorf("server address: "+format, args...)
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return fail("%q has no scheme: write imaps://USER@HOST", redactUserinfo(raw))
	}
	var e Endpoint
	switch strings.ToLower(scheme) {
	case "imaps":
		e.Security, e.Port = ImplicitTLS, 993
	case "imap":
		e.Security, e.Port = STARTTLS, 143
	default:
		return fail("scheme %q is not known: write imaps://USER@HOST, or imap://USER@HOST for STARTTLS", scheme)
	}
	rest, query, _ := strings.Cut(rest, "?")
	rest = strings.TrimSuffix(rest, "/")
	at := strings.LastIndexByte(rest, '@')
	if at <= 0 {
		return fail("no user in %q: write %s://USER@HOST, with %%40 for an @ in the user", scheme+"://"+rest, scheme)
	}
	user, hostport := rest[:at], rest[at+1:]
	if strings.Contains(user, ":") {
		return fail("a password (or an unescaped colon) stands before the @ of %s://…@%s: give passwords by reference, as env:NAME or file:PATH, and write %%3A for a colon in the user", scheme, hostport)
	}
	var err error
	if e.User, err = url.PathUnescape(user); err != nil {
		return fail("user: %w", err)
	}
	if strings.ContainsAny(e.User, "\x00\r\n") {
		return fail("the user holds a control character")
	}
	if err := e.setHostPort(hostport); err != nil {
		return fail("%w", err)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return fail("options: %w", err)
	}
	if err := e.setOptions(values); err != nil {
		return fail("%w", err)
	}
	return e, nil
}

func (e *Endpoint) setHostPort(hostport string) error {
	if strings.ContainsAny(hostport, "/ \t") {
		return fmt.Errorf("host %q holds a slash or a blank", hostport)
	}
	e.Host = hostport
	if host, port, err := net.SplitHostPort(hostport); err == nil {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return fmt.Errorf("port %q is not a number from 1 to 65535", port)
		}
		e.Host, e.Port = host, n
	} else if strings.HasPrefix(hostport, "[") && strings.HasSuffix(hostport, "]") {
		e.Host = hostport[1 : len(hostport)-1]
	} else if strings.Contains(hostport, ":") {
		return fmt.Errorf("host %q: %w; write an IPv6 address in brackets", hostport, err)
	}
	if e.Host == "" {
		return errors.New("the host is empty")
	}
	return nil
}

func (e *Endpoint) setOptions(values url.Values) error {
	admin := ""
	for key, vs := range values {
		v := vs[len(vs)-1]
		switch {
		case key == "tls" && v == "none" && e.Security == STARTTLS:
			e.Security = Plaintext
		case key == "tls" && v == "none":
			return errors.New("tls=none goes with imap://, not with imaps://")
		case key == "ca" && v != "":
			e.CAFile = v
		case key == "insecure" && v == "skip-verify":
			e.SkipVerify = true
		case key == "compress" && v == "deflate":
			e.Compress = true
		case key == "authzid":
			e.Authz = v
		case key == "admin" && v != "":
			admin = v
		case key == "admin_separator" && v != "":
			e.AdminSeparator = v
		case key == "auth" && v != "":
			mechanism, err := ParseMechanism(v)
			if err != nil {
				return err
			}
			e.Auth = mechanism
		case key == "cert" && v != "":
			e.CertFile = v
		case key == "key" && v != "":
			e.KeyFile = v
		default:
			return fmt.Errorf("option %s=%s is not known: there are tls=none, ca=FILE, insecure=skip-verify, compress=deflate, auth=MECHANISM, admin=ADMIN, authzid=USER, admin_separator=CHARACTERS, cert=FILE and key=FILE", key, v)
		}
	}
	return e.SetAdmin(admin)
}

// SetAdmin makes admin the one who signs in, on behalf of the present user.
// With an empty name it only checks that the options about the login go
// together.
func (e *Endpoint) SetAdmin(admin string) error {
	switch {
	case admin != "" && e.Authz != "":
		return errors.New("admin and authzid say the same in two ways: give one of them")
	case admin != "":
		e.User, e.Authz = admin, e.User
	}
	switch {
	case e.AdminSeparator != "" && e.Authz == "":
		return errors.New("admin_separator goes with admin or authzid")
	case strings.ContainsAny(e.User+e.Authz+e.AdminSeparator, "\x00\r\n"):
		return errors.New("the user holds a control character")
	case e.KeyFile != "" && e.CertFile == "":
		return errors.New("key goes with cert, the file of the client certificate")
	case e.CertFile != "" && e.Security == Plaintext:
		return errors.New("a client certificate needs TLS, and tls=none rules it out")
	case e.Auth == "EXTERNAL" && e.CertFile == "":
		return errors.New("auth=EXTERNAL needs a client certificate: give cert=FILE")
	}
	return nil
}

// ParseMechanism reads the name of a mechanism, in any case.
func ParseMechanism(name string) (string, error) {
	name = strings.ToUpper(name)
	if !slices.Contains(Mechanisms(), name) {
		return "", fmt.Errorf("mechanism %q is not known: there are %s", name, strings.Join(Mechanisms(), ", "))
	}
	return name, nil
}

// Login returns the login name that goes over the line, and the authorisation
// identity beside it.
func (e Endpoint) Login() (user, authz string) {
	if e.Authz != "" && e.AdminSeparator != "" {
		return e.Authz + e.AdminSeparator + e.User, ""
	}
	return e.User, e.Authz
}

// redactUserinfo cuts whatever stands before the last @, where somebody may
// have put a password, before the text goes into an error.
func redactUserinfo(s string) string {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		return "…" + s[at:]
	}
	return s
}

// Address returns HOST:PORT, ready for [net.Dial].
func (e Endpoint) Address() string { return net.JoinHostPort(e.Host, strconv.Itoa(e.Port)) }

// Identity returns the login whose mail is read: the
// authorisation identity where one is given, else the user.
func (e Endpoint) Identity() string {
	if e.Authz != "" {
		return e.Authz
	}
	return e.User
}

// userEscaper escapes what [url.PathEscape] leaves and a user cannot hold.
var userEscaper = strings.NewReplacer("@", "%40", ":", "%3A")

// String returns the address in the form that [ParseEndpoint] reads. It holds
// no secret.
func (e Endpoint) String() string {
	scheme, q := "imaps", url.Values{}
	if e.Security != ImplicitTLS {
		scheme = "imap"
	}
	if e.Security == Plaintext {
		q.Set("tls", "none")
	}
	if e.CAFile != "" {
		q.Set("ca", e.CAFile)
	}
	if e.SkipVerify {
		q.Set("insecure", "skip-verify")
	}
	if e.Compress {
		q.Set("compress", "deflate")
	}
	for key, value := range map[string]string{
		"authzid": e.Authz, "admin_separator": e.AdminSeparator, "auth": e.Auth, "cert": e.CertFile, "key": e.KeyFile,
	} {
		if value != "" {
			q.Set(key, value)
		}
	}
	s := scheme + "://" + userEscaper.Replace(url.PathEscape(e.User)) + "@" + e.Address()
	if len(q) > 0 {
		s += "?" + q.Encode()
	}
	return s
}

// Account is one owner of mail with a login on each side. A side that the
// work at hand does not need may be the zero Endpoint.
type Account struct {
	Name        string
	Source      Endpoint
	Destination Endpoint
}

// Endpoint returns the login on one side.
func (a Account) Endpoint(side Side) Endpoint {
	if side == Source {
		return a.Source
	}
	return a.Destination
}
