package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/net/idna"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/credential"
	"github.com/mailproof/mailproof/collect/provider"
)

// Server is what the accounts of a list have in common on one side: from it
// and a row an [mailproof.Endpoint] is made. User, Authzid and the parts of URL
// may hold {user}, {address}, {local} and {domain}.
type Server struct {
	URL         string `toml:"url"`             // imaps://{user}@imap.old.example; instead of the six below
	Host        string `toml:"host"`            //
	Port        int    `toml:"port"`            // 0: 993 or 143, as security says
	Security    string `toml:"security"`        // tls (also where empty), starttls, none
	User        string `toml:"user"`            // empty: {user}
	Authzid     string `toml:"authzid"`         // whose mail User signs in for (RFC 4422 §2)
	Admin       string `toml:"admin"`           // the same the other way round: who signs in for User
	AdminSep    string `toml:"admin_separator"` // joins the two in one login name, as Dovecot's * does
	Auth        string `toml:"auth"`            // one SASL mechanism; empty: the best on offer
	Cert        string `toml:"cert"`            // PEM file of a client certificate
	Key         string `toml:"key"`             // PEM file of its key; empty: in the same file
	CA          string `toml:"ca"`              // PEM file
	Insecure    string `toml:"insecure"`        // skip-verify
	Password    string `toml:"password"`        // reference, for rows that carry none; with the same placeholders
	Connections int    `toml:"connections"`     // at most so many at once; 0: as [limits] says
	Provider    string `toml:"provider"`        // a preset, auto or none; empty: auto
}

// IsZero reports whether nothing is known of the server.
func (s Server) IsZero() bool { return s == Server{} }

var placeholders = []string{"user", "address", "local", "domain"}

var placeholderPattern = regexp.MustCompile(`\{[^{}]*\}`)

// keyError is an error about one key of a [source] or [destination] table.
type keyError struct {
	key    string
	reason string
	hints  []string
}

func (e *keyError) Error() string   { return key(e.key) + ": " + e.reason }
func (e *keyError) Hints() []string { return e.hints }

// template returns the Endpoint of the server with placeholders where a row
// comes in, and whether the server names a host at all.
func (s Server) template(dir string) (t mailproof.Endpoint, given bool, err error) {
	bad := func(key, format string, args ...any) (mailproof.Endpoint, bool, error) {
		return mailproof.Endpoint{}, false, &keyError{key: key, reason: fmt.Sprintf(format, args...)}
	}
	if err := provider.CheckName(s.Provider); err != nil {
		return bad("provider", "%s", err)
	}
	if preset, ok := provider.Lookup(s.Provider); ok && s.URL == "" && s.Host == "" && preset.Host != "" {
		s.Host = preset.Host // a provider that has one server for all
	}
	if s.URL != "" {
		if s.Host != "" || s.Port != 0 || s.Security != "" || s.User != "" || s.Authzid != "" || s.CA != "" || s.Insecure != "" ||
			s.Admin != "" || s.AdminSep != "" || s.Auth != "" || s.Cert != "" || s.Key != "" {
			return bad("url", "goes without host, port, security, user, authzid, admin, auth, cert, key, ca and insecure: it says all of that itself")
		}
		if t, err = mailproof.ParseEndpoint(withUser(s.URL)); err != nil {
			return bad("url", "%s", withoutValues(err))
		}
	} else {
		t = mailproof.Endpoint{User: s.User, Authz: s.Authzid, Host: strings.Trim(s.Host, "[]"), Port: s.Port, CAFile: s.CA}
		if t.User == "" {
			t.User = "{user}"
		}
		defaultPort := 993
		switch s.Security {
		case "", "tls":
		case "starttls":
			t.Security, defaultPort = mailproof.STARTTLS, 143
		case "none":
			t.Security, defaultPort = mailproof.Plaintext, 143
		default:
			return bad("security", "write tls, starttls or none")
		}
		if t.Port == 0 {
			t.Port = defaultPort
		}
		if t.Port < 1 || t.Port > 65535 {
			return bad("port", "not a number from 1 to 65535")
		}
		if strings.Contains(s.Host, "://") {
			return bad("host", "is an address; write it as url")
		}
		if strings.ContainsAny(s.Host, "@/ \t") {
			return bad("host", "holds a character that a host name cannot have")
		}
		switch s.Insecure {
		case "":
		case "skip-verify":
			t.SkipVerify = true
		default:
			return bad("insecure", "write skip-verify, or leave the key out")
		}
	}
	if s.URL == "" {
		if key, err := s.login(&t); err != nil {
			return bad(key, "%s", err)
		}
	}
	if s.Connections < 0 {
		return bad("connections", "not a number from 1")
	}
	for _, f := range []struct{ key, text string }{{"user", t.User}, {"authzid", t.Authz}, {"host", t.Host}} {
		if s.URL != "" {
			f.key = "url"
		}
		for _, p := range placeholderPattern.FindAllString(f.text, -1) {
			if name := strings.Trim(p, "{}"); !contains(placeholders, name) {
				return bad(f.key, "there is no placeholder %s%s", p, didYouMean(name, placeholders))
			}
		}
	}
	if key, err := findFiles(dir, &t); err != nil {
		if s.URL != "" {
			key = "url"
		}
		return bad(key, "%v", err)
	}
	return t, t.Host != "", nil
}

// login puts what says how to sign in into a template, and names the key that
// is wrong.
func (s Server) login(t *mailproof.Endpoint) (key string, err error) {
	if s.Auth != "" {
		if t.Auth, err = mailproof.ParseMechanism(s.Auth); err != nil {
			return "auth", err
		}
	}
	t.AdminSeparator, t.CertFile, t.KeyFile = s.AdminSep, s.Cert, s.Key
	if err := t.SetAdmin(s.Admin); err != nil {
		switch {
		case s.Admin != "":
			return "admin", err
		case s.AdminSep != "" && s.Authzid == "":
			return "admin_separator", err
		case s.Cert == "" && s.Key != "":
			return "key", err
		case s.Cert == "" && s.Auth != "":
			return "auth", err
		}
		return "cert", err
	}
	return "", nil
}

// findFiles finds the files that an address names, beside the file that names
// them first, and says of which option it is where one cannot be read.
func findFiles(dir string, e *mailproof.Endpoint) (option string, err error) {
	for _, f := range []struct {
		option, what string
		path         *string
	}{{"ca", "the file of trust anchors", &e.CAFile}, {"cert", "the file of the client certificate", &e.CertFile}, {"key", "the file of the client's key", &e.KeyFile}} {
		if *f.path == "" {
			continue
		}
		if ref, is := KeyReference(*e); is && f.path == &e.KeyFile {
			e.KeyFile = locateReference(dir, ref.Kind(), e.KeyFile)
			ref, _ = KeyReference(*e)
			if err := ref.CheckDocument(); err != nil {
				return f.option, err
			}
			continue
		}
		*f.path = locate(dir, *f.path)
		if _, err := os.Stat(*f.path); err != nil {
			return f.option, fmt.Errorf("%s cannot be read: %w", f.what, err)
		}
	}
	return "", nil
}

// KeyReference returns the reference that an endpoint gives as the key of its
// client certificate. Where it gives a path, or something that cannot yield a
// key, there is none.
func KeyReference(e mailproof.Endpoint) (credential.Ref, bool) {
	ref, err := credential.Parse(e.KeyFile)
	if err != nil {
		return credential.Ref{}, false
	}
	switch ref.Kind() {
	case credential.Env, credential.File, credential.Command, credential.Keyring, credential.Age:
		return ref, true
	}
	return credential.Ref{}, false
}

// locateReference writes a reference so that it leads to the same file wherever
// it is looked up from.
func locateReference(dir string, kind credential.Kind, text string) string {
	scheme, rest, _ := strings.Cut(text, ":")
	switch kind {
	case credential.File:
		return scheme + ":" + locate(dir, rest)
	case credential.Age:
		file, key, hash := strings.Cut(rest, "#")
		if rest = locate(dir, file); hash {
			rest += "#" + key
		}
		return scheme + ":" + rest
	}
	return text
}

// reference parses the default password.
func (s Server) reference(dir string) (credential.Ref, error) {
	if s.Password == "" {
		return credential.Ref{}, nil
	}
	ref, err := credential.Parse(s.Password)
	if err != nil {
		e := &keyError{key: "password", reason: err.Error()}
		var ce *credential.Error
		if errors.As(err, &ce) {
			e.hints = ce.Hints()
		}
		return credential.Ref{}, e
	}
	for _, p := range ref.Placeholders() {
		if !contains(placeholders, p) {
			return credential.Ref{}, &keyError{key: "password", reason: fmt.Sprintf("there is no placeholder {%s}%s", p, didYouMean(p, placeholders))}
		}
	}
	return ref.In(dir), nil
}

// withUser lets an address go without its user: the row's is meant.
func withUser(address string) string {
	scheme, rest, ok := strings.Cut(address, "://")
	hostport, _, _ := strings.Cut(rest, "?")
	if !ok || strings.Contains(hostport, "@") {
		return address
	}
	return scheme + "://{user}@" + rest
}

// locate finds a file that is named by a file in dir: beside that first, then
// in the working directory.
func locate(dir, path string) string {
	if dir == "" || filepath.IsAbs(path) {
		return path
	}
	beside := filepath.Join(dir, path)
	if _, err := os.Stat(beside); err != nil {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return beside
}

// who is what a row says of an account's login.
type who struct{ address, user string }

// reference puts a row into the default password of a side.
func (w who) reference(ref credential.Ref) (credential.Ref, error) {
	if ref.IsZero() || len(ref.Placeholders()) == 0 {
		return ref, nil
	}
	values := make(map[string]string, len(placeholders))
	for _, p := range placeholders {
		// What cannot be expanded is empty, which the reference refuses.
		values[p], _ = w.expand("{" + p + "}")
	}
	return ref.Fill(values)
}

// fill puts a row into a template.
func fill(t mailproof.Endpoint, w who) (mailproof.Endpoint, error) {
	var err error
	if t.User, err = w.expand(t.User); err != nil {
		return t, err
	}
	authz := t.Authz
	if t.Authz, err = w.expand(authz); err != nil {
		return t, err
	}
	// An empty authorisation identity would read the administrator's own mail.
	if t.User == "" || authz != "" && t.Authz == "" {
		return t, errors.New("the login that is made of the row is empty")
	}
	if t.Host, err = w.expand(t.Host); err != nil {
		return t, err
	}
	if !isASCII(t.Host) {
		host, err := idna.Lookup.ToASCII(t.Host)
		if err != nil {
			return t, errors.New("the domain cannot be written as a host name (IDNA)")
		}
		t.Host = host
	}
	if strings.ContainsAny(t.Host, "@/?#[] \t") {
		return t, errors.New("the domain holds a character that a host name cannot have")
	}
	return t, nil
}

func (w who) expand(template string) (string, error) {
	switch {
	case template == "{user}": // what most say, of thousands of rows
		return w.user, nil
	case template == "{address}":
		return w.address, nil
	case !strings.Contains(template, "{"):
		return template, nil
	}
	local, domain := w.address, ""
	if at := strings.LastIndexByte(w.address, '@'); at >= 0 {
		local, domain = w.address[:at], w.address[at+1:]
	}
	var err error
	s := placeholderPattern.ReplaceAllStringFunc(template, func(p string) string {
		switch p {
		case "{user}":
			return w.user
		case "{address}":
			return w.address
		case "{local}":
			return local
		case "{domain}":
			if domain == "" {
				err = errors.New("the address has no domain, and the server's address is made of it")
			}
			return domain
		}
		return p
	})
	return s, err
}

var (
	quotedPattern = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	optionPattern = regexp.MustCompile(`option .*? is not known`)
	beforePattern = regexp.MustCompile(`of \S+://\S*: `)
	addrPattern   = regexp.MustCompile(`: address .*: (\w)`) // of net.AddrError
)

// withoutValues takes out of an error whatever it quotes from the address: it
// may be a password in the wrong place.
func withoutValues(err error) string {
	s := optionPattern.ReplaceAllString(err.Error(), "an option is not known")
	s = beforePattern.ReplaceAllString(s, "of the address: ")
	s = addrPattern.ReplaceAllString(s, ": $1")
	return strings.TrimPrefix(quotedPattern.ReplaceAllString(s, "…"), "server address: ")
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
