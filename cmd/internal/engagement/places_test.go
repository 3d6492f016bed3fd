package engagement

import (
	"errors"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// What a preset bounds is held to: of a login where the provider is known by
// its name or host before anybody signed in, or as soon as the server has said
// what it is; of a server over all accounts where it counts by address.
func TestPlaces(t *testing.T) {
	account := func(user, host string) Account {
		return Account{Account: mailproof.Account{Name: user, Source: mailproof.Endpoint{User: user, Host: host, Port: 993}}}
	}
	for _, tt := range []struct {
		name     string
		rules    Rules
		most     int // MaxConnections
		host     string
		greeting string // of the first sign-in
		accounts int
		want     int // connections that all of them get together, each asking for 30
	}{
		{name: "unknown", host: "imap.example", accounts: 2, want: 60},
		{name: "by host", host: "imap.mail.yahoo.com", accounts: 2, want: 10},
		{name: "by name", rules: Rules{SourceProvider: "yahoo"}, host: "imap.example", accounts: 2, want: 10},
		{name: "by the name of the account", rules: Rules{Accounts: map[string]AccountRules{"a": {SourceProvider: "yahoo"}}}, host: "imap.example", accounts: 2, want: 35},
		{name: "none", rules: Rules{SourceProvider: "none"}, host: "imap.mail.yahoo.com", accounts: 2, want: 60},
		{name: "by greeting", host: "imap.example", greeting: "Dovecot ready.", accounts: 2, want: 20},
		{name: "of a server", host: "imap.example", greeting: "Courier-IMAP ready.", accounts: 2, want: 20},
		{name: "the user knows better", most: 40, host: "imap.example", greeting: "Courier-IMAP ready.", accounts: 2, want: 40},
		{name: "the user knows the server better", most: 40, host: "imap.example", greeting: "Dovecot ready.", accounts: 2, want: 40},
		{name: "and a service no better", most: 40, host: "imap.mail.yahoo.com", accounts: 2, want: 10},
		{name: "the narrower of both", most: 7, host: "imap.mail.yahoo.com", accounts: 2, want: 7},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &Engagement{Options: Options{Rules: tt.rules, MaxConnections: tt.most}}
			open := 0
			for i := range tt.accounts {
				a := account(string(rune('a'+i)), tt.host)
				ep := a.Endpoint(mailproof.Source)
				if tt.greeting != "" {
					e.recognised(a, mailproof.Source, e.placesOf(a, mailproof.Source, ep), mailproof.ServerInfo{Address: ep.Address(), Greeting: tt.greeting})
				}
				for range 30 {
					if _, ok := e.lines.tryEnterBoth(e.placesOf(a, mailproof.Source, ep)); ok {
						open++
					}
				}
			}
			if open != tt.want {
				t.Errorf("%d connections, want %d", open, tt.want)
			}
		})
	}
}

// A place that is left is free for the next one, on both counts.
func TestPlacesAreLeft(t *testing.T) {
	var l lines
	p := places{login: "anna", server: "imap.example", mostLogin: 1, mostServer: 1}
	for range 3 {
		leave, err := l.enterBoth(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := l.tryEnterBoth(p); ok {
			t.Fatal("a second connection where there is room for one")
		}
		other := places{login: "bob", server: p.server, mostServer: 1}
		if _, ok := l.tryEnterBoth(other); ok {
			t.Fatal("the server is full")
		}
		leave()
	}
}

type hinting struct{ error }

func (hinting) Hints() []string { return []string{"sign in once more"} }

// A failure is explained by the provider that was named, whatever the host.
func TestFailureHint(t *testing.T) {
	refused := &mailproof.ServerError{Kind: mailproof.ErrAuth, Server: "imap.example:993", Code: "AUTHENTICATIONFAILED", Text: "Invalid credentials"}
	var f failures
	f.add("anna", mailproof.Source, refused)
	f.add("bob", mailproof.Destination, refused)
	list := f.sorted(Rules{SourceProvider: "gmail"})
	if got := list[0].Hint(); !strings.Contains(got, "Google") {
		t.Errorf("at Gmail: %s", got)
	}
	if got := list[1].Hint(); strings.Contains(got, "Google") || got == "" {
		t.Errorf("elsewhere: %s", got)
	}
	if got := (Failure{Err: hinting{errors.New("the token was withdrawn")}}).Hint(); got != "sign in once more" {
		t.Errorf("of OAuth: %s", got)
	}
}

// What the room that failed says to do is what check says.
func TestRefusalOfTokens(t *testing.T) {
	c := &checking{Engagement: &Engagement{}}
	got := c.refusal(Account{}, mailproof.Source, &SideCheck{Err: hinting{errors.New("oauth:m365: refresh the token: invalid_grant")}})
	if got.Next != "sign in once more" || strings.Contains(got.Text, "reached") || !strings.Contains(got.Text, "invalid_grant") {
		t.Errorf("%+v", got)
	}
}
