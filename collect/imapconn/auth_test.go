package imapconn

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"

	"github.com/mailproof/mailproof"
)

// The exchanges of RFC 5802 §5 and RFC 7677 §3, octet for octet.
func TestScramVectors(t *testing.T) {
	for _, tt := range []struct {
		kind                       scramKind
		nonce, first, server, last string
		proof                      string
	}{
		{scramSHA1, "fyko+d2lbbFgONRv9qkxdawL", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
			"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
			"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="},
		{scramSHA256, "rOprNGfwEbeRWgbNEkqO", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="},
	} {
		t.Run(tt.kind.name, func(t *testing.T) {
			s := tt.kind.client(tt.kind.name, "n", nil, login{user: "user", secret: "pencil"})
			s.nonce = tt.nonce
			mech, first, err := s.Start()
			if err != nil || mech != tt.kind.name || string(first) != tt.first {
				t.Fatalf("%s %q %v", mech, first, err)
			}
			if s.tested() {
				t.Error("a proof before the server has spoken")
			}
			proof, err := s.Next([]byte(tt.server))
			if err != nil || string(proof) != tt.proof || !s.tested() {
				t.Fatalf("%q %v", proof, err)
			}
			if s.satisfied() == nil {
				t.Error("content before the server has proven anything")
			}
			if _, err := s.Next([]byte(tt.last)); err != nil || s.satisfied() != nil || !s.tested() {
				t.Errorf("%v, satisfied %v", err, s.satisfied())
			}
		})
	}
}

func TestCramMD5Vector(t *testing.T) { // RFC 2195 §2
	c := &cramMD5{user: "tim", password: "tanstaaftanstaaf"}
	got, err := c.Next([]byte("<1896.697170952@postoffice.reston.mci.net>"))
	if err != nil || string(got) != "tim b913a602c7eda7a495b4e6e7334d3890" {
		t.Errorf("%q %v", got, err)
	}
}

func TestSaslPrep(t *testing.T) { // RFC 4013 §3, and the rest of its rules
	for _, tt := range []struct {
		in, want string
		fails    bool
	}{
		{in: "I\u00adX", want: "IX"}, {in: "user", want: "user"}, {in: "USER", want: "USER"}, {in: "\u00aa", want: "a"}, {in: "\u2168", want: "IX"},
		{in: "\u0007", fails: true}, {in: "\u0627\u0031", fails: true}, {in: "pass wörd", want: "pass wörd"}, {in: "a\u00a0b", want: "a b"},
		{in: "\u0627\u0031\u0628", want: "\u0627\u0031\u0628"}, {in: "\ue000", fails: true}, {in: "\U000e0041", fails: true}, {in: "", want: ""},
		{in: "\u00ad", want: ""},
	} {
		got, err := saslPrep(tt.in)
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%q: %q %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestChoose(t *testing.T) {
	secured := &tls.ConnectionState{}
	all := "IMAP4rev1 AUTH=CRAM-MD5 AUTH=LOGIN AUTH=PLAIN AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=EXTERNAL AUTH=GSSAPI"
	for _, tt := range []struct {
		name, caps  string
		tls         bool
		authz, auth string
		kinds       []secretKind
		want        string
	}{
		{name: "over TLS", caps: all, tls: true, want: "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN command LOGIN CRAM-MD5"},
		{name: "without TLS", caps: all, want: "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5"},
		{name: "nothing better without TLS", caps: "IMAP4rev1 AUTH=PLAIN", want: "PLAIN LOGIN command"},
		{name: "in so many words", caps: all, auth: "PLAIN", want: "PLAIN"},
		{name: "the command", caps: all, tls: true, auth: mailproof.LoginCommand, want: "LOGIN command"},
		{name: "forced and not there", caps: "AUTH=PLAIN", tls: true, auth: "CRAM-MD5"},
		{name: "LOGINDISABLED", caps: "IMAP4rev1 LOGINDISABLED"},
		{name: "another's mail", caps: all, tls: true, authz: "bob", want: "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN"},
		{name: "another's mail, no way", caps: "AUTH=LOGIN AUTH=CRAM-MD5", tls: true, authz: "bob"},
		{name: "token", caps: all, tls: true, kinds: []secretKind{byToken}, want: "OAUTHBEARER XOAUTH2"},
		{name: "Exchange", caps: "AUTH=PLAIN AUTH=XOAUTH2", tls: true, kinds: []secretKind{byToken}, want: "XOAUTH2"},
		{name: "a token is no password", caps: "AUTH=PLAIN", tls: true, kinds: []secretKind{byToken}},
		{name: "a password is no token", caps: "AUTH=XOAUTH2 LOGINDISABLED", tls: true},
		{name: "certificate first", caps: "AUTH=PLAIN AUTH=EXTERNAL LOGINDISABLED", tls: true, kinds: []secretKind{byCert, byPassword}, want: "EXTERNAL PLAIN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := login{authz: tt.authz}
			if tt.tls {
				l.tls = secured
			}
			if tt.kinds == nil {
				tt.kinds = []secretKind{byPassword}
			}
			var got []string
			for _, m := range choose(parseCapabilities(tt.caps), l, mailproof.Endpoint{Auth: tt.auth}, tt.kinds...) {
				got = append(got, m.name)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%q, want %q", strings.Join(got, " "), tt.want)
			}
		})
	}
}

// scramServer is the other end of SCRAM, for a fake.
type scramServer struct {
	kind     scramKind
	password string
	binding  func() []byte // of this end
	edit     func(step int, message string) string
	user     string // as the client gave it
	gs2      string
}

// run answers one AUTHENTICATE, up to the completion, which it leaves to the
// caller; ok says that the proof was right.
func (s *scramServer) run(c *fakeConn, initial string) (ok bool) {
	edit := s.edit
	if edit == nil {
		edit = func(_ int, m string) string { return m }
	}
	first, _ := base64.StdEncoding.DecodeString(initial)
	parts := strings.SplitN(string(first), ",", 3)
	s.gs2 = parts[0] + "," + parts[1] + ","
	bare := parts[2]
	name, nonce, _ := strings.Cut(bare, ",r=")
	s.user = strings.TrimPrefix(name, "n=")
	serverFirst := edit(1, "r="+nonce+"server,s="+base64.StdEncoding.EncodeToString([]byte("salt"))+",i=4096")
	c.line("+ %s", base64.StdEncoding.EncodeToString([]byte(serverFirst)))
	line, _ := c.readLine()
	raw, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		return false
	}
	withoutProof, proof, _ := strings.Cut(string(raw), ",p=")
	salted, _ := pbkdf2.Key(s.kind.hash, s.password, []byte("salt"), 4096, s.kind.hash().Size())
	mac := func(key []byte, m string) []byte {
		h := hmac.New(s.kind.hash, key)
		h.Write([]byte(m))
		return h.Sum(nil)
	}
	message := bare + "," + serverFirst + "," + withoutProof
	clientKey := mac(salted, "Client Key")
	stored := s.kind.hash()
	stored.Write(clientKey)
	want := mac(stored.Sum(nil), message)
	for i := range want {
		want[i] ^= clientKey[i]
	}
	var binding []byte
	if s.binding != nil {
		binding = s.binding()
	}
	bound := "c=" + base64.StdEncoding.EncodeToString(append([]byte(s.gs2), binding...)) + ","
	if proof != base64.StdEncoding.EncodeToString(want) || !strings.HasPrefix(withoutProof, bound) {
		return false
	}
	if final := edit(2, "v="+base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), message))); final != "" {
		c.line("+ %s", base64.StdEncoding.EncodeToString([]byte(final)))
		line, _ = c.readLine()
		return line == ""
	}
	return true
}

// A false server learns nothing that it could use: after a wrong proof of its
// own it is told nothing more, and the password itself least of all.
func TestScramDistrust(t *testing.T) {
	for _, tt := range []struct {
		name     string
		edit     func(int, string) string
		complete string // after the exchange
		text     string
		next     bool // PLAIN may follow: no proof was sent
	}{
		{name: "OK without a proof", edit: func(step int, m string) string { return map[int]string{1: m}[step] }, complete: "OK come in", text: "could not prove"},
		{name: "false proof", edit: func(step int, m string) string {
			if step == 2 {
				return "v=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32))
			}
			return m
		}, complete: "BAD cancelled", text: "could not prove"},
		{name: "somebody else's nonce", edit: func(step int, m string) string { return strings.Replace(m, "r=", "r=x", 1) }, complete: "BAD cancelled", text: "nonce is not ours"},
		{name: "weak count", edit: func(step int, m string) string { return strings.Replace(m, "i=4096", "i=1", 1) }, complete: "BAD cancelled", text: "without TLS"},
		{name: "endless count", edit: func(step int, m string) string { return strings.Replace(m, "i=4096", "i=99999999", 1) }, complete: "BAD cancelled", text: "iteration count"},
		{name: "extension", edit: func(step int, m string) string { return "m=x," + m }, complete: "BAD cancelled", text: "in this order"},
		{name: "wrong password", edit: func(step int, m string) string { return map[int]string{1: m}[step] }, complete: "NO [AUTHENTICATIONFAILED] no", text: "AUTHENTICATIONFAILED"},
		{name: "refused", edit: func(step int, m string) string { return map[int]string{1: m, 2: "e=invalid-proof"}[step] }, complete: "NO no", text: "invalid-proof"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var heard []string
			f := newFake(t, func(c *fakeConn) {
				c.line("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN] hi")
				c.serve(func(cmd commandLine) bool {
					mu.Lock()
					heard = append(heard, cmd.name+" "+cmd.args)
					mu.Unlock()
					mech, initial, _ := strings.Cut(cmd.args, " ")
					if mech == "SCRAM-SHA-256" {
						(&scramServer{kind: scramSHA256, password: "s3cret", edit: tt.edit}).run(c, initial)
						c.line("%s %s", cmd.tag, tt.complete)
						return true
					}
					c.line("%s OK [CAPABILITY IMAP4rev1] hi", cmd.tag)
					return true
				})
			})
			_, err := DialReader(context.Background(), f.config())
			if err == nil || mailproof.KindOf(err) != mailproof.ErrAuth || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("error %v, want one with %q", err, tt.text)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(heard) != 1 {
				t.Errorf("the server heard %q", heard)
			}
		})
	}
}

// What a server refuses before it has seen a proof is tried in another way,
// within TLS only.
func TestFallBackBeforeProof(t *testing.T) {
	cert, pool := certificate(t, nil)
	for _, security := range []mailproof.Security{mailproof.ImplicitTLS, mailproof.Plaintext} {
		f := newFake(t, func(c *fakeConn) {
			c.line("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=PLAIN] hi")
			c.serve(func(cmd commandLine) bool {
				if strings.HasPrefix(cmd.args, "SCRAM") {
					c.line("%s NO [AUTHENTICATIONFAILED] no such secret", cmd.tag)
				} else {
					c.line("%s OK [CAPABILITY IMAP4rev1] hi", cmd.tag)
				}
				return true
			})
		})
		config := f.config()
		config.Endpoint.Security, config.RootCAs = security, pool
		if security == mailproof.ImplicitTLS {
			f.mu.Lock()
			f.tls = &tls.Config{Certificates: []tls.Certificate{cert}}
			f.mu.Unlock()
		}
		r, err := DialReader(context.Background(), config)
		if security == mailproof.Plaintext {
			if mailproof.KindOf(err) != mailproof.ErrAuth {
				t.Errorf("without TLS: %v", err)
			}
			continue
		}
		if err != nil || r.Server().Mechanism != "PLAIN" {
			t.Fatalf("over TLS: %v", err)
		}
		r.link.drop()
	}
}

// Both ends of a TLS connection agree on its binding, and a proof for one
// connection is none for another.
func TestScramPlus(t *testing.T) {
	cert, pool := certificate(t, nil)
	for _, tt := range []struct {
		name    string
		version uint16
		binding string
		false_  bool // as behind one who relays
		says    string
		then    string // mechanism
	}{
		{"TLS 1.3", tls.VersionTLS13, "p=tls-exporter", false, "", "SCRAM-SHA-256-PLUS"},
		{"TLS 1.2", tls.VersionTLS12, "p=tls-unique", false, "", "SCRAM-SHA-256-PLUS"},
		{"relayed", tls.VersionTLS13, "p=tls-exporter", true, "NO [AUTHENTICATIONFAILED] no", ""},
		{"no binding", tls.VersionTLS13, "n,,", true, "NO bad protocol / cancel", "SCRAM-SHA-256"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := &scramServer{kind: scramSHA256, password: "s3cret"}
			f := newFake(t, func(c *fakeConn) {
				c.line("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS AUTH=PLAIN] hi")
				state := c.Conn.(*tls.Conn).ConnectionState()
				server.binding = func() []byte {
					_, data := channelBinding(&state)
					if tt.false_ {
						data = bytes.Repeat([]byte{7}, len(data))
					}
					return data
				}
				c.serve(func(cmd commandLine) bool {
					mech, initial, _ := strings.Cut(cmd.args, " ")
					if mech == "SCRAM-SHA-256" {
						server.binding = nil
					}
					if cmd.name == "AUTHENTICATE" && strings.HasPrefix(mech, "SCRAM-SHA-256") && server.run(c, initial) {
						c.line("%s OK [CAPABILITY IMAP4rev1] hi", cmd.tag)
					} else {
						c.line("%s %s", cmd.tag, tt.says)
					}
					return true
				})
			})
			f.mu.Lock()
			f.tls = &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tt.version}
			f.mu.Unlock()
			config := f.config()
			config.Endpoint.Security, config.RootCAs = mailproof.ImplicitTLS, pool
			r, err := DialReader(context.Background(), config)
			if tt.then == "" {
				if mailproof.KindOf(err) != mailproof.ErrAuth {
					t.Errorf("relayed: %v", err)
				}
				return
			}
			if err != nil || r.Server().Mechanism != tt.then || !strings.HasPrefix(server.gs2, tt.binding) {
				t.Fatalf("%v, header %q", err, server.gs2)
			}
			r.link.drop()
		})
	}
}

// That the client would have bound the sign-in is said where the server does
// not offer to, and not where it does (RFC 5802 §6).
func TestScramFlag(t *testing.T) {
	for _, tt := range []struct {
		caps string
		tls  *tls.ConnectionState
		want string
	}{
		{"AUTH=SCRAM-SHA-1", nil, "n,,"},
		{"AUTH=SCRAM-SHA-1", &tls.ConnectionState{}, "y,,"},
		{"AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-1-PLUS", &tls.ConnectionState{}, "n,,"},
	} {
		s := scramSHA1.plain(login{tls: tt.tls, caps: parseCapabilities(tt.caps)}).(*scram)
		if s.gs2 != tt.want {
			t.Errorf("%s: %q, want %q", tt.caps, s.gs2, tt.want)
		}
	}
	s := scramSHA1.plain(login{user: "ad,min", authz: "b=b"}).(*scram)
	if _, first, _ := s.Start(); !strings.HasPrefix(string(first), "n,a=b=3Db,n=ad=2Cmin,r=") {
		t.Errorf("%q", first)
	}
}

func TestBearerMessages(t *testing.T) {
	l := login{user: "a=b,c@example.com", secret: "tok", host: "h", port: 993}
	_, got, _ := newOAuthBearer(l).Start()
	if want := "n,a=a=3Db=2Cc@example.com,\x01host=h\x01port=993\x01auth=Bearer tok\x01\x01"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	_, got, _ = newXOAuth2(l).Start()
	if want := "user=a=b,c@example.com\x01auth=Bearer tok\x01\x01"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	for in, want := range map[string]string{
		`{"status":"401","schemes":"bearer","scope":"https://mail.google.com/"}`:               "status 401, schemes bearer, scope https://mail.google.com/",
		`{"status":400,"error":"invalid_token"}`:                                               "status 400, error invalid_token",
		`{"status":"invalid_token","openid-configuration":"https://i.example/.well-known/oc"}`: "status invalid_token, openid-configuration https://i.example/.well-known/oc",
		`{}`: "challenge without a reason", `no JSON`: `challenge "no JSON"`,
	} {
		if got := bearerReasons([]byte(in)); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// tokens are those of a test: each is good for the server until it was
// withdrawn there.
type tokens struct {
	mu   sync.Mutex
	n    int
	lost []string
	err  error
}

func (s *tokens) Token(_ context.Context, refused mailproof.Secret) (mailproof.Secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return mailproof.Secret{}, s.err
	}
	if !refused.IsZero() {
		s.lost = append(s.lost, refused.Reveal())
		if refused.Reveal() == s.present() {
			s.n++
		}
	}
	return mailproof.NewSecret(s.present()), nil
}

func (s *tokens) present() string { return fmt.Sprintf("t0ken-%d", s.n) }

// bearerConn signs a client in by XOAUTH2 if it has one of the tokens that are
// good, and says why not in a challenge.
func bearerConn(c *fakeConn, caps string, good ...string) bool {
	c.line("* OK [CAPABILITY %s AUTH=XOAUTH2 AUTH=PLAIN SASL-IR] hi", caps)
	cmd, ok := c.command()
	if !ok {
		return false
	}
	mech, initial, _ := strings.Cut(cmd.args, " ")
	raw, _ := base64.StdEncoding.DecodeString(initial)
	_, token, _ := strings.Cut(strings.TrimRight(string(raw), "\x01"), "auth=Bearer ")
	if mech != "XOAUTH2" {
		c.t.Errorf("%v: a token was handed to %s", cmd, mech)
	}
	if !slices.Contains(good, token) {
		c.line("+ %s", base64.StdEncoding.EncodeToString([]byte(`{"status":"400","schemes":"Bearer","scope":"mail"}`)))
		if answer, _ := c.readLine(); answer != "" {
			c.t.Errorf("answers the challenge with %q", answer)
		}
		c.line("%s NO [AUTHENTICATIONFAILED] AUTHENTICATE failed for %s.", cmd.tag, token)
		return false
	}
	c.line("%s OK [CAPABILITY %s] in", cmd.tag, caps)
	return true
}

// A refused token is asked for anew, once; then the server's reasons are told.
func TestTokenRefused(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		if bearerConn(c, "IMAP4rev1", "t0ken-1") {
			c.idle()
		}
	})
	source := &tokens{}
	config := f.config()
	config.Password, config.Tokens = mailproof.Secret{}, source
	r, err := DialReader(context.Background(), config)
	if err != nil || r.Server().Mechanism != "XOAUTH2" || f.dialled() != 2 || len(source.lost) != 1 {
		t.Fatalf("%v, %d connections, refused %v", err, f.dialled(), source.lost)
	}
	r.link.drop()

	f = newFake(t, func(c *fakeConn) { bearerConn(c, "IMAP4rev1") })
	source = &tokens{}
	config = f.config()
	config.Tokens = source
	_, err = DialReader(context.Background(), config)
	if mailproof.KindOf(err) != mailproof.ErrAuth || !strings.Contains(err.Error(), "status 400, schemes Bearer, scope mail") || strings.Contains(err.Error(), "t0ken") {
		t.Errorf("error %v", err)
	}
	if f.dialled() != 2 {
		t.Errorf("%d attempts with refused tokens", f.dialled())
	}

	gone := errors.New("the refresh token was revoked")
	config.Tokens = &tokens{err: gone}
	if _, err = DialReader(context.Background(), config); !errors.Is(err, gone) || mailproof.KindOf(err) != mailproof.ErrAuth {
		t.Errorf("error %v", err)
	}
	config.Tokens = &tokens{err: passing{}}
	if _, err = DialReader(context.Background(), config); mailproof.KindOf(err) != mailproof.ErrConnection {
		t.Errorf("error %v", err)
	}
}

type passing struct{}

func (passing) Error() string   { return "503" }
func (passing) Temporary() bool { return true }

// A token that runs out in mid-session costs a connection and no message,
// however the server says so.
func TestTokenRunsOut(t *testing.T) {
	for _, farewell := range []string{
		"* BYE Session invalidated - AccessTokenExpired", "T NO [AUTHENTICATIONFAILED] AccessTokenExpired", "T BAD [EXPIRED] token expired",
	} {
		t.Run(farewell, func(t *testing.T) {
			f := newFake(t, func(c *fakeConn) {
				if !bearerConn(c, "IMAP4rev1", fmt.Sprintf("t0ken-%d", min(c.n-1, 2))) {
					return
				}
				c.serve(func(cmd commandLine) bool {
					switch cmd.name {
					case "EXAMINE":
						c.examined(cmd, 30)
					case "UID FETCH":
						set, _, _ := strings.Cut(cmd.args, " ")
						for i, uid := range numbers(set) {
							if c.n < 3 && i == 3 { // in the midst of it
								c.line("%s", strings.Replace(farewell, "T ", cmd.tag+" ", 1))
								return !strings.HasPrefix(farewell, "*")
							}
							c.body(uid)
						}
						c.line("%s OK done", cmd.tag)
					default:
						c.line("%s BAD what?", cmd.tag)
					}
					return true
				})
			})
			source := &tokens{}
			config := f.config()
			config.Tokens = source
			r, err := DialReader(context.Background(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer r.link.drop()
			mustExamine(t, r)
			unread, got, err := readAll(t, r, 30)
			if err != nil || len(unread) != 0 || len(got) != 30 {
				t.Fatalf("%d read, unread %v, error %v", len(got), unread, err)
			}
			if len(source.lost) == 0 || source.n != 2 {
				t.Errorf("tokens refused: %v, now at %d", source.lost, source.n)
			}
		})
	}
}

// An append that meets an expired token is not known to be done: it is the
// caller's to compare, and the next one finds a new connection.
func TestTokenRunsOutAtAppend(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		if !bearerConn(c, "IMAP4rev1 LITERAL+", fmt.Sprintf("t0ken-%d", c.n-1)) {
			return
		}
		c.serve(func(cmd commandLine) bool {
			if cmd.name == "APPEND" {
				_, _ = io.CopyN(io.Discard, c.br, 5)
				_, _ = c.readLine()
				if c.n == 1 {
					c.line("%s NO [AUTHENTICATIONFAILED] token expired", cmd.tag)
					return true
				}
				c.line("%s OK [APPENDUID 1 2] done", cmd.tag)
				return true
			}
			c.line("%s OK", cmd.tag)
			return true
		})
	})
	config := f.config()
	config.Tokens = &tokens{}
	w, err := DialWriter(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer w.link.drop()
	appendOne := func() error {
		_, _, err := w.Append(context.Background(), "INBOX", nil, time.Time{}, 5, strings.NewReader("hello"))
		return err
	}
	if err := appendOne(); mailproof.KindOf(err) != mailproof.ErrConnection || !strings.Contains(err.Error(), "token expired") {
		t.Errorf("error %v", err)
	}
	if err := appendOne(); err != nil {
		t.Error(err)
	}
}

func TestReferral(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		c.line("* OK [CAPABILITY IMAP4rev1] hi")
		cmd, _ := c.command()
		c.line("%s NO [REFERRAL imap://anna;AUTH=*@other.example/] wrong server", cmd.tag)
	})
	_, err := DialReader(context.Background(), f.config())
	if mailproof.KindOf(err) != mailproof.ErrAuth || !strings.Contains(err.Error(), "refers to imap://anna;AUTH=*@other.example/") {
		t.Errorf("error %v", err)
	}
}

func FuzzScram(f *testing.F) {
	f.Add("r=NONCEserver,s=QSXCR+Q6sek8bf92,i=4096", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")
	f.Add("e=unknown-user", "")
	f.Add("r=NONCE,s=,i=-1,,", "e=")
	f.Fuzz(func(t *testing.T, first, last string) {
		if len(first) > 1<<10 || strings.Contains(first, "00") {
			return // no time for many iterations
		}
		s := scramSHA256.client("SCRAM-SHA-256", "n", nil, login{user: "u", secret: "p"})
		if _, _, err := s.Start(); err != nil {
			t.Fatal(err)
		}
		var client sasl.Client = s
		if _, err := client.Next([]byte(strings.ReplaceAll(first, "NONCE", s.nonce))); err == nil {
			_, _ = client.Next([]byte(last))
		}
		if s.satisfied() == nil {
			t.Fatalf("satisfied by %q and %q", first, last)
		}
	})
}

func FuzzBearerChallenge(f *testing.F) {
	f.Add([]byte(`{"status":"401","schemes":"bearer","scope":"x"}`))
	f.Add([]byte(`{"status":[1],"scope":null}`))
	f.Fuzz(func(t *testing.T, challenge []byte) {
		if got := bearerReasons(challenge); got == "" || len(got) > 4*maxReasons+32 {
			t.Fatalf("%d octets: %q", len(got), got)
		}
	})
}

func FuzzSaslPrep(f *testing.F) {
	f.Add("pass wörd")
	f.Add("\u0627\u0031")
	f.Fuzz(func(t *testing.T, s string) {
		once, err := saslPrep(s)
		if err != nil {
			return
		}
		if again, err := saslPrep(once); err == nil && again != once {
			t.Fatalf("%q became %q and then %q", s, once, again)
		}
	})
}
