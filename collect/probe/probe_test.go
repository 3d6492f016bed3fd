package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/imapmem"
)

// exchange is a mail exchange that keeps what it is sent.
type exchange struct {
	mu     sync.Mutex
	answer error // to RCPT
	atEnd  error
	got    []string // as "FROM TO\nTEXT"
}

func (e *exchange) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{exchange: e}, nil }

type session struct {
	*exchange
	from, to string
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answer
}
func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.atEnd == nil {
		s.got = append(s.got, s.from+" "+s.to+"\n"+string(text))
	}
	return s.atEnd
}

func (e *exchange) start(t *testing.T) string {
	t.Helper()
	server := smtp.NewServer(e)
	server.Domain = "mx.test"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ends with Close
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return l.Addr().String()
}

// names is a name server with MX records.
func names(t *testing.T, mx ...*dns.MX) string {
	t.Helper()
	packet, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	started, done := make(chan struct{}), make(chan struct{})
	server := &dns.Server{PacketConn: packet, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, ask *dns.Msg) {
		m := new(dns.Msg).SetReply(ask)
		for _, rr := range mx {
			if ask.Question[0].Qtype == dns.TypeMX {
				rr.Hdr = dns.RR_Header{Name: ask.Question[0].Name, Rrtype: dns.TypeMX, Class: dns.ClassINET}
				m.Answer = append(m.Answer, rr)
			}
		}
		if len(m.Answer) == 0 {
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m) // the client asks again
	})}
	go func() {
		defer close(done)
		_ = server.ActivateAndServe() // ends with Shutdown
	}()
	<-started
	t.Cleanup(func() {
		_ = server.Shutdown()
		<-done
	})
	return packet.LocalAddr().String()
}

func message(t *testing.T) Message {
	t.Helper()
	m, err := New("probe@provider.example", "anna@example.com")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The message goes to the exchange of the best preference that answers, once,
// and is a message by RFC 5322.
func TestSend(t *testing.T) {
	first, second := &exchange{}, &exchange{}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	route := Route{Timeout: 10 * time.Second,
		Resolver: names(t, &dns.MX{Preference: 20, Mx: "second.test."}, &dns.MX{Preference: 10, Mx: "First.Test."}, &dns.MX{Preference: 5, Mx: "closed.test."}),
		Hosts:    map[string]string{"first.test": first.start(t), "second.test": second.start(t), "closed.test": closed.Addr().String()}}
	m := message(t)
	receipt, err := Send(t.Context(), m, route)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.got) != 1 || len(second.got) != 0 || !strings.HasPrefix(strings.ToLower(receipt.Exchange), "first.test 127.0.0.1:") || receipt.TLS != "" || receipt.Sent.IsZero() || !strings.HasPrefix(receipt.Reply, "250 ") {
		t.Fatalf("%+v, %q, %q", receipt, first.got, second.got)
	}
	envelope, text, _ := strings.Cut(first.got[0], "\n")
	parsed, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil || envelope != "probe@provider.example anna@example.com" {
		t.Fatalf("%q, %v", envelope, err)
	}
	if got := parsed.Header.Get("Message-ID"); got != m.ID {
		t.Errorf("Message-ID %q, want %q", got, m.ID)
	}
	if _, err := parsed.Header.Date(); err != nil || parsed.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("%v, %v", parsed.Header, err)
	}
	if id, err := messageID(strings.NewReader(text)); id != m.ID || err != nil {
		t.Errorf("read back: %q, %v", id, err)
	}
}

// A refusal for good ends it; one for now leads to the next exchange.
func TestSendRefused(t *testing.T) {
	first, second := &exchange{answer: &smtp.SMTPError{Code: 450, Message: "later"}}, &exchange{}
	route := Route{Timeout: 10 * time.Second, Resolver: names(t, &dns.MX{Preference: 20, Mx: "second.test."}, &dns.MX{Preference: 10, Mx: "first.test."}),
		Hosts: map[string]string{"first.test": first.start(t), "second.test": second.start(t)}}
	if _, err := Send(t.Context(), message(t), route); err != nil || len(second.got) != 1 {
		t.Errorf("greylisted: %v, %d", err, len(second.got))
	}
	first.mu.Lock()
	first.answer = &smtp.SMTPError{Code: 550, Message: "no such user"}
	first.mu.Unlock()
	if _, err := Send(t.Context(), message(t), route); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "no such user") || len(second.got) != 1 {
		t.Errorf("refused: %v, %d", err, len(second.got))
	}
	first.mu.Lock()
	first.answer, first.atEnd = nil, &smtp.SMTPError{Code: 554, Message: "spam"}
	first.mu.Unlock()
	if _, err := Send(t.Context(), message(t), route); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "spam") {
		t.Errorf("refused at the end: %v", err)
	}
	if _, err := Send(t.Context(), message(t), Route{Resolver: names(t, &dns.MX{Preference: 0, Mx: "."})}); err == nil || !strings.Contains(err.Error(), "null MX") {
		t.Errorf("null MX: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Send(ctx, message(t), route); err == nil {
		t.Error("sent although nobody waits")
	}
}

// An exchange that says nothing does not hold anybody up.
func TestSendTimesOut(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	route := Route{Timeout: 200 * time.Millisecond, Resolver: names(t, &dns.MX{Preference: 1, Mx: "mute.test."}), Hosts: map[string]string{"mute.test": l.Addr().String()}}
	if _, err := Send(t.Context(), message(t), route); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// What could end a line or a command is no address.
func TestAddresses(t *testing.T) {
	for _, bad := range []string{"", "anna", "@example.com", "anna@", "an na@example.com", "anna@exa mple.com", "anna\r\nRCPT TO:<x>@example.com", "anna@example.com\n", "<anna@example.com>", "anna@-", "an\x00na@example.com", "anna@\u202eexample.com"} {
		if _, err := New("a@example.com", bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
		if _, err := New(bad, "a@example.com"); err == nil {
			t.Errorf("%q is taken as sender", bad)
		}
	}
	m, err := New("a@Bücher.example", "anna+tag@BÜCHER.example")
	if err != nil || m.Domain() != "xn--bcher-kva.example" {
		t.Errorf("%q, %v", m.Domain(), err)
	}
	n, err := New("a@example.com", "b@example.com")
	if err != nil || n.ID == m.ID {
		t.Errorf("%q twice", n.ID)
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"a@example.com", "a\r\n@b", "ü@ü", "a@b@c", "\"a b\"@c.d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := New("probe@example.com", s)
		if err != nil {
			return
		}
		header, _, _ := bytes.Cut(m.Bytes(), []byte("\r\n\r\n"))
		if n := bytes.Count(header, []byte("\n")); n != 8 || bytes.ContainsAny([]byte(m.To), "\r\n<> ") {
			t.Errorf("%q: %d lines\n%s", s, n, header)
		}
	})
}

func TestMessageID(t *testing.T) {
	for text, want := range map[string]string{
		"Subject: x\r\nMessage-ID: <a@b>\r\n\r\nMessage-ID: <no@body>\r\n": "<a@b>",
		"message-id:<a@b>\n\n":                    "<a@b>",
		"Message-ID:\r\n <a@b>\r\n\r\n":           "<a@b>",
		"Message-ID:\r\nSubject: x\r\n\r\n":       "",
		"Subject: x\r\n\r\nMessage-ID: <a@b>\r\n": "",
		"":                  "",
		"Message-ID: <a@b>": "<a@b>",
		"Subject:\r\n Message-ID: <folded@b>\r\n\r\n": "",
	} {
		if got, err := messageID(strings.NewReader(text)); got != want || err != nil {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	if _, err := messageID(iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a message that was cut off: %v", err)
	}
}

func FuzzMessageID(f *testing.F) {
	f.Add([]byte("Message-ID: <a@b>\r\n\r\n"))
	f.Add([]byte("Message-ID:\n\t<a@b>\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := messageID(bytes.NewReader(b))
		if err != nil || strings.ContainsAny(id, "\n") {
			t.Errorf("%q, %v", id, err)
		}
	})
}

// The message is found in whatever folder it is delivered to, also where others
// came before and after it, and nothing is written while it is looked for.
func TestLook(t *testing.T) {
	server := imapmem.New(imapmem.Options{})
	account := server.AddAccount("anna", "pw")
	account.Create("Junk", `\Junk`)
	account.Create("Lists")
	old := []byte("Message-ID: <old@example.com>\r\n\r\nold\r\n")
	for range 5 {
		account.Append("INBOX", old, nil, time.Now())
	}
	if err := server.Start(t.Context(), mailproof.Plaintext); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	endpoint, err := mailproof.ParseEndpoint("imap://anna@" + server.Addr() + "?tls=none")
	if err != nil {
		t.Fatal(err)
	}
	for i, folder := range []string{"INBOX", "Junk", "Lists", "Made meanwhile"} {
		t.Run(folder, func(t *testing.T) {
			r, err := imapconn.DialReader(t.Context(), imapconn.Config{Endpoint: endpoint, Password: mailproof.NewSecret("pw")})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.Close() }()
			mark, err := NewMark(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			m := message(t)
			if got, err := mark.Look(t.Context(), r, m, true); got != "" || err != nil {
				t.Fatalf("before: %q, %v", got, err)
			}
			account.Append(folder, []byte(fmt.Sprintf("Message-ID: <other%d@example.com>\r\n\r\n", i)), nil, time.Now())
			account.Append(folder, append([]byte("Received: by mx.test\r\n"), m.Bytes()...), nil, time.Now())
			account.Append(folder, old, nil, time.Now())
			want := ""
			if folder == "INBOX" || folder == "Junk" {
				want = folder
			}
			if got, err := mark.Look(t.Context(), r, m, false); got != want || err != nil {
				t.Errorf("where mail is delivered: %q, %v, want %q", got, err, want)
			}
			if got, err := mark.Look(t.Context(), r, m, true); got != folder || err != nil {
				t.Errorf("everywhere: %q, %v", got, err)
			}
			// A message from before the mark is not it, whatever it says.
			late, err := NewMark(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := late.Look(t.Context(), r, m, true); got != "" || err != nil {
				t.Errorf("from before: %q, %v", got, err)
			}
		})
	}
	if a := account.Activity(); a.Writes > 0 || len(a.Violations) > 0 {
		t.Errorf("%+v", a)
	}
}
