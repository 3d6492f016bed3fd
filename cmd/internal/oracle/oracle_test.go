package oracle

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"

	mailproof "github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/mailgen"
)

// generated is an account as Read must find it on a server that keeps octets.
func generated(a *mailgen.Account, c *Conn, o Options) *Account {
	out := &Account{Separator: c.Separator, Prefix: c.Prefix, Folders: map[string]*Folder{}}
	for _, f := range a.Folders {
		folder := &Folder{Name: c.Name(f.Path...)}
		for i, m := range f.Messages {
			raw := m.Raw
			if o.Normalise {
				raw = Normalise(raw)
			}
			folder.Messages = append(folder.Messages, Message{
				UID: uint32(i + 1), Body: sha256.Sum256(raw), MessageID: messageID(m.Raw), Size: len(m.Raw), Flags: flagSet(m.Flags), Date: m.Date,
			})
		}
		out.Folders[folder.Name] = folder
	}
	return out
}

func memory(t *testing.T, o imapmem.Options, security mailproof.Security) (*imapmem.Server, Login) {
	t.Helper()
	s := imapmem.New(o)
	if err := s.Start(t.Context(), security); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.AddAccount("anna", "pa\"ss\\word")
	l := Login{Addr: s.Addr(), User: "anna", Password: "pa\"ss\\word"}
	if security == mailproof.ImplicitTLS {
		pem, err := s.CA()
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		l.TLS = &tls.Config{RootCAs: pool, ServerName: "localhost"}
	}
	return s, l
}

func dial(t *testing.T, l Login) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, l Login, o Options) *Account {
	t.Helper()
	a, err := Read(t.Context(), l, o)
	must(t, err)
	return a
}

// What is filled in is what is read, through every kind of server.
func TestFillAndRead(t *testing.T) {
	for name, tt := range map[string]struct {
		options  imapmem.Options
		security mailproof.Security
	}{
		"plain":       {imapmem.Options{}, mailproof.Plaintext},
		"TLS":         {imapmem.Options{}, mailproof.ImplicitTLS},
		"prefix":      {imapmem.Options{Prefix: "INBOX.", Separator: "."}, mailproof.Plaintext},
		"no LITERAL+": {imapmem.Options{Hide: []string{"LITERAL+", "UIDPLUS", "NAMESPACE"}}, mailproof.Plaintext},
	} {
		t.Run(name, func(t *testing.T) {
			s, l := memory(t, tt.options, tt.security)
			a := mailgen.New(1).Account(mailgen.Profile{Messages: 200, Folders: 17, EmptyFolder: true})
			must(t, FillAccount(t.Context(), l, a))
			s.Account("anna").ResetActivity()
			got := read(t, l, Options{})
			if act := s.Account("anna").Activity(); act.Writes != 0 || act.Commands["SELECT"] != 0 {
				t.Errorf("reading wrote: %+v", act)
			}
			want := generated(a, dial(t, l), Options{})
			if r := Compare(want, got, nil); !r.Equal() || len(got.Folders) != len(want.Folders) {
				t.Error(r)
			}
			c := dial(t, l)
			if subscribed, err := c.Subscribed(); err != nil || len(subscribed) != 18 {
				t.Errorf("subscribed: %q, %v", subscribed, err)
			}
		})
	}
}

// Each planted disagreement is counted under its name, and nothing else is.
func TestPlanted(t *testing.T) {
	account := mailgen.New(2).Account(mailgen.Profile{Messages: 60, Folders: 3, NoOddities: true, Without: []mailgen.Kind{mailgen.NoMessageID}})
	letter := func(raw []byte) []byte { raw[len(raw)-10] ^= 1; return raw }
	for name, tt := range map[string]struct {
		plant func(c *Conn) error
		want  Counts
	}{
		"nothing":   {func(*Conn) error { return nil }, Counts{}},
		"removed":   {func(c *Conn) error { return c.Remove("Sent", 3, 5) }, Counts{Missing: 2}},
		"altered":   {func(c *Conn) error { return c.Alter("INBOX", 7, letter) }, Counts{Altered: 1}},
		"duplicate": {func(c *Conn) error { return c.Duplicate("INBOX", 7) }, Counts{Surplus: 1}},
		"moved":     {func(c *Conn) error { return c.Move("INBOX", 7, "Else where/Ä") }, Counts{Moved: 1}},
		"flags":     {func(c *Conn) error { return c.SetFlags("INBOX", "FLAGS", []string{"odd"}, 1, 2) }, Counts{Flags: 2}},
		"extra": {func(c *Conn) error {
			return c.Append("Sent", Outgoing{Raw: []byte("a: b\r\n\r\n")})
		}, Counts{Extra: 1}},
		"date": {func(c *Conn) error {
			m, err := c.fetch("Sent", 1)
			if err != nil {
				return err
			}
			m.Date = m.Date.AddDate(0, 0, 1)
			if err := c.Append("Sent", m); err != nil {
				return err
			}
			return c.Remove("Sent", 1)
		}, Counts{Dates: 1}},
		"folder": {func(c *Conn) error { return c.DeleteFolder("Sent") }, Counts{Missing: 20}},
		"no id": {func(c *Conn) error {
			return c.Alter("INBOX", 7, func(raw []byte) []byte { return bytes.Replace(raw, []byte("Message-ID"), []byte("X-ID"), 1) })
		}, Counts{Missing: 1, Extra: 1}},
		"copies": {func(c *Conn) error {
			if err := c.Duplicate("INBOX", 2); err != nil {
				return err
			}
			return c.Alter("INBOX", 2, letter) // the copy stays
		}, Counts{Extra: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			_, l := memory(t, imapmem.Options{}, mailproof.Plaintext)
			must(t, FillAccount(t.Context(), l, account))
			c := dial(t, l)
			must(t, tt.plant(c))
			r := Compare(generated(account, c, Options{}), read(t, l, Options{}), nil)
			got, identical := r.Counts, 60-tt.want.Missing-tt.want.Altered-tt.want.Moved
			if got.Identical != identical {
				t.Errorf("identical: %d, want %d", got.Identical, identical)
			}
			got.Identical = 0
			if got != tt.want || r.Equal() != (tt.want == Counts{}) {
				t.Errorf("%s\nwant %+v", r, tt.want)
			}
		})
	}
}

// The same holds with the copies on the source.
func TestCollapsed(t *testing.T) {
	m := Message{UID: 1, Body: sha256.Sum256([]byte("x"))}
	n := m
	n.UID = 2
	two := &Account{Folders: map[string]*Folder{"INBOX": {Name: "INBOX", Messages: []Message{m, n}}}}
	one := &Account{Folders: map[string]*Folder{"INBOX": {Name: "INBOX", Messages: []Message{m}}}}
	if r := Compare(two, one, nil); r.Counts != (Counts{Identical: 1, Collapsed: 1}) {
		t.Error(r)
	}
	if r := Compare(one, two, nil); r.Counts != (Counts{Identical: 1, Surplus: 1}) {
		t.Error(r)
	}
}

func TestMapNames(t *testing.T) {
	from := &Account{Separator: "/"}
	to := &Account{Separator: ".", Prefix: "INBOX."}
	m := MapNames(from, to, map[string]string{"Sent Items": "Sent"})
	for in, want := range map[string]string{"INBOX": "INBOX", "a/b": "INBOX.a.b", "Sent Items": "INBOX.Sent"} {
		if got := m(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := MapNames(to, from, nil)("INBOX.a.b"); got != "a/b" {
		t.Errorf("back: %q", got)
	}
}

func TestNamesOnTheWire(t *testing.T) {
	for name, wire := range map[string]string{"INBOX": "INBOX", "R&D": "R&-D", "Entwürfe": "Entw&APw-rfe", "台北": "&U,BTFw-", "a&ü&": "a&-&APw-&-"} {
		if got := toWire(name); got != wire {
			t.Errorf("%q: %q, want %q", name, got, wire)
		}
	}
	there := func(name string) bool {
		got, err := fromWire(toWire(name))
		return !utf8.ValidString(name) || err == nil && got == name
	}
	if err := quick.Check(there, nil); err != nil {
		t.Error(err)
	}
}

// A server that keeps octets gives a filled account back as it was; the others
// do so but for line ends.
func TestRealServers(t *testing.T) {
	for _, server := range []string{"DOVECOT", "DOVECOT2", "CYRUS", "COURIER"} {
		t.Run(server, func(t *testing.T) {
			l := Real(t, server, NewUser())
			profile := mailgen.Profile{Messages: 300, Folders: 17, EmptyFolder: true}
			if server == "CYRUS" {
				profile.Without = []mailgen.Kind{mailgen.RawHeader} // it changes those octets
			}
			a := mailgen.New(3).Account(profile)
			must(t, FillAccount(t.Context(), l, a))
			c := dial(t, RealTLS(t, server, l.User))
			want, got := generated(a, c, Options{}), read(t, l, Options{})
			if r := Compare(want, got, nil); !r.Equal() {
				t.Error(r)
			}
		})
	}
}

// Planted disagreements are found on real servers, too.
func TestPlantedOnRealServers(t *testing.T) {
	for _, server := range []string{"DOVECOT", "CYRUS", "COURIER"} {
		t.Run(server, func(t *testing.T) {
			l := RealTLS(t, server, NewUser())
			a := mailgen.New(4).Account(mailgen.Profile{Messages: 40, Folders: 4, NoOddities: true, Without: []mailgen.Kind{mailgen.NoMessageID, mailgen.RawHeader}})
			must(t, FillAccount(t.Context(), l, a))
			c := dial(t, l)
			want, inbox := generated(a, c, Options{}), read(t, l, Options{}).Folders["INBOX"].Messages
			must(t, c.Remove("INBOX", inbox[0].UID))
			must(t, c.Alter("INBOX", inbox[1].UID, func(raw []byte) []byte { return append(raw, "P.S.\r\n"...) }))
			must(t, c.Duplicate("INBOX", inbox[2].UID))
			must(t, c.Move("INBOX", inbox[3].UID, c.Name("Elsewhere")))
			must(t, c.SetFlags("INBOX", "FLAGS", []string{"odd"}, inbox[4].UID))
			r := Compare(want, read(t, l, Options{}), nil)
			if r.Counts != (Counts{Identical: 37, Missing: 1, Altered: 1, Surplus: 1, Moved: 1, Flags: 1}) {
				t.Error(r)
			}
		})
	}
}

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{"a\r\nb\r\n": "a\nb", "a\nb": "a\nb", "a\rb\n\n": "a\rb", "": ""} {
		if got := string(Normalise([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// A server that leaves messages out, or gives one twice, is found out.
func TestDishonestServer(t *testing.T) {
	one := "* 1 FETCH (UID 1 FLAGS () INTERNALDATE \" 1-Jan-2020 00:00:00 +0000\" BODY[] {1}\r\nx)\r\n"
	for name, tt := range map[string]struct {
		fetched string
		fine    bool
	}{
		"honest":    {one + strings.ReplaceAll(one, "1 FETCH (UID 1", "2 FETCH (UID 2"), true},
		"other way": {strings.ReplaceAll(one, "1 FETCH (UID 1", "2 FETCH (UID 2") + "* 1 FETCH (BODY[] \"x\" UID 1 FLAGS () INTERNALDATE \" 1-Jan-2020 00:00:00 +0000\")\r\n", true},
		"unasked":   {"* 2 FETCH (UID 2 FLAGS (\\Seen))\r\n" + one, false},
		"one":       {one, false},
		"twice":     {one + one, false},
		"none":      {"", false},
		"date":      {strings.ReplaceAll(one, "Jan", "Foo") + one, false},
		"item":      {strings.ReplaceAll(one, "FLAGS ()", "X-GM-MSGID 1") + one, false},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := net.Pipe()
			c := &Conn{nc: client, r: bufio.NewReader(client), stop: func() bool { return true }}
			go func() {
				r := bufio.NewReader(server)
				for _, answer := range []string{"* 2 EXISTS\r\n", tt.fetched, ""} {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					tag, _, _ := strings.Cut(line, " ")
					_, _ = io.WriteString(server, answer+tag+" OK done\r\n")
				}
			}()
			defer c.Close()
			f, err := c.Read("INBOX", Options{})
			if (err == nil) != tt.fine {
				t.Errorf("%v, %v", f, err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	s, l := memory(t, imapmem.Options{}, mailproof.Plaintext)
	wrong := l
	wrong.Password = "sesame"
	if _, err := Dial(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), "AUTHENTICATIONFAILED") || strings.Contains(err.Error(), "sesame") {
		t.Error(err)
	}
	c := dial(t, l)
	if _, err := c.Read("None", Options{}); err == nil {
		t.Error("read a folder that is not there")
	}
	if err := c.Append("None", Outgoing{Raw: []byte("x")}, Outgoing{Raw: []byte("y")}); err == nil {
		t.Error("appended to a folder that is not there")
	}
	must(t, c.Append("INBOX", Outgoing{Raw: []byte("x")}))
	s.Disconnect()
	if err := c.Append("INBOX", Outgoing{Raw: []byte("x")}); err == nil {
		t.Error("appended without a connection")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Read(ctx, l, Options{}); err == nil {
		t.Error("read after the end")
	}
}
