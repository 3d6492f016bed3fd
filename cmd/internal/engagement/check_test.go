package engagement

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/provider"
	"github.com/mailproof/mailproof/diff"
)

func TestClockOffset(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for greeting, want := range map[string]time.Duration{
		"imap.example IMAP4rev1 at Sat, 21 Nov 2026 12:05:00 +0000 (UTC)": 5 * time.Minute,
		"ready 21 Nov 2026 11:00:00 GMT":                                  -time.Hour,
		"ready Sat, 21 Nov 2026 13:00:00 +0100":                           0,
	} {
		if got, ok := ClockOffset(greeting, now); !ok || got != want {
			t.Errorf("%q: %v, %v, want %v", greeting, got, ok, want)
		}
	}
	for _, greeting := range []string{"", "Dovecot ready.", "version 21 Nov 2026", "99 Nov 2026 99:99:99 GMT"} {
		if got, ok := ClockOffset(greeting, now); ok {
			t.Errorf("%q: %v", greeting, got)
		}
	}
}

// The daily quota of a provider, and not the line, decides where it is the
// narrower of the two.
func TestEstimate(t *testing.T) {
	gmail := mailproof.ServerInfo{Address: "imap.gmail.com:993"}
	account := func(octets int64, src, dst mailproof.ServerInfo) AccountCheck {
		return AccountCheck{Account: "anna", Source: SideCheck{Octets: octets, Messages: 10, Rate: 1e6, Server: src}, Destination: SideCheck{Server: dst}}
	}
	for _, tt := range []struct {
		name     string
		checks   []AccountCheck
		parallel int
		took     time.Duration
		days     int
		text     string
	}{
		{"nothing", nil, 4, 0, 0, "0 messages, 0 B"},
		{"one account is one lane", []AccountCheck{account(1e9, mailproof.ServerInfo{}, mailproof.ServerInfo{})}, 4, 3000 * time.Second, 0, "8.00 Mbit/s"},
		{"the largest account decides", []AccountCheck{account(1e9, mailproof.ServerInfo{}, mailproof.ServerInfo{}), account(1e6, mailproof.ServerInfo{}, mailproof.ServerInfo{})}, 4, 3000 * time.Second, 0, ""},
		{"from Gmail", []AccountCheck{account(6e9, gmail, mailproof.ServerInfo{})}, 4, 18000 * time.Second, 5, "at least 5 days by quota (anna: Gmail and Google Workspace lets go 2.50 GB a day"},
		{"to Gmail", []AccountCheck{account(6e9, mailproof.ServerInfo{}, gmail)}, 4, 18000 * time.Second, 12, "takes 500 MB a day"},
	} {
		f := Options{Parallel: tt.parallel}.Estimate(tt.checks)
		if f.Took != tt.took || f.Days != tt.days || !strings.Contains(f.String(), tt.text) {
			t.Errorf("%s: %+v: %s", tt.name, f, f)
		}
	}
}

// fakeLister is a source of which only the lists matter.
type fakeLister struct {
	info mailproof.ServerInfo
	ids  map[string][]uint64
	open string
	fail string // the folder that does not open
}

func (f *fakeLister) Server() mailproof.ServerInfo { return f.info }
func (f *fakeLister) Mailboxes(context.Context) ([]mailproof.Mailbox, error) {
	var out []mailproof.Mailbox
	for _, name := range []string{"INBOX", "Work", "[Gmail]/All Mail", "[Gmail]/Important", "[Gmail]/Starred", "[Gmail]/Trash"} {
		if _, ok := f.ids[name]; ok {
			out = append(out, mailproof.Mailbox{Name: name, Separator: "/"})
		}
	}
	return out, nil
}
func (f *fakeLister) Examine(_ context.Context, name string) (mailproof.MailboxState, error) {
	if name == f.fail {
		return mailproof.MailboxState{}, &mailproof.ServerError{Kind: mailproof.ErrNoMailbox}
	}
	f.open = name
	return mailproof.MailboxState{}, nil
}
func (f *fakeLister) Metadata(_ context.Context, yield func(mailproof.Metadata) error) error {
	for i, id := range f.ids[f.open] {
		if err := yield(mailproof.Metadata{UID: mailproof.UID(i + 1), GmailID: id}); err != nil {
			return err
		}
	}
	return nil
}

// A view stays behind only where each of its messages was seen in a folder that
// goes along.
func TestOmitViews(t *testing.T) {
	gmail := mailproof.ServerInfo{Address: "imap.gmail.com:993"}
	for _, tt := range []struct {
		name    string
		ids     map[string][]uint64
		exclude []string
		maps    []string
		fail    string
		out     string // folders that stay behind
		kept    string
	}{
		{"all seen elsewhere", map[string][]uint64{"INBOX": {1, 2}, "Work": {3}, "[Gmail]/All Mail": {1, 2, 3}, "[Gmail]/Starred": {2}, "[Gmail]/Important": {}}, nil, nil, "", "[Gmail]/All Mail [Gmail]/Important [Gmail]/Starred", ""},
		{"one archived", map[string][]uint64{"INBOX": {1}, "[Gmail]/All Mail": {1, 9}, "[Gmail]/Starred": {9}}, nil, nil, "", "[Gmail]/Starred", "[Gmail]/All Mail 1"},
		{"no numbers", map[string][]uint64{"INBOX": {0}, "[Gmail]/All Mail": {0}}, nil, nil, "", "", "[Gmail]/All Mail -1"},
		{"elsewhere is left out, too", map[string][]uint64{"INBOX": {}, "Work": {3}, "[Gmail]/All Mail": {3}}, []string{"Work"}, nil, "", "", "[Gmail]/All Mail 1"},
		{"asked for by name", map[string][]uint64{"INBOX": {1}, "[Gmail]/All Mail": {1}}, nil, []string{"[Gmail]/All Mail=Archive"}, "", "", ""},
		{"elsewhere does not open", map[string][]uint64{"INBOX": {1}, "Work": {3}, "[Gmail]/All Mail": {1, 3}}, nil, nil, "Work", "", "[Gmail]/All Mail 1"},
		{"the view does not open", map[string][]uint64{"INBOX": {1}, "[Gmail]/All Mail": {1}}, nil, nil, "[Gmail]/All Mail", "", "[Gmail]/All Mail -1"},
		{"in the bin only", map[string][]uint64{"INBOX": {}, "[Gmail]/Trash": {4}, "[Gmail]/Starred": {4}}, nil, nil, "", "[Gmail]/Starred", ""},
	} {
		e := &Engagement{Options: Options{Rules: Rules{Map: tt.maps, Exclude: tt.exclude}}}
		if err := e.parseRules(); err != nil {
			t.Fatal(err)
		}
		o, err := e.omit(t.Context(), "anna", &fakeLister{info: gmail, ids: tt.ids, fail: tt.fail})
		if err != nil {
			t.Fatal(err)
		}
		var out, kept []string
		boxes, _ := (&fakeLister{ids: tt.ids}).Mailboxes(t.Context())
		for _, m := range boxes {
			if _, gone := o.rules[m.Name]; gone {
				out = append(out, m.Name)
			}
		}
		for _, k := range o.kept {
			kept = append(kept, fmt.Sprintf("%s %d", k.Folder, k.Alone))
		}
		if strings.Join(out, " ") != tt.out || strings.Join(kept, " ") != tt.kept {
			t.Errorf("%s: out %q, kept %q", tt.name, out, kept)
		}
	}
	// With another provider, or none, nothing of the kind happens.
	e := &Engagement{Options: Options{Rules: Rules{SourceProvider: provider.None}}}
	if o, err := e.omit(t.Context(), "anna", &fakeLister{info: gmail, ids: map[string][]uint64{"[Gmail]/All Mail": {}}}); err != nil || len(o.rules) != 0 {
		t.Errorf("%v, %v", o, err)
	}
}

// What a row says of its own account comes before what is said of all.
func TestRulesOfAnAccount(t *testing.T) {
	e := &Engagement{Options: Options{Rules: Rules{
		Map: []string{"Old=Archive", "A=B"}, Exclude: []string{"Junk"}, Aliases: map[string]string{"x@example.com": "y@example.com", "z@example.com": "z1@example.com"},
		Accounts: map[string]AccountRules{"anna": {Map: []string{"Old=Elsewhere"}, Exclude: []string{"Own"}, Aliases: map[string]string{"x@example.com": "w@example.com"}, SourceProvider: "gmail"}},
	}}}
	if err := e.parseRules(); err != nil {
		t.Fatal(err)
	}
	boxes := []mailproof.Mailbox{{Name: "Old", Separator: "/"}, {Name: "A", Separator: "/"}, {Name: "Own", Separator: "/"}, {Name: "Junk", Separator: "/"}}
	for name, want := range map[string]string{"anna": "Elsewhere B  ", "bob": "Archive B Own "} {
		m, _ := diff.NewFolderMap(boxes, nil, e.rulesOf(name))
		var got []string
		for _, b := range boxes {
			target, _ := m.Target(b.Name)
			got = append(got, target)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if a := e.Rules.aliasesOf("anna"); a["x@example.com"] != "w@example.com" || len(a) != 2 || e.Rules.Aliases["x@example.com"] != "y@example.com" {
		t.Errorf("%v", a)
	}
	if p := e.Rules.providerOf("anna", mailproof.Source, mailproof.ServerInfo{}); p == nil || p.Name != "gmail" {
		t.Errorf("%v", p)
	}
	e.Rules.Accounts["bob"] = AccountRules{Map: []string{"no equals sign"}}
	if err := e.parseRules(); err == nil || !strings.Contains(err.Error(), "account bob") {
		t.Errorf("a bad rule of one account: %v", err)
	}
}

// An error is worded by what the server said, and keeps its words.
func TestRefusal(t *testing.T) {
	c := &checking{Engagement: &Engagement{}}
	a := Account{Account: mailproof.Account{Name: "anna", Source: mailproof.Endpoint{Host: "outlook.office365.com", Port: 993}}}
	err := &mailproof.ServerError{Kind: mailproof.ErrAuth, Server: "outlook.office365.com:993", Text: "User is authenticated but not connected."}
	got := c.refusal(a, mailproof.Source, &SideCheck{Err: fmt.Errorf("wrapped: %w", err)})
	if got.ID != "sign-in.not-connected" || got.Words != err.Text || !strings.Contains(got.Remedy(), "Exchange admin center") || !strings.Contains(got.Text, err.Text) {
		t.Errorf("%+v", got)
	}
	if got := c.refusal(a, mailproof.Source, &SideCheck{Err: errors.New("no password")}); got.Text != "source cannot be signed in to: no password" {
		t.Errorf("%+v", got)
	}
}

// What the destination refused is explained by its words, and a folder that a
// preset leaves out by the preset.
func TestWordsOfRefusals(t *testing.T) {
	got := wordsOf(reasonRefused).said(mailproof.Reason{Code: reasonRefused, Evidence: "destination: [TOOBIG] too big"})
	if !strings.Contains(got.meaning, "larger than the destination takes") || !strings.Contains(got.remedy, "raise the limit") {
		t.Errorf("%+v", got)
	}
	if plain := wordsOf(reasonRefused); plain.said(mailproof.Reason{Code: reasonRefused, Evidence: "destination: unheard of"}) != plain {
		t.Error("something was made of nothing")
	}
	got = wordsOf(diff.ReasonExcluded).said(mailproof.Reason{Code: diff.ReasonExcluded, Evidence: "provider gmail: views"})
	if !strings.Contains(got.remedy, "--source-provider none") {
		t.Errorf("%+v", got)
	}
}

// A server that takes fewer connections than are made says nothing about an
// account: it gets the time that it asks for, and every account is ready.
func TestCheckIsPatient(t *testing.T) {
	const accounts = 6
	var mu sync.Mutex
	asked := map[string]int{}
	w := newBetween(t, imapmem.Options{}, imapmem.Options{OnSignIn: func(user string) error {
		mu.Lock()
		defer mu.Unlock()
		if asked[user]++; asked[user]%2 == 1 {
			return errors.New("[UNAVAILABLE] Maximum number of connections from your IP exceeded")
		}
		return nil
	}})
	o := Options{Tool: "mailproof test", Parallel: accounts}
	for i := range accounts {
		a := w.options.Accounts[0]
		a.Name = fmt.Sprintf("anna%d", i)
		a.Source.User, a.Destination.User = a.Name, a.Name
		w.source.AddAccount(a.Name, "pw")
		w.destination.AddAccount(a.Name, "pw")
		o.Accounts = append(o.Accounts, a)
	}
	checks, err := o.Check(t.Context())
	if err != nil || len(checks) != accounts {
		t.Fatalf("%v, %d accounts", err, len(checks))
	}
	for _, c := range checks {
		if !c.Ready() {
			t.Errorf("%s: %q", c.Account, c.Problems)
		}
	}
	signIns, err := o.SignIns(t.Context(), mailproof.Destination)
	if err != nil || len(signIns) != accounts {
		t.Fatalf("%v, %d sign-ins", err, len(signIns))
	}
	for _, s := range signIns {
		if s.Err != nil || asked[s.Account] != 4 {
			t.Errorf("%s: %v, after %d sign-ins", s.Account, s.Err, asked[s.Account])
		}
	}
}
