package imapmem_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	mailproof "github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/imapmem"
)

func started(t *testing.T, o imapmem.Options) *imapmem.Server {
	t.Helper()
	s := imapmem.New(o)
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Start(t.Context(), mailproof.Plaintext); err != nil {
		t.Fatal(err)
	}
	return s
}

// A server that takes tokens only, by both mechanisms, and says why it will not
// have one.
func TestTokens(t *testing.T) {
	for _, mechanism := range []string{"XOAUTH2", "OAUTHBEARER"} {
		o := imapmem.ExchangeLike(0)
		o.Hide = append(o.Hide, "AUTH=PLAIN", "LOGIN")
		o.Tokens = func(user, token string) error {
			if token != "good-of-"+user {
				return errors.New("wrong token")
			}
			return nil
		}
		s := started(t, o)
		s.AddAccount("anna@example.com", "pw")
		ep := s.Endpoint("anna@example.com")
		ep.Auth = mechanism
		r, err := imapconn.DialReader(t.Context(), imapconn.Config{Endpoint: ep, Password: mailproof.NewSecret("good-of-anna@example.com")})
		if err != nil {
			t.Fatalf("%s: %v", mechanism, err)
		}
		if got := r.Server().Mechanism; got != mechanism {
			t.Errorf("signed in by %s, want %s", got, mechanism)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := imapconn.DialReader(t.Context(), imapconn.Config{Endpoint: ep, Password: mailproof.NewSecret("bad")}); mailproof.KindOf(err) != mailproof.ErrAuth {
			t.Errorf("%s with a wrong token: %v", mechanism, err)
		}
		ep.Auth = ""
		if _, err := imapconn.DialReader(t.Context(), imapconn.Config{Endpoint: ep, Password: mailproof.NewSecret("pw")}); err == nil {
			t.Error("a password opened an account that takes tokens only")
		}
	}
}

// A refusal of the sign-in in the server's own words; a throttle that ends the
// connection; labels that share a number.
func TestProviderBehaviours(t *testing.T) {
	o := imapmem.GmailLike()
	o.OnSignIn = func(user string) error {
		if user == "locked" {
			return errors.New("[ALERT] Account is locked")
		}
		return nil
	}
	throttled := true
	o.OnCommand = func(_, command string) error {
		if command == "EXAMINE" && throttled {
			throttled = false
			return &imapmem.ByeError{Reply: "Request is throttled. Suggested Backoff Time: 20 milliseconds"}
		}
		return nil
	}
	s := started(t, o)
	s.AddAccount("locked", "pw")
	a := s.AddAccount("anna", "pw")
	uid := a.Append("INBOX", []byte("Subject: a\r\n\r\nb\r\n"), nil, time.Unix(1e9, 0))
	if err := a.Label("INBOX", uid, "Work", "[Gmail]/All Mail"); err != nil {
		t.Fatal(err)
	}
	if x, y := a.Messages("INBOX")[0], a.Messages("Work")[0]; x.GmailID != y.GmailID || x.GmailID == 0 {
		t.Errorf("%d and %d", x.GmailID, y.GmailID)
	}
	if err := a.Label("INBOX", 99, "Work"); err == nil {
		t.Error("a message that is not there was labelled")
	}
	if _, err := imapconn.DialReader(t.Context(), imapconn.Config{Endpoint: s.Endpoint("locked"), Password: mailproof.NewSecret("pw")}); err == nil || !strings.Contains(err.Error(), "Account is locked") {
		t.Errorf("locked: %v", err)
	}
	r, err := imapconn.DialReader(t.Context(), imapconn.Config{Endpoint: s.Endpoint("anna"), Password: mailproof.NewSecret("pw")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	// The client waits as it was told, and dials again.
	if state, err := r.Examine(t.Context(), "Work"); err != nil || state.Exists != 1 || throttled {
		t.Errorf("%+v, %v", state, err)
	}
}
