package imapmem_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	mailproof "github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
)

var someDate = time.Date(2019, 3, 5, 14, 30, 59, 0, time.FixedZone("", 2*3600))

// start returns a running server with the account anna, password "pw".
func start(t *testing.T, opts imapmem.Options, security mailproof.Security) (*imapmem.Server, *imapmem.Account) {
	t.Helper()
	s := imapmem.New(opts)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Start(t.Context(), security); err != nil {
		t.Fatal(err)
	}
	return s, s.AddAccount("anna", "pw")
}

// raw is a client that knows nothing of IMAP but lines and literals.
type raw struct {
	t   *testing.T
	nc  net.Conn
	r   *bufio.Reader
	tag int
}

func dial(t *testing.T, addr string) *raw {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	c := &raw{t: t}
	c.use(nc)
	return c
}

func (c *raw) use(nc net.Conn) {
	if err := nc.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	c.nc, c.r = nc, bufio.NewReader(nc)
}

// connect signs in as anna.
func connect(t *testing.T, s *imapmem.Server) *raw {
	t.Helper()
	c := dial(t, s.Addr())
	c.line()
	c.ok("LOGIN anna pw")
	return c
}

// line reads one response, its literals included.
func (c *raw) line() string {
	c.t.Helper()
	var out strings.Builder
	for {
		l, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("%v after %q", err, out.String()+l)
		}
		l = strings.TrimSuffix(l, "\r\n")
		out.WriteString(l)
		open := strings.LastIndexByte(l, '{')
		if open < 0 || !strings.HasSuffix(l, "}") {
			return out.String()
		}
		n, err := strconv.Atoi(l[open+1 : len(l)-1])
		if err != nil {
			return out.String()
		}
		literal := make([]byte, n)
		if _, err := io.ReadFull(c.r, literal); err != nil {
			c.t.Fatal(err)
		}
		out.WriteString("\r\n")
		out.Write(literal)
	}
}

func (c *raw) write(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, s); err != nil {
		c.t.Fatal(err)
	}
}

// do sends a command and returns the untagged responses and the tagged one.
func (c *raw) do(format string, args ...any) (untagged []string, tagged string) {
	c.t.Helper()
	c.tag++
	tag := fmt.Sprintf("t%d", c.tag)
	c.write(tag + " " + fmt.Sprintf(format, args...) + "\r\n")
	return c.until(tag)
}

func (c *raw) until(tag string) (untagged []string, tagged string) {
	c.t.Helper()
	for {
		l := c.line()
		if rest, ok := strings.CutPrefix(l, tag+" "); ok {
			return untagged, rest
		}
		untagged = append(untagged, l)
	}
}

func (c *raw) ok(format string, args ...any) []string {
	c.t.Helper()
	untagged, tagged := c.do(format, args...)
	if !strings.HasPrefix(tagged, "OK") {
		c.t.Fatalf("%s: %s", fmt.Sprintf(format, args...), tagged)
	}
	return untagged
}

// refused sends a command that must be answered with the given beginning.
func (c *raw) refused(want, format string, args ...any) {
	c.t.Helper()
	if _, tagged := c.do(format, args...); !strings.HasPrefix(tagged, want) {
		c.t.Errorf("%s: %s, want %s", fmt.Sprintf(format, args...), tagged, want)
	}
}

func (c *raw) append(mailbox string, body string) string {
	c.t.Helper()
	_, tagged := c.do("APPEND %s {%d+}\r\n%s", mailbox, len(body), body)
	return tagged
}

func equal(t *testing.T, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Whatever octets come in, the same come out, through every way of sending and
// asking.
func TestOctetsAreKept(t *testing.T) {
	bodies := map[string]string{
		"plain":          "Subject: a\r\n\r\nbody\r\n",
		"bare LF":        "Subject: a\n\nbody\n",
		"NUL":            "a\x00b\r\n\r\n\x00",
		"lone CR":        "Subject: a\r\n\r\na\rb",
		"no header":      "no header here",
		"8 bit":          "Subject: \xe4\xf6\xfc\r\n\r\n\xff\xfe",
		"like protocol":  "A: b\r\n\r\n)\r\nt3 OK done\r\n* BYE {5}\r\n",
		"one octet":      "x",
		"blank lines":    "\r\n\r\n\r\n",
		"looks literal":  "S: {12}",
		"every octet":    everyOctet(),
		"a long line":    strings.Repeat("x", 200_000),
		"From_ and more": "From someone Mon Jan  1 00:00:00 2001\nStatus: RO\n\n>From me\n",
	}
	s, a := start(t, imapmem.Options{}, mailproof.Plaintext)
	c := connect(t, s)
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			box := "box " + strconv.Itoa(len(a.Mailboxes()))
			c.t = t
			c.ok("CREATE %q", box)
			c.write(fmt.Sprintf("s APPEND %q {%d}\r\n", box, len(body)))
			if l := c.line(); !strings.HasPrefix(l, "+") {
				t.Fatal(l)
			}
			c.write(body + "\r\n")
			if _, tagged := c.until("s"); !strings.HasPrefix(tagged, "OK") {
				t.Fatal(tagged)
			}
			c.append(strconv.Quote(box), body)
			a.Append(box, []byte(body), nil, someDate)
			for i, m := range a.Messages(box) {
				if string(m.Raw) != body {
					t.Errorf("message %d stored as %q", i, m.Raw)
				}
			}
			c.ok("EXAMINE %q", box)
			for i, l := range c.ok("UID FETCH 1:* (UID BODY.PEEK[])") {
				if want := fmt.Sprintf("* %d FETCH (UID %d BODY[] {%d}\r\n%s)", i+1, i+1, len(body), body); l != want {
					t.Errorf("got %q, want %q", l, want)
				}
			}
			header := c.ok("FETCH 1 BODY.PEEK[HEADER]")[0]
			text := c.ok("FETCH 1 BODY.PEEK[TEXT]")[0]
			if got := literalOf(header) + literalOf(text); got != body {
				t.Errorf("header and text together are %q", got)
			}
		})
	}
}

func everyOctet() string {
	var b strings.Builder
	for i := range 256 {
		b.WriteByte(byte(i))
	}
	return b.String()
}

func literalOf(response string) string {
	_, rest, _ := strings.Cut(response, "}\r\n")
	return strings.TrimSuffix(rest, ")")
}

func TestMetadata(t *testing.T) {
	zone := time.FixedZone("", -5*3600)
	s, a := start(t, imapmem.Options{Location: zone, FoldKeywords: true}, mailproof.Plaintext)
	a.Append("INBOX", []byte("a: b\r\n\r\n"), mailproof.NewFlags(`\Seen`, "$Forwarded", `\Recent`), someDate)
	c := connect(t, s)
	c.append(`inbox (\flagged Work) "05-Mar-2019 14:30:59 +0200"`, "x: y\r\n\r\n")
	c.append(`INBOX " 5-Mar-2019 14:30:59 +0200"`, "x: y\r\n\r\n")
	c.ok("EXAMINE INBOX")
	equal(t, c.ok("FETCH 1:3 (UID FLAGS INTERNALDATE RFC822.SIZE)"), []string{
		`* 1 FETCH (UID 1 FLAGS ($forwarded \Seen) INTERNALDATE " 5-Mar-2019 07:30:59 -0500" RFC822.SIZE 8)`,
		`* 2 FETCH (UID 2 FLAGS (\Flagged work) INTERNALDATE " 5-Mar-2019 07:30:59 -0500" RFC822.SIZE 8)`,
		`* 3 FETCH (UID 3 FLAGS () INTERNALDATE " 5-Mar-2019 07:30:59 -0500" RFC822.SIZE 8)`,
	})
	c.refused("BAD", `APPEND INBOX "31-Feb-2019 14:30:59 +0200" {1+}`+"\r\nx")
	c.refused("BAD", `APPEND INBOX (a]b) {1+}`+"\r\nx")
	c.refused("BAD", "APPEND INBOX {0+}\r\n")
}

func TestExamineProtects(t *testing.T) {
	s, a := start(t, imapmem.Options{}, mailproof.Plaintext)
	a.Append("INBOX", []byte("a: b\r\n\r\n"), mailproof.NewFlags(`\Deleted`), someDate)
	a.Create("Other")
	c := connect(t, s)
	c.ok("EXAMINE INBOX")
	c.ok("UID FETCH 1:* BODY[]")
	c.ok("UID FETCH 1:* RFC822")
	if act := a.Activity(); act.Writes != 0 || len(act.Violations) != 0 || act.Commands["UID FETCH"] != 2 || act.Bodies != 2 || act.BodyOctets != 16 {
		t.Errorf("after reading: %+v", act)
	}
	for _, command := range []string{`UID STORE 1 +FLAGS (\Seen)`, `STORE 1 FLAGS.SILENT ()`, "EXPUNGE", "UID EXPUNGE 1", "UID MOVE 1 Other"} {
		c.refused("NO [READ-ONLY]", "%s", command)
	}
	c.ok("CLOSE")
	if got := a.Messages("INBOX"); len(got) != 1 || got[0].Flags.String() != `(\Deleted)` {
		t.Errorf("the mailbox changed: %v", got)
	}
	if act := a.Activity(); act.Writes != 0 || len(act.Violations) != 5 {
		t.Errorf("after writing: %+v", act)
	}

	c.ok("SELECT INBOX")
	c.ok("UID FETCH 1 BODY.PEEK[]")
	if a.Messages("INBOX")[0].Flags.Has(`\Seen`) || a.Activity().Writes != 0 {
		t.Error("BODY.PEEK[] set \\Seen")
	}
	equal(t, c.ok("UID FETCH 1 (FLAGS BODY[TEXT])"), []string{"* 1 FETCH (UID 1 FLAGS (\\Deleted \\Seen) BODY[TEXT] {0}\r\n)", `* 1 FETCH (UID 1 FLAGS (\Deleted \Seen))`})
	if !a.Messages("INBOX")[0].Flags.Has(`\Seen`) || a.Activity().Writes != 1 {
		t.Error("BODY[TEXT] did not set \\Seen, or did so unseen")
	}
}

func TestListings(t *testing.T) {
	opts := imapmem.Options{Prefix: "INBOX.", Separator: ".", Folders: []imapmem.Folder{{Name: "INBOX.Sent", Use: mailproof.UseSent}}}
	s, a := start(t, opts, mailproof.Plaintext)
	a.Create(s.Name("Projekte", "Ärger & Co", "日本語"))
	a.Create(s.Name(`quo"te\back`))
	a.Subscribe(s.Name(`quo"te\back`), false)
	a.Subscribe("INBOX.Gone", true)
	c := connect(t, s)
	equal(t, c.ok("NAMESPACE"), []string{`* NAMESPACE (("INBOX." ".")) NIL NIL`})
	equal(t, c.ok(`LIST "" ""`), []string{`* LIST (\Noselect) "." ""`})
	equal(t, c.ok(`LIST "" *`), []string{
		`* LIST (\HasChildren) "." "INBOX"`,
		`* LIST (\NonExistent \Noselect \HasChildren) "." "INBOX.Projekte"`,
		`* LIST (\NonExistent \Noselect \HasChildren) "." "INBOX.Projekte.&AMQ-rger &- Co"`,
		`* LIST (\HasNoChildren) "." "INBOX.Projekte.&AMQ-rger &- Co.&ZeVnLIqe-"`,
		`* LIST (\HasNoChildren \Sent) "." "INBOX.Sent"`,
		`* LIST (\HasNoChildren) "." "INBOX.quo\"te\\back"`,
	})
	equal(t, c.ok(`LIST "INBOX." %% RETURN (SPECIAL-USE SUBSCRIBED STATUS (MESSAGES UIDNEXT))`), []string{
		`* LIST (\NonExistent \Noselect \HasChildren) "." "INBOX.Projekte"`,
		`* LIST (\HasNoChildren \Subscribed \Sent) "." "INBOX.Sent"`,
		`* STATUS "INBOX.Sent" (MESSAGES 0 UIDNEXT 1)`,
		`* LIST (\HasNoChildren) "." "INBOX.quo\"te\\back"`,
		`* STATUS "INBOX.quo\"te\\back" (MESSAGES 0 UIDNEXT 1)`,
	})
	equal(t, c.ok(`LSUB "" *`), []string{
		`* LSUB () "." "INBOX"`, `* LSUB () "." "INBOX.Gone"`,
		`* LSUB () "." "INBOX.Projekte.&AMQ-rger &- Co.&ZeVnLIqe-"`, `* LSUB () "." "INBOX.Sent"`,
	})
	equal(t, c.ok(`LIST (SUBSCRIBED) "" (INBOX.G* inbox)`), []string{
		`* LIST (\HasChildren \Subscribed) "." "INBOX"`, `* LIST (\NonExistent \Noselect \HasNoChildren \Subscribed) "." "INBOX.Gone"`,
	})
	c.ok(`STATUS "INBOX.quo\"te\\back" (MESSAGES)`)
	c.refused("NO [CANNOT]", "CREATE Elsewhere")
	c.refused("NO [CANNOT]", "CREATE INBOX.a..b")
	c.refused("NO [ALREADYEXISTS]", "CREATE INBOX.Sent")
	c.refused("NO [USEATTR]", `CREATE INBOX.Sent2 (USE (\Sent))`)
	c.refused("BAD", "CREATE INBOX.R&D")
	c.refused("NO [TRYCREATE]", "APPEND INBOX.None {1+}\r\nx")
	c.ok(`CREATE INBOX.Bin (USE (\Trash))`)
	if a.SpecialUse("INBOX.Bin") != mailproof.UseTrash {
		t.Error("the special use was not kept")
	}
	c.ok("SUBSCRIBE INBOX.Bin")
	c.refused("NO [NONEXISTENT]", "RENAME INBOX.x INBOX.y")
}

func TestSecurity(t *testing.T) {
	s, _ := start(t, imapmem.Options{MasterUser: "root", MasterPassword: "master"}, mailproof.STARTTLS)
	c := dial(t, s.Addr())
	if l := c.line(); !strings.Contains(l, "STARTTLS") || !strings.Contains(l, "LOGINDISABLED") {
		t.Errorf("greeting: %s", l)
	}
	c.refused("NO [PRIVACYREQUIRED]", "LOGIN anna pw")
	c.ok("STARTTLS")
	pem, err := s.CA()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c.use(tls.Client(c.nc, &tls.Config{RootCAs: pool, ServerName: "localhost"}))
	c.refused("BAD", "STARTTLS")
	c.refused("NO [AUTHENTICATIONFAILED]", "LOGIN anna wrong")
	c.refused("NO [AUTHENTICATIONFAILED]", "LOGIN nobody pw")
	c.refused("NO [AUTHENTICATIONFAILED]", "AUTHENTICATE PLAIN AGFubmEAcHd4") // \0anna\0pwx
	c.refused("BAD", "SELECT INBOX")
	c.ok("AUTHENTICATE PLAIN YW5uYQByb290AG1hc3Rlcg==") // anna\0root\0master
	c.refused("BAD", "LOGIN anna pw")
	c.ok("SELECT INBOX")
}

func TestLimits(t *testing.T) {
	s, a := start(t, imapmem.Options{AppendLimit: 100, MaxConnections: 1}, mailproof.Plaintext)
	a.SetQuota(2048)
	c := connect(t, s)
	if caps := c.ok("CAPABILITY")[0]; !strings.Contains(caps, " APPENDLIMIT=100") {
		t.Error(caps)
	}
	if got := c.append("INBOX", strings.Repeat("x", 101)); !strings.HasPrefix(got, "NO [TOOBIG]") {
		t.Error(got)
	}
	// A synchronising literal is refused before it is sent.
	c.refused("NO [TOOBIG]", "APPEND INBOX {101}")
	c.refused("NO [TRYCREATE]", "APPEND None {5}")
	for range 20 {
		if got := c.append("INBOX", strings.Repeat("x", 100)); !strings.HasPrefix(got, "OK [APPENDUID 1001 ") {
			t.Fatal(got)
		}
	}
	if got := c.append("INBOX", strings.Repeat("x", 100)); !strings.HasPrefix(got, "NO [OVERQUOTA]") {
		t.Error(got)
	}
	equal(t, c.ok("GETQUOTAROOT INBOX"), []string{`* QUOTAROOT "INBOX" "User quota"`, `* QUOTA "User quota" (STORAGE 2 2)`})

	second := dial(t, s.Addr())
	second.line()
	second.refused("NO [ALERT] Too many simultaneous connections", "LOGIN anna pw")
	c.ok("LOGOUT")
	if _, err := c.r.ReadByte(); err != io.EOF { // the server has signed out when it closes
		t.Fatal(err)
	}
	if _, tagged := second.do("LOGIN anna pw"); !strings.HasPrefix(tagged, "OK") {
		t.Error(tagged)
	}
}

func TestMultiAppendIsAllOrNothing(t *testing.T) {
	opts := imapmem.Options{OnAppend: func(_, _ string, raw []byte) ([]byte, error) {
		if bytes.Contains(raw, []byte("virus")) {
			return nil, fmt.Errorf("[LIMIT] content refused\r\nt9 OK")
		}
		return bytes.ToUpper(raw), nil
	}}
	s, a := start(t, opts, mailproof.Plaintext)
	c := connect(t, s)
	if _, got := c.do("APPEND INBOX {1+}\r\na (\\Seen) {1+}\r\nb {1+}\r\nc"); !strings.HasPrefix(got, "OK [APPENDUID 1001 1:3]") {
		t.Fatal(got)
	}
	if _, got := c.do("APPEND INBOX {1+}\r\na {5+}\r\nvirus {1+}\r\nc"); got != "NO [LIMIT] content refused  t9 OK" {
		t.Errorf("got %q", got)
	}
	var all string
	for _, m := range a.Messages("INBOX") {
		all += string(m.Raw) + m.Flags.String()
	}
	if all != `A()B(\Seen)C()` {
		t.Error(all)
	}
	if act := a.Activity(); act.Appended != 3 || act.AppendedOctets != 3 || act.Writes != 1 {
		t.Errorf("%+v", act)
	}
}

func TestHooksRefuseAndCut(t *testing.T) {
	opts := imapmem.Options{
		OnFetch: func(_, _ string, uid mailproof.UID, raw []byte) ([]byte, error) {
			switch uid {
			case 2:
				return nil, fmt.Errorf("[SERVERBUG] cannot read message")
			case 4:
				return nil, imapmem.ErrCut
			}
			return raw, nil
		},
		OnCommand: func(account, command string) error {
			if command == "NOOP" || command == "CHECK" {
				return fmt.Errorf("[UNAVAILABLE] %s: %s", account, command)
			}
			return nil
		},
	}
	s, a := start(t, opts, mailproof.Plaintext)
	for range 4 {
		a.Append("INBOX", []byte("0123456789"), nil, someDate)
	}
	c := connect(t, s)
	c.ok("EXAMINE INBOX")
	c.refused("NO [UNAVAILABLE] anna: CHECK", "CHECK")
	lines, tagged := c.do("UID FETCH 1:3 BODY.PEEK[]")
	if len(lines) != 2 || !strings.HasPrefix(tagged, "NO [SERVERBUG]") {
		t.Error(lines, tagged)
	}
	c.write("x UID FETCH 4 BODY.PEEK[]\r\n")
	rest, err := io.ReadAll(c.r)
	if err != nil || string(rest) != "* 4 FETCH (UID 4 BODY[] {10}\r\n01234" {
		t.Errorf("%q, %v", rest, err)
	}
}

// What one connection does, the other hears of.
func TestUpdates(t *testing.T) {
	s, a := start(t, imapmem.Options{}, mailproof.Plaintext)
	for range 4 {
		a.Append("INBOX", []byte("x"), nil, someDate)
	}
	one, two := connect(t, s), connect(t, s)
	one.ok("SELECT INBOX")
	two.ok("SELECT INBOX (CONDSTORE)")
	equal(t, one.ok(`STORE 2,4 +FLAGS (\Deleted)`), []string{`* 2 FETCH (FLAGS (\Deleted))`, `* 4 FETCH (FLAGS (\Deleted))`})
	equal(t, two.ok("NOOP"), []string{`* 2 FETCH (UID 2 FLAGS (\Deleted) MODSEQ (6))`, `* 4 FETCH (UID 4 FLAGS (\Deleted) MODSEQ (7))`})
	equal(t, two.ok("NOOP"), nil)
	equal(t, one.ok("NOOP"), nil)
	equal(t, one.ok("EXPUNGE"), []string{"* 2 EXPUNGE", "* 3 EXPUNGE"})
	if got := one.append("INBOX", "new"); !strings.HasPrefix(got, "OK [APPENDUID 1001 5]") {
		t.Error(got)
	}
	// A FETCH by sequence number does not shift the numbers.
	equal(t, two.ok("FETCH 3 UID"), []string{"* 3 FETCH (UID 3)"})
	equal(t, two.ok("UID SEARCH ALL"), []string{"* SEARCH 1 3", "* 2 EXPUNGE", "* 3 EXPUNGE", "* 3 EXISTS"})
	equal(t, two.ok("UID SEARCH UID 2:* NOT SEEN"), []string{"* SEARCH 3 5"})
	equal(t, two.ok("UID FETCH 1:* FLAGS (CHANGEDSINCE 7)"), []string{"* 3 FETCH (UID 5 FLAGS () MODSEQ (9))"})
	equal(t, two.ok("UID SEARCH RETURN (ALL COUNT) UNDELETED"), []string{`* ESEARCH (TAG "t9") UID ALL 1,3,5 COUNT 3`})
	two.refused("BAD", "FETCH 4 UID")
	equal(t, two.ok("UID FETCH 99 UID"), nil)
}

func TestCopyAndMove(t *testing.T) {
	s, a := start(t, imapmem.Options{}, mailproof.Plaintext)
	for i := range 3 {
		a.Append("INBOX", []byte{byte('a' + i)}, mailproof.NewFlags("k"), someDate)
	}
	a.Create("To")
	c := connect(t, s)
	c.ok("SELECT INBOX")
	if _, got := c.do("COPY 1,3 To"); !strings.HasPrefix(got, "OK [COPYUID 1002 1,3 1:2]") {
		t.Error(got)
	}
	equal(t, c.ok("UID MOVE 1:2 To"), []string{"* OK [COPYUID 1002 1:2 3:4] moved", "* 1 EXPUNGE", "* 1 EXPUNGE"})
	var got string
	for _, m := range a.Messages("To") {
		if !m.Date.Equal(someDate) || !m.Flags.Has("k") {
			t.Errorf("%+v", m)
		}
		got += string(m.Raw)
	}
	if got != "acab" || len(a.Messages("INBOX")) != 1 {
		t.Error(got)
	}
}

func TestHiddenCapabilities(t *testing.T) {
	hide := []string{"UIDPLUS", "MULTIAPPEND", "NAMESPACE", "CONDSTORE", "ESEARCH", "SPECIAL-USE", "CREATE-SPECIAL-USE", "QUOTA", "ENABLE", "SASL-IR"}
	s, a := start(t, imapmem.Options{Hide: hide}, mailproof.Plaintext)
	a.Create("Sent", mailproof.UseSent)
	c := connect(t, s)
	caps := " " + c.ok("CAPABILITY")[0] + " "
	for _, h := range hide {
		if strings.Contains(caps, " "+h+" ") {
			t.Errorf("%s in %s", h, caps)
		}
	}
	if got := c.append("INBOX", "x"); got != "OK APPEND completed" {
		t.Error(got)
	}
	for _, command := range []string{"NAMESPACE", "ENABLE CONDSTORE", "GETQUOTAROOT INBOX", `CREATE x (USE (\Junk))`, "SELECT INBOX (CONDSTORE)", "APPEND INBOX {1+}\r\nx {1+}\r\ny"} {
		c.refused("BAD", "%s", command)
	}
	equal(t, c.ok(`LIST "" Sent`), []string{`* LIST (\HasNoChildren) "/" "Sent"`})
	c.ok("SELECT INBOX")
	c.refused("BAD", "UID EXPUNGE 1")
	c.refused("BAD", "UID SEARCH RETURN (ALL) ALL")
	c.refused("BAD", "UID FETCH 1 MODSEQ")
}

// X-GM-MSGID is one message's under all its labels, and is read only.
func TestGmail(t *testing.T) {
	s, a := start(t, imapmem.Options{Gmail: true}, mailproof.Plaintext)
	a.Create("Entwürfe")
	a.Create("Work")
	a.Append("INBOX", []byte("a\r\n"), nil, someDate)
	a.Append("INBOX", []byte("b\r\n"), nil, someDate)
	c := connect(t, s)
	if caps := c.ok("CAPABILITY")[0] + " "; !strings.Contains(caps, " X-GM-EXT-1 ") {
		t.Error(caps)
	}
	c.ok("SELECT INBOX")
	c.ok("COPY 2 Work")
	c.ok("COPY 2 \"Entw&APw-rfe\"")
	id := a.Messages("INBOX")[1].GmailID
	equal(t, c.ok("UID FETCH 1:2 (X-GM-MSGID)"), []string{fmt.Sprintf("* 1 FETCH (UID 1 X-GM-MSGID %d)", id-1), fmt.Sprintf("* 2 FETCH (UID 2 X-GM-MSGID %d)", id)})
	equal(t, c.ok("UID FETCH 1:2 X-GM-LABELS"), []string{`* 1 FETCH (UID 1 X-GM-LABELS ())`, `* 2 FETCH (UID 2 X-GM-LABELS ("Entw&APw-rfe" "Work"))`})
	c.ok("SELECT Work")
	equal(t, c.ok("FETCH 1 (X-GM-MSGID X-GM-LABELS)"), []string{fmt.Sprintf(`* 1 FETCH (X-GM-MSGID %d X-GM-LABELS ("Entw&APw-rfe" "\\Inbox"))`, id)})
	c.ok("MOVE 1 INBOX")
	if got := a.Messages("INBOX"); got[2].GmailID != id {
		t.Errorf("moved: %d became %d", id, got[2].GmailID)
	}
	c.refused("BAD", "UID STORE 1 +X-GM-LABELS (x)")

	plain, _ := start(t, imapmem.Options{}, mailproof.Plaintext)
	c = connect(t, plain)
	if caps := c.ok("CAPABILITY")[0]; strings.Contains(caps, "X-GM") {
		t.Error(caps)
	}
	c.ok("SELECT INBOX")
	c.refused("BAD", "UID FETCH 1:* X-GM-MSGID")
	c.refused("BAD", "UID FETCH 1:* X-GM-LABELS")
}

func TestUIDValidity(t *testing.T) {
	s, a := start(t, imapmem.Options{}, mailproof.Plaintext)
	for _, b := range []string{"a", "b", "c"} {
		a.Append("INBOX", []byte(b), nil, someDate)
	}
	if err := a.Remove("INBOX", 1, 3); err != nil {
		t.Fatal(err)
	}
	if err := a.Remove("INBOX", 1); err == nil {
		t.Error("removed twice")
	}
	if err := a.SetFlags("INBOX", 2, mailproof.NewFlags("x")); err != nil {
		t.Error(err)
	}
	c := connect(t, s)
	equal(t, c.ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY SIZE)"), []string{`* STATUS "INBOX" (MESSAGES 1 UIDNEXT 4 UIDVALIDITY 1001 SIZE 1)`})
	if err := a.ResetUIDValidity("INBOX"); err != nil {
		t.Fatal(err)
	}
	equal(t, c.ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY SIZE)"), []string{`* STATUS "INBOX" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 1002 SIZE 1)`})
}

// Foreign octets in place of commands must neither stop the server nor make it
// take up memory.
func TestNonsense(t *testing.T) {
	s, _ := start(t, imapmem.Options{}, mailproof.Plaintext)
	c := connect(t, s)
	for _, line := range []string{"", " ", "x", "* OK", "+", "t UID", "t UID NONE", "t FETCH 1 ALL", "t LIST", "t \xff\xfe", "t APPEND", "t LIST (", `t LIST "" "`} {
		c.write(line + "\r\n")
		if l := c.line(); !strings.Contains(l, "BAD") {
			t.Errorf("%q: %s", line, l)
		}
	}
	c.ok("NOOP")
	for _, line := range []string{"t APPEND INBOX {99999999999999999999}", "t APPEND INBOX {-1}", "t X {+}"} {
		bad := connect(t, s)
		bad.write(line + "\r\n")
		if l := bad.line(); !strings.HasPrefix(l, "* BYE") {
			t.Errorf("%q: %s", line, l)
		}
	}
}
