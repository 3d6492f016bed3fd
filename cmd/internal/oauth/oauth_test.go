package oauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/oauth/authtest"
)

func TestMain(m *testing.M) {
	keyring.MockInit()
	os.Exit(m.Run())
}

func secretOf(s string) SecretFunc {
	return func(context.Context) (mailproof.Secret, error) { return mailproof.NewSecret(s), nil }
}

func settings(s *authtest.Server) Settings {
	base := "https://auth.example"
	if s.Server != nil {
		base = s.URL
	}
	return Settings{
		Name: "test", AuthURL: base + "/authorize", TokenURL: base + "/token", DeviceURL: base + "/device",
		ClientID: "mailproof", Scopes: []string{"imap", "offline_access"}, RedirectHost: "127.0.0.1",
	}
}

// inMemory carries requests to a handler without a network, so that a test can
// have a clock of its own.
type inMemory struct{ http.Handler }

func (h inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// browser is a person with a browser: it visits the address and follows where
// it is sent.
type browser struct {
	t     *testing.T
	edit  func(address string) string // of where the server sends it back to
	wg    sync.WaitGroup
	pages []string
	code  string
}

func (b *browser) Visit(address string) {
	b.wg.Go(func() {
		client := &http.Client{CheckRedirect: func(r *http.Request, _ []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := client.Get(address)
		if err != nil {
			b.t.Error(err)
			return
		}
		res.Body.Close()
		back := res.Header.Get("Location")
		if b.edit != nil {
			if back = b.edit(back); back == "" {
				return
			}
		}
		for step := range strings.SplitSeq(back, " ") {
			res, err := client.Get(step)
			if err != nil {
				b.t.Error(err)
				return
			}
			b.pages = append(b.pages, res.Status)
			res.Body.Close()
		}
	})
}

func (b *browser) Enter(_, _, code string, _ time.Time) { b.code = code }

func TestLoopback(t *testing.T) {
	ctx := context.Background()
	s := authtest.New(t)
	cache := newMemory()
	set := settings(s)
	set.Cache = cache
	b := New(set)
	ui := &browser{t: t}
	if _, err := b.Login(ctx, "anna@example.com", false, ui); err != nil {
		t.Fatal(err)
	}
	ui.wg.Wait()
	if len(ui.pages) != 1 || ui.pages[0] != "200 OK" {
		t.Errorf("the browser saw %v", ui.pages)
	}
	token, err := b.For("anna@example.com").Token(ctx, mailproof.Secret{})
	if user, ok := s.Valid(token.Reveal()); err != nil || !ok || user != "anna@example.com" {
		t.Errorf("%q %v %v", user, ok, err)
	}
	if s.Refreshes() != 0 {
		t.Error("a fresh token was refreshed")
	}
	if _, err := b.For("bob@example.com").Token(ctx, mailproof.Secret{}); err == nil || !strings.Contains(err.Error(), "nobody has signed in") {
		t.Errorf("another's token: %v", err)
	}
	// The next process goes on from what was kept.
	again, err := New(set).For("anna@example.com").Token(ctx, mailproof.Secret{})
	if err != nil || again != token {
		t.Errorf("%v", err)
	}
}

// What comes back to the port and is no answer to our question changes nothing;
// what is one and says no is told.
func TestLoopbackForgeries(t *testing.T) {
	for _, tt := range []struct {
		name  string
		set   func(*authtest.Server, *Settings)
		edit  func(string) string
		text  string
		pages string
	}{
		{name: "forged state first", edit: func(back string) string {
			u, _ := url.Parse(back)
			q := u.Query()
			q.Set("state", "x"+q.Get("state")[1:])
			u.RawQuery = q.Encode()
			return u.String() + " " + strings.Replace(back, "?code", "/favicon.ico?code", 1) + " " + back
		}, pages: "400 Bad Request 200 OK 200 OK"},
		{name: "declined", set: func(s *authtest.Server, _ *Settings) { s.Deny = true }, text: "access_denied"},
		{name: "another code", edit: func(back string) string { return strings.Replace(back, "code=", "code=x", 1) }, text: "invalid_grant"},
		{name: "another issuer", set: func(s *authtest.Server, set *Settings) {
			s.Issuer, set.Issuer = "https://evil.example", "https://good.example"
		}, text: "RFC 9207"},
		{name: "no code", edit: func(back string) string { return strings.Replace(back, "code=", "mode=", 1) }, text: "no code"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := authtest.New(t)
			set := settings(s)
			if tt.set != nil {
				tt.set(s, &set)
			}
			ui := &browser{t: t, edit: tt.edit}
			_, err := New(set).Login(context.Background(), "anna@example.com", false, ui)
			ui.wg.Wait()
			if tt.text == "" && err != nil || tt.text != "" && (err == nil || !strings.Contains(err.Error(), tt.text)) {
				t.Errorf("error %v, want %q", err, tt.text)
			}
			if tt.pages != "" && strings.Replace(strings.Join(ui.pages, " "), "404 Not Found", "200 OK", 1) != tt.pages {
				t.Errorf("pages %q", ui.pages)
			}
		})
	}
}

// The code on another device: patience, an order to slow down, a refusal, an end.
func TestDevice(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*authtest.Server)
		took time.Duration
		text string
	}{
		{name: "at once", set: func(*authtest.Server) {}, took: 5 * time.Second},
		{name: "pending", set: func(s *authtest.Server) { s.Pending = 3 }, took: 20 * time.Second},
		// 5 s, then each 5 s longer for every slow_down (RFC 8628 §3.5).
		{name: "slow down", set: func(s *authtest.Server) { s.SlowDown, s.Pending = 2, 1 }, took: (5 + 10 + 15 + 15) * time.Second},
		{name: "declined", set: func(s *authtest.Server) { s.Pending, s.Deny = 1, true }, took: 10 * time.Second, text: "access_denied"},
		{name: "never entered", set: func(s *authtest.Server) { s.Pending, s.Device = 1000, time.Minute }, took: time.Minute, text: "expired_token"},
		{name: "throttled", set: func(s *authtest.Server) { s.Throttle = 2 }, took: (5 + 7 + 7) * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := authtest.Make()
				tt.set(s)
				set := settings(s)
				set.Client = inMemory{s}
				ui := &browser{t: t}
				started := time.Now()
				_, err := New(set).Login(context.Background(), "anna@example.com", true, ui)
				if tt.text == "" && err != nil || tt.text != "" && (err == nil || !strings.Contains(err.Error(), tt.text)) {
					t.Errorf("error %v, want %q", err, tt.text)
				}
				if took := time.Since(started); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if ui.code != "ABCD-EFGH" {
					t.Errorf("code %q", ui.code)
				}
			})
		})
	}
}

// signedIn is a broker with a sign-in, and its server, within a bubble.
func signedIn(t *testing.T, edit func(*authtest.Server, *Settings)) (*authtest.Server, *Broker) {
	t.Helper()
	s := authtest.Make()
	set := settings(s)
	set.Client = inMemory{s}
	if edit != nil {
		edit(s, &set)
	}
	b := New(set)
	if _, err := b.Login(context.Background(), "anna@example.com", true, &browser{t: t}); err != nil {
		t.Fatal(err)
	}
	return s, b
}

// Whoever asks at once shares one refresh, across brokers on one cache too; a
// refresh token is never used twice.
func TestOneRefreshForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newMemory()
		locked := &lockedCache{memory: cache}
		s, b := signedIn(t, func(_ *authtest.Server, set *Settings) { set.Cache = locked })
		other := New(b.Settings)
		for round := 1; round <= 3; round++ {
			time.Sleep(time.Hour)
			var wg sync.WaitGroup
			var mu sync.Mutex
			got := map[string]bool{}
			for i := range 40 {
				from := []*Broker{b, other}[i%2]
				wg.Go(func() {
					token, err := from.For("anna@example.com").Token(context.Background(), mailproof.Secret{})
					if _, ok := s.Valid(token.Reveal()); err != nil || !ok {
						t.Errorf("valid %v, error %v", ok, err)
					}
					mu.Lock()
					got[token.Reveal()] = true
					mu.Unlock()
				})
			}
			wg.Wait()
			if len(got) != 1 || s.Refreshes() != round {
				t.Errorf("round %d: %d tokens, %d refreshes", round, len(got), s.Refreshes())
			}
		}
		if s.Overlap {
			t.Error("two refreshes at once")
		}
	})
}

// lockedCache is a memory cache with a lock, as files have.
type lockedCache struct {
	*memory
	lock sync.Mutex
}

func (c *lockedCache) Lock(context.Context, string, string) (func() error, error) {
	for !c.lock.TryLock() { // a mutex would not block durably
		time.Sleep(time.Millisecond)
	}
	return func() error { c.lock.Unlock(); return nil }, nil
}

// A token is renewed before its end, when it is refused, and not again and again
// for one mailbox that it does not open.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		s, b := signedIn(t, nil)
		tokens := b.For("anna@example.com")
		take := func(refused mailproof.Secret) mailproof.Secret {
			t.Helper()
			token, err := tokens.Token(ctx, refused)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}
		first := take(mailproof.Secret{})
		time.Sleep(54 * time.Minute)
		if take(mailproof.Secret{}) != first {
			t.Error("renewed with six minutes left")
		}
		time.Sleep(2 * time.Minute)
		second := take(mailproof.Secret{})
		if second == first {
			t.Error("not renewed with four minutes left")
		}
		third := take(second)
		if third == second || s.Refreshes() != 2 {
			t.Errorf("a refused token was not renewed: %d refreshes", s.Refreshes())
		}
		if take(third) != third || s.Refreshes() != 2 {
			t.Errorf("renewed again for a mailbox that is refused: %d refreshes", s.Refreshes())
		}
		if take(second) != third { // by a connection that still had the old one
			t.Error("an old token's refusal costs the new one")
		}
		time.Sleep(2 * time.Minute)
		if take(third) == third {
			t.Error("never renewed again")
		}
	})
}

// A cancelled caller does not lose the refresh token that is on its way.
func TestCancelledRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := signedIn(t, nil)
		time.Sleep(time.Hour)
		s.Change(func(s *authtest.Server) { s.Throttle = 1 })
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := b.For("anna@example.com").Token(ctx, mailproof.Secret{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		token, err := b.For("anna@example.com").Token(context.Background(), mailproof.Secret{})
		if _, ok := s.Valid(token.Reveal()); err != nil || !ok || s.Refreshes() != 1 {
			t.Errorf("valid %v, %d refreshes, error %v", ok, s.Refreshes(), err)
		}
	})
}

func TestRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := signedIn(t, nil)
		old := b.holder("anna@example.com").grant
		s.Revoke()
		time.Sleep(time.Hour)
		_, err := b.For("anna@example.com").Token(context.Background(), mailproof.Secret{})
		var e *Error
		if !errors.As(err, &e) || e.Code != "invalid_grant" || !strings.Contains(e.Hint, "mailproof credentials login test") || e.Temporary() {
			t.Fatalf("error %#v", err)
		}
		// The server repeats the token; we do not.
		if strings.Contains(err.Error(), old.Refresh) || !strings.Contains(err.Error(), mailproof.SecretMask) {
			t.Errorf("error %v", err)
		}
		asked := len(s.Requests())
		if _, err := b.For("anna@example.com").Token(context.Background(), mailproof.Secret{}); err == nil || len(s.Requests()) != asked {
			t.Errorf("asked again: %v", err)
		}
	})
}

func TestThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := signedIn(t, nil)
		time.Sleep(time.Hour)
		s.Change(func(s *authtest.Server) { s.Throttle = 3 })
		started := time.Now()
		if _, err := b.For("anna@example.com").Token(context.Background(), mailproof.Secret{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(started); took != 21*time.Second {
			t.Errorf("took %v, want the three times 7 s that the server asked for", took)
		}
		time.Sleep(time.Hour)
		s.Change(func(s *authtest.Server) { s.Throttle = 100 })
		_, err := b.For("anna@example.com").Token(context.Background(), mailproof.Secret{})
		var e *Error
		if !errors.As(err, &e) || !e.Temporary() {
			t.Errorf("error %v", err)
		}
		s.Change(func(s *authtest.Server) { s.Throttle = 0 })
		if _, err := b.For("anna@example.com").Token(context.Background(), mailproof.Secret{}); err != nil {
			t.Errorf("after the throttle: %v", err)
		}
	})
}

func TestAppOnly(t *testing.T) {
	ctx := context.Background()
	s := authtest.New(t)
	s.ClientSecret = "cl1ent-s3cret"
	set := settings(s)
	set.Flow, set.Scopes, set.ClientSecret = AppOnly, []string{"https://outlook.office365.com/.default"}, secretOf("cl1ent-s3cret")
	b := New(set)
	first, err := b.For("anna").Token(ctx, mailproof.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	if second, err := b.For("bob").Token(ctx, mailproof.Secret{}); err != nil || second != first || len(s.Requests()) != 1 {
		t.Errorf("%v, %d requests", err, len(s.Requests()))
	}
	if got := s.Requests()[0].Get("scope"); got != "https://outlook.office365.com/.default" {
		t.Errorf("scope %q", got)
	}
	set.ClientSecret = secretOf("wr0ng-s3cret")
	_, err = New(set).For("anna").Token(ctx, mailproof.Secret{})
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Hint, "Value of the secret") || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("error %v", err)
	}
	if _, err := b.Login(ctx, "anna", false, &browser{t: t}); err == nil || !strings.Contains(err.Error(), "the flow is app") {
		t.Errorf("sign-in of an application: %v", err)
	}
}

// certificateOf makes a key with its certificate, as PEM.
func certificateOf(t *testing.T) (text, thumbprint string, key *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(der)
	text = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	return text, base64.RawURLEncoding.EncodeToString(digest[:]), key
}

// An assertion is checked by the server to the last claim, and made again by the
// server's clock where ours is wrong.
func TestAppOnlyCertificate(t *testing.T) {
	text, thumbprint, key := certificateOf(t)
	for _, skew := range []time.Duration{0, 30 * time.Minute, -3 * time.Hour} {
		s := authtest.New(t)
		s.Key, s.Thumbprint, s.Skew = &key.PublicKey, thumbprint, skew
		set := settings(s)
		set.Flow, set.Certificate = AppOnly, secretOf(text)
		token, err := New(set).For("anna").Token(context.Background(), mailproof.Secret{})
		if _, ok := s.Valid(token.Reveal()); err != nil || !ok {
			t.Errorf("skew %v: %v", skew, err)
		}
		if s.Requests()[0].Get("client_secret") != "" {
			t.Error("a secret beside the assertion")
		}
		other, _, _ := certificateOf(t)
		set.Certificate = secretOf(other)
		_, err = New(set).For("anna").Token(context.Background(), mailproof.Secret{})
		if err == nil || !strings.Contains(err.Error(), "signature is wrong") || skew != 0 && !strings.Contains(err.Error(), "this machine's clock is") {
			t.Errorf("another key, skew %v: %v", skew, err)
		}
	}
}

func TestServiceAccount(t *testing.T) {
	ctx := context.Background()
	text, _, key := certificateOf(t)
	_, keyPEM, _ := strings.Cut(text, "-----END CERTIFICATE-----\n")
	s := authtest.New(t)
	s.Key, s.ServiceEmail, s.Users = &key.PublicKey, "mover@project.example", []string{"anna@example.com", "bob@example.com"}
	file, err := json.Marshal(map[string]string{"type": "service_account", "client_email": s.ServiceEmail, "private_key": keyPEM, "private_key_id": "k1"})
	if err != nil {
		t.Fatal(err)
	}
	set := settings(s)
	set.Flow, set.Account, set.Scopes = ServiceAccount, secretOf(string(file)), []string{"https://mail.google.com/"}
	b := New(set)
	for _, user := range s.Users {
		token, err := b.For(user).Token(ctx, mailproof.Secret{})
		if got, ok := s.Valid(token.Reveal()); err != nil || !ok || got != user {
			t.Errorf("%s: token of %q, %v", user, got, err)
		}
	}
	_, err = b.For("mallory@example.com").Token(ctx, mailproof.Secret{})
	var e *Error
	if !errors.As(err, &e) || e.Code != "unauthorized_client" || !strings.Contains(e.Hint, "Domain-wide delegation") {
		t.Errorf("error %v", err)
	}
	for name, text := range map[string]string{"no JSON": "x", "an OAuth client": `{"installed":{}}`, "type": `{"type":"authorized_user","client_email":"a","private_key":"b"}`, "no key": `{"client_email":"a","private_key":"s3cret-key"}`} {
		set.Account = secretOf(text)
		if _, err := New(set).For("anna").Token(ctx, mailproof.Secret{}); err == nil || strings.Contains(err.Error(), "s3cret-key") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A token for another resource is refused here, with its name, and not by the
// mail server without one.
func TestWrongAudience(t *testing.T) {
	for _, aud := range []string{"https://graph.microsoft.com", "https://outlook.office.com"} {
		s := authtest.New(t)
		s.ClientSecret, s.Audience, s.HMAC = "x", aud, []byte("k")
		set := Microsoft("example.com", AppOnly)
		set.Name, set.TokenURL, set.ClientID, set.ClientSecret = "m365", s.URL+"/token", "mailproof", secretOf("x")
		_, err := New(set).For("anna").Token(context.Background(), mailproof.Secret{})
		if wrong := strings.Contains(aud, "graph"); wrong != (err != nil) || wrong && !strings.Contains(err.Error(), "is for https://graph.microsoft.com and not for https://outlook.office.com") {
			t.Errorf("%s: %v", aud, err)
		}
	}
}

func TestNoRefreshToken(t *testing.T) {
	s := authtest.New(t)
	s.Raw = `{"access_token":"at-1","token_type":"Bearer","expires_in":3600}`
	set := settings(s)
	ui := &browser{t: t}
	_, err := New(set).Login(context.Background(), "anna", false, ui)
	ui.wg.Wait()
	if err == nil || !strings.Contains(err.Error(), "no refresh token") || strings.Contains(err.Error(), "at-1") {
		t.Errorf("error %v", err)
	}
}

// Nothing that a token endpoint says makes a token of what is none, or tells a
// secret.
func TestBadAnswers(t *testing.T) {
	for name, raw := range map[string]string{
		"no JSON": "<html>at-1</html>", "no token": `{"token_type":"Bearer"}`, "MAC": `{"access_token":"at-1","token_type":"mac"}`,
		"line": `{"access_token":"at-1\r\nA1 LOGOUT","token_type":"Bearer"}`, "error with 200": `{"error":"invalid_client","error_description":"s3cret is wrong"}`,
		"huge": `{"access_token":"` + strings.Repeat("a", 2<<20) + `"}`,
	} {
		s := authtest.New(t)
		s.Raw = raw
		set := settings(s)
		set.Flow, set.ClientSecret = AppOnly, secretOf("s3cret")
		_, err := New(set).For("anna").Token(context.Background(), mailproof.Secret{})
		if err == nil || strings.Contains(err.Error(), "at-1") || strings.Contains(err.Error(), "s3cret") || len(err.Error()) > 1000 {
			t.Errorf("%s: %v", name, err)
		}
	}
	set := Settings{Name: "gone", Flow: AppOnly, TokenURL: "http://127.0.0.1:1/token?x=s3cret", ClientSecret: secretOf("s3cret")}
	_, err := New(set).For("anna").Token(context.Background(), mailproof.Secret{})
	var e *Error
	if !errors.As(err, &e) || !e.Temporary() || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("nobody there: %v", err)
	}
}

// caches are those that outlive a process; each call opens it anew.
func caches(t *testing.T) map[string]func() Cache {
	path := filepath.Join(t.TempDir(), "tokens.age")
	locks := t.TempDir()
	return map[string]func() Cache{
		"keyring": func() Cache { return &Keyring{LockDir: locks} },
		"age": func() Cache {
			f := NewAgeFile(path, secretOf("pass phrase"))
			f.work = 10
			return f
		},
		"age identity": func() Cache {
			return NewAgeFile(path+"2", secretOf("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"))
		},
	}
}

func TestCaches(t *testing.T) {
	ctx := context.Background()
	for name, open := range caches(t) {
		t.Run(name, func(t *testing.T) {
			if g, err := open().Load(ctx, "m365", "anna"); err != nil || g.Refresh != "" {
				t.Fatalf("%v %v", g, err)
			}
			now := time.Now().Truncate(time.Second)
			want := Grant{Access: "at", Refresh: "rt", Expiry: now.Add(time.Hour), Obtained: now}
			for _, key := range []string{"anna", "bob"} {
				if err := open().Store(ctx, "m365", key, want); err != nil {
					t.Fatal(err)
				}
			}
			got, err := open().Load(ctx, "m365", "anna")
			if err != nil || got.Access != "at" || got.Refresh != "rt" || !got.Expiry.Equal(want.Expiry) {
				t.Errorf("%#v %v", got, err)
			}
			list, err := open().List(ctx)
			if err != nil || len(list) != 2 || list[0].Key != "anna" || !list[0].Refresh {
				t.Errorf("%v %v", list, err)
			}
			found, err := open().Delete(ctx, "m365", "anna")
			if err != nil || !found {
				t.Errorf("%v %v", found, err)
			}
			if found, err := open().Delete(ctx, "m365", "anna"); err != nil || found {
				t.Errorf("deleted twice: %v %v", found, err)
			}
			if list, err := open().List(ctx); err != nil || len(list) != 1 {
				t.Errorf("%v %v", list, err)
			}
			unlock, err := open().Lock(ctx, "m365", "bob")
			if err != nil {
				t.Fatal(err)
			}
			short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			if _, err := open().Lock(short, "m365", "bob"); err == nil {
				t.Error("locked twice")
			}
			if err := unlock(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAgeFileSecrecy(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "tokens.age")
	f := NewAgeFile(path, secretOf("pass phrase"))
	f.work = 10
	if err := f.Store(ctx, "m365", "anna", Grant{Refresh: "rt-s3cret"}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	info, serr := os.Stat(path)
	if err != nil || serr != nil || info.Mode().Perm() != 0o600 || strings.Contains(string(data), "rt-s3cret") || strings.Contains(string(data), "anna") {
		t.Errorf("%v %v %v", err, serr, info.Mode())
	}
	if _, err := NewAgeFile(path, secretOf("another")).Load(ctx, "m365", "anna"); err == nil || !strings.Contains(err.Error(), "passphrase is wrong") || strings.Contains(err.Error(), "another") {
		t.Errorf("error %v", err)
	}
	if err := os.WriteFile(path, data[:len(data)-200], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewAgeFile(path, secretOf("pass phrase")).Load(ctx, "m365", "anna"); err == nil {
		t.Error("half a file was read")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, Grant{Access: "s3cret", Refresh: "s3cret"}); strings.Contains(text, "s3cret") {
			t.Errorf("%s: %s", verb, text)
		}
	}
}

// Processes that share a file share one refresh, too.
func TestAgeFileShared(t *testing.T) {
	s := authtest.New(t)
	path := filepath.Join(t.TempDir(), "tokens.age")
	open := func() *Broker {
		f := NewAgeFile(path, secretOf("pass phrase"))
		f.work = 10
		set := settings(s)
		set.Cache = f
		return New(set)
	}
	ui := &browser{t: t}
	if _, err := open().Login(context.Background(), "anna", false, ui); err != nil {
		t.Fatal(err)
	}
	ui.wg.Wait()
	token, err := open().For("anna").Token(context.Background(), mailproof.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	s.Withdraw()
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			fresh, err := open().For("anna").Token(context.Background(), token)
			if _, ok := s.Valid(fresh.Reveal()); err != nil || !ok {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if s.Refreshes() != 1 || s.Overlap {
		t.Errorf("%d refreshes, overlap %v", s.Refreshes(), s.Overlap)
	}
}

func TestKeys(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := parseKey(string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})))
	if err != nil || algorithm(key, algPS256) != algES256 {
		t.Fatalf("%v", err)
	}
	token, err := signJWT(algES256, map[string]any{}, map[string]any{"aud": []string{"a", "b"}, "scp": "x y", "exp": 4e9, "upn": "u"}, key)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	if !ecdsa.Verify(&ec.PublicKey, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		t.Error("the signature does not verify")
	}
	c, ok := ReadClaims(token)
	if !ok || len(c.Audience) != 2 || len(c.Scopes) != 2 || c.User != "u" || c.Expiry.IsZero() {
		t.Errorf("%+v %v", c, ok)
	}
	for _, bad := range []string{"", "no key", string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}))} {
		if _, _, err := parseKey(bad); err == nil {
			t.Errorf("%q is taken for a key", bad)
		}
	}
}

func FuzzClaims(f *testing.F) {
	f.Add(authtest.SignHS256([]byte("k"), map[string]any{"aud": "a", "scp": []string{"x"}, "exp": 1}))
	f.Add("a.e30.c")
	f.Fuzz(func(t *testing.T, token string) {
		if _, ok := ReadClaims(token); ok && strings.Count(token, ".") != 2 {
			t.Fatal("claims of what is no JWT")
		}
	})
}

func FuzzTokenAnswer(f *testing.F) {
	f.Add(200, "application/json", `{"access_token":"at","expires_in":"3600"}`)
	f.Add(400, "application/json", `{"error":"invalid_grant","error_description":"s3cret-refresh"}`)
	f.Add(200, "text/plain", `access_token=at&expires_in=1`)
	f.Add(302, "", "x")
	f.Fuzz(func(t *testing.T, status int, kind, body string) {
		if status < 200 || status > 599 || status == 429 || status == 503 {
			return
		}
		set := Settings{Name: "f", TokenURL: "https://auth.example/token", Flow: Delegated}
		set.Client = inMemory{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})}
		b := New(set)
		g, err := b.refresh(context.Background(), "anna", Grant{Refresh: "s3cret-refresh"})
		if err == nil && (g.Access == "" || strings.ContainsAny(g.Access, "\r\n\x00\x01 ")) {
			t.Fatalf("access token %q", g.Access)
		}
		if err != nil && (strings.Contains(err.Error(), "s3cret-refresh") || strings.ContainsAny(err.Error(), "\r\n\x1b")) {
			t.Fatalf("error %q", err)
		}
	})
}
