package provider_test

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/provider"
)

// Every preset says where it comes from, when that was looked at, and how one
// signs in.
func TestPresets(t *testing.T) {
	want := []string{"gmail", "microsoft365", "exchange", "yahoo", "icloud", "fastmail", "zoho", "zimbra", "cpanel", "dovecot", "cyrus", "courier"}
	if got := provider.Names(); !slices.Equal(got, want) {
		t.Errorf("presets %q, want %q", got, want)
	}
	for _, p := range provider.All() {
		if p.Title == "" || p.Port == 0 || p.Security != "tls" || len(p.Auth) == 0 || p.Separator == "" {
			t.Errorf("%s is not whole: %+v", p.Name, p)
		}
		for _, s := range p.Sources {
			if !strings.HasPrefix(s.URL, "https://") || s.About == "" || !s.Checked.IsZero() && s.Checked.Before(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("%s: source %+v", p.Name, s)
			}
		}
		// One name stands for one use, and no folder with mail in it is left out.
		uses := map[string]mailproof.SpecialUse{}
		for _, s := range p.Special {
			for _, n := range s.Names {
				if other, twice := uses[strings.ToLower(n)]; twice && other != s.Use {
					t.Errorf("%s: %q is %s and %s", p.Name, n, other, s.Use)
				}
				uses[strings.ToLower(n)] = s.Use
				if o, out := p.Omitted(box(n, "/")); out && o.Use != s.Use {
					t.Errorf("%s: %q is %s and left out: %s", p.Name, n, s.Use, o.Why)
				}
			}
		}
		if got, ok := provider.Lookup(strings.ToUpper(p.Name)); !ok || got != p {
			t.Errorf("%s is not found by its name", p.Name)
		}
		if p.Host != "" && provider.ByHost(p.Host) != p {
			t.Errorf("%s is not recognised by its own host", p.Name)
		}
	}
	for _, name := range []string{"o365", "Google", "auto", "none", ""} {
		if err := provider.CheckName(name); err != nil {
			t.Error(err)
		}
	}
	if err := provider.CheckName("gmial"); err == nil || !strings.Contains(err.Error(), "gmail") {
		t.Errorf("a name that is not known: %v", err)
	}
}

func TestRecognise(t *testing.T) {
	for _, tt := range []struct {
		name string
		info mailproof.ServerInfo
		want string
	}{
		{"host", mailproof.ServerInfo{Address: "imap.gmail.com:993"}, "gmail"},
		{"host in capitals, with a dot", mailproof.ServerInfo{Address: "IMAP.GMAIL.COM.:993"}, "gmail"},
		{"capability", mailproof.ServerInfo{Address: "127.0.0.1:993", Capabilities: []string{"IMAP4rev1", "X-GM-EXT-1"}}, "gmail"},
		{"Microsoft 365", mailproof.ServerInfo{Address: "outlook.office365.com:993", Greeting: "The Microsoft Exchange IMAP4 service is ready. [TABA]"}, "microsoft365"},
		{"hosted Exchange", mailproof.ServerInfo{Address: "mail.example.com:993", Greeting: "The Microsoft Exchange IMAP4 service is ready."}, "exchange"},
		{"Dovecot", mailproof.ServerInfo{Address: "mail.example.com:143", Greeting: "Dovecot (Debian) ready."}, "dovecot"},
		{"Cyrus by ID", mailproof.ServerInfo{Address: "[::1]:993", Greeting: "ready", ID: "Cyrus IMAPD 3.6.1"}, "cyrus"},
		{"Courier", mailproof.ServerInfo{Address: "mail.example.com:993", Greeting: "Courier-IMAP ready. Copyright 1998-2022 Double Precision, Inc."}, "courier"},
		{"Zimbra", mailproof.ServerInfo{Address: "mail.example.com:993", Greeting: "mail.example.com Zimbra IMAP4rev1 server ready"}, "zimbra"},
		{"Yahoo", mailproof.ServerInfo{Address: "imap.mail.yahoo.com:993"}, "yahoo"},
		{"iCloud", mailproof.ServerInfo{Address: "p02-imap.mail.me.com:993"}, "icloud"},
		{"Fastmail", mailproof.ServerInfo{Address: "imap.fastmail.com:993", Greeting: "IMAP4 ready"}, "fastmail"},
		{"Zoho elsewhere", mailproof.ServerInfo{Address: "imappro.zoho.eu:993"}, "zoho"},
		{"a name that only ends alike", mailproof.ServerInfo{Address: "imap.notgmail.com:993"}, ""},
		{"nobody", mailproof.ServerInfo{Address: "mail.example.com:993", Greeting: "IMAP4rev1 ready"}, ""},
	} {
		p, why := provider.Recognise(tt.info)
		got := ""
		if p != nil {
			got = p.Name
		}
		if got != tt.want || (why == "") != (p == nil) {
			t.Errorf("%s: %q by %q, want %q", tt.name, got, why, tt.want)
		}
	}
	gmail := mailproof.ServerInfo{Address: "imap.gmail.com:993"}
	if provider.Choose(provider.None, gmail) != nil || provider.Choose("zoho", gmail).Name != "zoho" || provider.Choose("", gmail).Name != "gmail" {
		t.Error("a setting does not come before what is recognised")
	}
}

func box(name, separator string) mailproof.Mailbox {
	return mailproof.Mailbox{Name: name, Separator: separator}
}

func TestAnnotate(t *testing.T) {
	exchange, _ := provider.Lookup("exchange")
	boxes := []mailproof.Mailbox{box("INBOX", "/"), box("Gesendete Elemente", "/"), box("Projekte/Entwürfe", "/"), box("Entwu\u0308rfe", "/"), box("Archiv", "/"), box("Archive", "/")}
	got := exchange.Annotate(mailproof.Source, boxes)
	for i, want := range []mailproof.SpecialUse{"", mailproof.UseSent, "", mailproof.UseDrafts, "", ""} { // of two archives neither is the one
		if got[i].SpecialUse != want {
			t.Errorf("%s: %q, want %q", got[i].Name, got[i].SpecialUse, want)
		}
	}
	if boxes[1].SpecialUse != "" {
		t.Error("the list was changed in place")
	}
	// What is announced stands.
	announced := box("Postausgang 2", "/")
	announced.SpecialUse = mailproof.UseSent
	if got := exchange.Annotate(mailproof.Source, []mailproof.Mailbox{announced, box("Sent Items", "/")}); got[1].SpecialUse != "" {
		t.Error("a second folder became \\Sent")
	}

	gmail, _ := provider.Lookup("gmail")
	sent := box("[Gmail]/Gesendet", "/")
	got = gmail.Annotate(mailproof.Source, []mailproof.Mailbox{sent, box("Work/Sent Mail", "/")})
	if got[0].SpecialUse != mailproof.UseSent || strings.Join(got[0].Path(), "/") != "Gesendet" || got[1].Prefix != "" {
		t.Errorf("%+v", got)
	}
	if got := gmail.Annotate(mailproof.Destination, []mailproof.Mailbox{sent}); got[0].Prefix != "" {
		t.Error("the destination's namespace was changed")
	}
	var none *provider.Provider
	if got := none.Annotate(mailproof.Source, boxes); len(got) != len(boxes) {
		t.Error("no provider, and something happened")
	}
}

func TestOmitted(t *testing.T) {
	all := box("Alle Mails", "/")
	all.SpecialUse = mailproof.UseAll
	for _, tt := range []struct {
		provider string
		box      mailproof.Mailbox
		want     bool
		verified bool
	}{
		{"gmail", all, true, true},
		{"gmail", box("[Gmail]/Tous les messages", "/"), true, true},
		{"gmail", box("[Gmail]/Important", "/"), true, true},
		{"gmail", box("[Gmail]/Sent Mail", "/"), false, false},
		{"gmail", box("Important", "/"), false, false}, // a label of the user's own
		{"exchange", box("Kalender", "/"), true, false},
		{"exchange", box("Kalender/Geburtstage", "/"), true, false},
		{"exchange", box("Kalenderwochen", "/"), false, false},
		{"exchange", box("Kunden/Kontakte", "/"), false, false},
		{"exchange", box("INBOX", "/"), false, false},
		{"microsoft365", box("Sync Issues/Conflicts", "/"), true, false},
		{"dovecot", box("Calendar", "/"), false, false},
	} {
		p, _ := provider.Lookup(tt.provider)
		o, got := p.Omitted(tt.box)
		if got != tt.want || o.Verified != tt.verified || got && !strings.HasPrefix(p.Rule(o), "provider "+tt.provider+": ") {
			t.Errorf("%s %q: %v %+v", tt.provider, tt.box.Name, got, o)
		}
	}
}

func TestRefusesName(t *testing.T) {
	for _, tt := range []struct{ provider, name, want string }{
		{"cyrus", `50% off`, `holds "%"`},
		{"exchange", "Kalender", "reserved"},
		{"exchange", "Archiv/Kalender", ""},
		{"gmail", "[Gmail]/Mine", "reserved"},
		{"dovecot", strings.Repeat("x", 256), "256 octets"},
		{"dovecot", strings.Repeat("x", 255) + "/" + strings.Repeat("y", 255), ""},
		{"courier", "INBOX." + strings.Repeat("x", 195), "201 octets"},
		{"dovecot", "INBOX", ""},
	} {
		p, _ := provider.Lookup(tt.provider)
		got := p.RefusesName(box(tt.name, "/"), false)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s %.40q: %q, want %q", tt.provider, tt.name, got, tt.want)
		}
		if p.RefusesName(box(tt.name, "/"), true) != "" {
			t.Errorf("%s refuses what it has", tt.provider)
		}
	}
}

func TestTraits(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		want      []provider.Trait
	}{
		{"in order", "Subject: a\r\nTo:\r\n b\r\n\r\nbody\r\n", nil},
		{"empty", "", []provider.Trait{provider.Empty}},
		{"bare LF", "A: b\n\nc\r\n", []provider.Trait{provider.BareLF}},
		{"lone CR", "A: b\r\n\r\nc\rd\r\n", []provider.Trait{provider.LoneCR}},
		{"lone CR at the end", "A: b\r\n\r\nc\r", []provider.Trait{provider.LoneCR}},
		{"NUL", "A: b\r\n\r\n\x00", []provider.Trait{provider.NUL}},
		{"8 bit in the header", "Subject: \xe4\r\n\r\n", []provider.Trait{provider.EightBitHeader}},
		{"8 bit in the body", "Subject: a\r\n\r\n\xe4", nil},
		{"no header", "hello\r\n\r\n", []provider.Trait{provider.NoHeader}},
		{"an mbox line", "From me\r\nA: b\r\n\r\n", nil},
	} {
		for _, step := range []int{1, 2, 1000} {
			var x provider.Inspector
			for chunk := range slices.Chunk([]byte(tt.raw), step) {
				if n, err := x.Write(chunk); n != len(chunk) || err != nil {
					t.Fatal(n, err)
				}
			}
			if got := x.Traits(); !slices.Equal(got, tt.want) {
				t.Errorf("%s, %d at a time: %q, want %q", tt.name, step, got, tt.want)
			}
		}
	}
}

// What servers have been seen to say, and what it is taken for.
var said = []struct {
	provider, words string
	kind            mailproof.ErrorKind
	id              string
}{
	{"microsoft365", "Request is throttled. Suggested Backoff Time: 299961 milliseconds", mailproof.ErrThrottled, "throttled.backoff"},
	{"gmail", "[ALERT] Too many simultaneous connections. (Failure)", mailproof.ErrThrottled, "throttled.connections"},
	{"dovecot", "[UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", mailproof.ErrThrottled, "throttled.connections"},
	{"gmail", "[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)", mailproof.ErrThrottled, "throttled.daily"},
	{"microsoft365", "User is authenticated but not connected.", mailproof.ErrAuth, "sign-in.not-connected"},
	{"", "User is authenticated but not connected.", mailproof.ErrAuth, "sign-in.not-connected"},
	{"microsoft365", "Session invalidated - AccessTokenExpired", mailproof.ErrConnection, "sign-in.token-expired"},
	{"microsoft365", "Maximum size of appendable message has been exceeded.", mailproof.ErrTooLarge, "message.too-large"},
	{"microsoft365", "Command Argument Error. 11", mailproof.ErrRefused, "message.refused"},
	{"microsoft365", "Folder name is reserved.", mailproof.ErrRefused, "folder.reserved"},
	{"gmail", "[ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)", mailproof.ErrAuth, "sign-in.app-password"},
	{"gmail", "[ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)", mailproof.ErrAuth, "sign-in.web-browser"},
	{"gmail", "[ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable your account for IMAP access. (Failure)", mailproof.ErrAuth, "sign-in.imap-off"},
	{"gmail", "[AUTHENTICATIONFAILED] Invalid credentials (Failure)", mailproof.ErrAuth, "sign-in.refused"},
	{"microsoft365", "AUTHENTICATE failed.", mailproof.ErrAuth, "sign-in.basic-off"},
	{"exchange", "LOGIN failed.", mailproof.ErrAuth, "sign-in.service-off"},
	{"exchange", "Server Unavailable. 15", mailproof.ErrRefused, "server.unavailable"},
	{"yahoo", "[AUTHENTICATIONFAILED] AUTHENTICATE Invalid credentials", mailproof.ErrAuth, "sign-in.app-password"},
	{"icloud", "[AUTHENTICATIONFAILED] Authentication failed", mailproof.ErrAuth, "sign-in.app-password"},
	{"fastmail", "[AUTHENTICATIONFAILED] Incorrect username or password", mailproof.ErrAuth, "sign-in.app-password"},
	{"zoho", "[ALERT] You are yet to enable IMAP for your account. Please contact your administrator (Failure)", mailproof.ErrAuth, "sign-in.imap-off"},
	{"zoho", "[AUTHENTICATIONFAILED] Invalid credentials(Failure)", mailproof.ErrAuth, "sign-in.app-password"},
	{"dovecot", "[AUTHENTICATIONFAILED] Authentication failed.", mailproof.ErrAuth, "sign-in.refused"},
	{"cyrus", "authentication failure", mailproof.ErrAuth, "sign-in.refused"},
	{"courier", "Login failed.", mailproof.ErrAuth, "sign-in.refused"},
	{"", "[UNAVAILABLE] Temporary authentication failure.", mailproof.ErrAuth, "sign-in.temporary"},
	{"", "[PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.", mailproof.ErrAuth, "sign-in.privacy"},
	{"", "[EXPIRED] Password expired", mailproof.ErrAuth, "sign-in.password-expired"},
	{"dovecot", "[AUTHENTICATIONFAILED] User disabled", mailproof.ErrAuth, "sign-in.locked"},
	{"", "[AUTHORIZATIONFAILED] not allowed", mailproof.ErrAuth, "sign-in.no-right"},
	{"", "no way to sign in: the server offers GSSAPI", mailproof.ErrAuth, "sign-in.no-mechanism"},
	{"", "[LIMIT] UID FETCH Rate limit hit.", mailproof.ErrThrottled, "throttled.rate"},
	{"", "[INUSE] Mailbox in use", mailproof.ErrThrottled, "server.busy"},
	{"dovecot", "[OVERQUOTA] Quota exceeded (mailbox for user is full)", mailproof.ErrQuota, "quota.full"},
	{"", "[LIMIT] message content refused", mailproof.ErrRefused, "message.limit"},
	{"cyrus", "Message contains bare newlines", mailproof.ErrRefused, "message.refused"},
	{"cyrus", "Message contains NUL characters", mailproof.ErrRefused, "message.refused"},
	{"dovecot", "[CANNOT] Character not allowed in mailbox name: '.'", mailproof.ErrRefused, "folder.name"},
	{"", "Too many folders", mailproof.ErrRefused, "folder.limit"},
	{"dovecot", "[NONEXISTENT] Mailbox doesn't exist: Old", mailproof.ErrNoMailbox, "folder.gone"},
	{"", "[NOPERM] Permission denied", mailproof.ErrRefused, "folder.permission"},
	{"", "[CORRUPTION] index", mailproof.ErrRefused, "folder.damaged"},
	{"", "lookup no-such-host.invalid: no such host", mailproof.ErrUnknownHost, "network.name"},
	{"", "dial tcp 127.0.0.1:1: connect: connection refused", mailproof.ErrUnreachable, "network.port"},
	{"", "no answer in time", mailproof.ErrUnreachable, "network.silent"},
	{"", "the certificate is not for a.example but for b.example", mailproof.ErrTLS, "tls.name"},
	{"", "the certificate is signed by an authority that is not trusted here", mailproof.ErrTLS, "tls.authority"},
	{"", "the certificate expired on 2026-01-01", mailproof.ErrTLS, "tls.expired"},
	{"", "the server does not speak TLS on this port: first record", mailproof.ErrTLS, "tls.none"},
	{"", "remote error: tls: protocol version not supported", mailproof.ErrTLS, "tls.version"},
	{"", "PREAUTH", mailproof.ErrTLS, "tls.other"},
	{"", "the server closed the connection", mailproof.ErrConnection, "connection.cut"},
	{"", "a blank line", mailproof.ErrProtocol, "protocol.odd"},
}

func TestExplain(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range said {
		p, _ := provider.Lookup(tt.provider)
		a, ok := provider.Explain(tt.words, tt.kind, p)
		if !ok || a.ID != tt.id || a.Means == "" || a.Next == "" || a.Words != tt.words {
			t.Errorf("%s %q: %+v, want %s", tt.provider, tt.words, a, tt.id)
		}
		seen[tt.id] = true
	}
	for _, id := range provider.ReplyIDs() {
		if !seen[id] {
			t.Errorf("no example of %s", id)
		}
	}
	if a, ok := provider.Explain("an unheard-of thing", mailproof.ErrRefused, nil); ok {
		t.Errorf("something was made of nothing: %+v", a)
	}
}

func TestExplainError(t *testing.T) {
	// The host names the provider where nobody else does.
	err := &mailproof.ServerError{Kind: mailproof.ErrAuth, Server: "imap.gmail.com:993", Code: "AUTHENTICATIONFAILED", Text: "Invalid credentials (Failure)"}
	a, ok := provider.ExplainError(errors.Join(errors.New("x"), err), nil)
	if !ok || a.Provider != "gmail" || !strings.Contains(a.Remedy(), "App passwords") {
		t.Errorf("%+v", a)
	}
	err = &mailproof.ServerError{Kind: mailproof.ErrUnknownHost, Server: "nowhere.invalid:993", Err: &net.DNSError{Err: "no such host"}}
	if a, ok := provider.ExplainError(err, nil); !ok || a.ID != "network.name" {
		t.Errorf("%+v", a)
	}
	if _, ok := provider.ExplainError(errors.New("disk full"), nil); ok {
		t.Error("an error of no server was explained")
	}
}

func FuzzExplain(f *testing.F) {
	for _, s := range said {
		f.Add(s.words, uint8(s.kind), s.provider)
	}
	f.Fuzz(func(t *testing.T, words string, kind uint8, name string) {
		p, _ := provider.Lookup(name)
		a, ok := provider.Explain(words, mailproof.ErrorKind(kind), p)
		if ok != (a.ID != "") || ok && (a.Means == "" || a.Next == "") {
			t.Errorf("%q: %+v", words, a)
		}
		m := mailproof.Mailbox{Name: words, Separator: "/"}
		for _, p := range provider.All() {
			p.Use(m)
			p.Omitted(m)
			p.RefusesName(m, false)
			p.Annotate(mailproof.Source, []mailproof.Mailbox{m, m})
		}
		provider.Recognise(mailproof.ServerInfo{Address: words, Greeting: words, ID: words})
	})
}
