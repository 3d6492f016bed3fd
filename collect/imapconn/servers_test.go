package imapconn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// realServers are the servers that the environment names: HOST:PORT without
// TLS, where any user signs in with the password "pw".
func realServers(t testing.TB) map[string]Config {
	t.Helper()
	servers := map[string]Config{}
	for _, name := range []string{"DOVECOT", "CYRUS", "COURIER"} {
		address := os.Getenv("MAILPROOF_" + name)
		if address == "" {
			continue
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		servers[strings.ToLower(name)] = Config{
			Endpoint:   mailproof.Endpoint{User: user(name), Host: host, Port: n, Security: mailproof.Plaintext},
			Password:   mailproof.NewSecret("pw"),
			ClientName: "mailproof", ClientVersion: "test",
		}
	}
	if len(servers) == 0 {
		t.Skip("MAILPROOF_DOVECOT, MAILPROOF_CYRUS and MAILPROOF_COURIER name no server")
	}
	return servers
}

// What is appended to a real server is what is read from it.
func TestRealServers(t *testing.T) {
	for name, config := range realServers(t) {
		t.Run(name, func(t *testing.T) { roundTrip(t, config, name) })
	}
}

func roundTrip(t *testing.T, config Config, name string) {
	ctx := context.Background()
	w, err := DialWriter(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	boxes, err := w.Mailboxes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(boxes) == 0 || !boxes[0].IsInbox() {
		t.Fatalf("INBOX is not first: %+v", boxes)
	}
	prefix, sep := boxes[0].Prefix, boxes[0].Separator
	t.Logf("server %+v", w.Server())
	t.Logf("prefix %q, separator %q, mailboxes %+v", prefix, sep, boxes)

	folder := prefix + "Entwürfe & mehr" + sep + "paren(th)esis 日本"
	missing := prefix + "Nowhere"
	for range 2 { // the second time it is there already
		if err := w.Create(ctx, prefix+"Entwürfe & mehr", ""); err != nil {
			t.Fatal(err)
		}
		if err := w.Create(ctx, folder, mailproof.UseArchive); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Subscribe(ctx, folder); err != nil {
		t.Fatal(err)
	}
	if _, err := w.State(ctx, missing); mailproof.KindOf(err) != mailproof.ErrNoMailbox && mailproof.KindOf(err) != mailproof.ErrRefused {
		t.Errorf("state of a missing mailbox: %v", err)
	}
	_, _, err = w.Append(ctx, missing, nil, time.Time{}, 5000, strings.NewReader(strings.Repeat("x", 5000)))
	if mailproof.KindOf(err) != mailproof.ErrNoMailbox {
		t.Errorf("append to a missing mailbox: %v", err)
	}

	date := time.Date(2019, 2, 28, 23, 59, 58, 0, time.FixedZone("", -7*3600))
	want := map[mailproof.UID][]byte{}
	total := 40
	for i := range total {
		body := fmt.Appendf(nil, "From: a@example.com\r\nSubject: message %d\r\n\r\n%s\r\n", i, bytes.Repeat([]byte("0123456789abcde\r\n"), i*i*20))
		flags := mailproof.NewFlags(`\Seen`, "$Forwarded", `\Recent`, "inv]alid", "keyword")
		validity, uid, err := w.Append(ctx, folder, flags, date, int64(len(body)), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if uid == 0 || validity == 0 {
			t.Fatalf("no APPENDUID: %d %d", validity, uid)
		}
		want[uid] = body
		if i == 0 {
			if err := w.StoreFlags(ctx, folder, validity, uid, mailproof.NewFlags(`\Answered`), mailproof.NewFlags(`\Seen`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	state, err := w.State(ctx, folder)
	if err != nil || state.Exists != uint32(total) {
		t.Fatalf("state %+v, error %v", state, err)
	}

	r, err := DialReader(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	boxes, err = r.Mailboxes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, m := range boxes {
		if m.Name == folder {
			found = true
			if !m.Subscribed || m.Prefix != prefix || m.Separator != sep || m.NoSelect {
				t.Errorf("listed as %+v", m)
			}
			t.Logf("%+v", m)
		}
	}
	if !found {
		t.Fatalf("%q is not listed: %+v", folder, boxes)
	}
	before, err := r.Examine(ctx, folder)
	if err != nil {
		t.Fatal(err)
	}
	if !before.SameContents(state) {
		t.Errorf("EXAMINE %+v, STATUS %+v", before, state)
	}
	var list []mailproof.Metadata
	if err := r.Metadata(ctx, func(m mailproof.Metadata) error { list = append(list, m); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(list) != total {
		t.Fatalf("%d messages listed, want %d", len(list), total)
	}
	for i, m := range list {
		flags := mailproof.NewFlags(`\Seen`, "$Forwarded", "keyword")
		if i == 0 {
			flags = mailproof.NewFlags(`\Answered`, "$Forwarded", "keyword")
		}
		if !m.Flags.Equal(flags) || !m.InternalDate.Equal(date) || m.Size != int64(len(want[m.UID])) {
			t.Errorf("%+v, want %v, %v, %d octets", m, flags, date, len(want[m.UID]))
		}
	}
	read := 0
	unread, err := r.Bodies(ctx, list, func(uid mailproof.UID, size int64, body io.Reader) error {
		raw, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		if !bytes.Equal(raw, want[uid]) {
			t.Errorf("uid %d: %d octets came back as %d", uid, len(want[uid]), len(raw))
		}
		read++
		return nil
	})
	if err != nil || len(unread) > 0 || read != total {
		t.Errorf("read %d, unread %v, error %v", read, unread, err)
	}
	after, err := r.Examine(ctx, folder)
	if err != nil || after != before {
		t.Errorf("after reading: %+v (%v), before %+v", after, err, before)
	}
	used, limit, ok, err := r.Quota(ctx)
	t.Logf("quota %d of %d, %v, %v", used, limit, ok, err)
	in, out := r.Traffic()
	t.Logf("traffic %d in, %d out", in, out)
}

// user is a name that no test used before.
func user(server string) string {
	name := fmt.Sprintf("imapconn%d", time.Now().UnixNano())
	if server == "DOVECOT" {
		name += "@sdbox"
	}
	return name
}

// BenchmarkServers reads 10,000 small messages of every real server, through
// Bodies and as a raw drain, both with SHA-256 of every octet.
func BenchmarkServers(b *testing.B) {
	const n = 10_000
	for name, config := range realServers(b) {
		ctx := context.Background()
		w, err := DialWriter(ctx, config)
		if err != nil {
			b.Fatal(err)
		}
		var total int64
		for i := range n {
			body := fmt.Appendf(nil, "Subject: %d\r\n\r\n%s", i, bytes.Repeat([]byte("0123456789abcde\r\n"), 120+i%600))
			total += int64(len(body))
			if _, _, err := w.Append(ctx, "INBOX", nil, time.Time{}, int64(len(body)), bytes.NewReader(body)); err != nil {
				b.Fatal(err)
			}
		}
		w.Close()
		b.Run(name+"/drain", func(b *testing.B) {
			b.SetBytes(total)
			for b.Loop() {
				conn, err := net.Dial("tcp", config.Endpoint.Address())
				if err != nil {
					b.Fatal(err)
				}
				fmt.Fprintf(conn, "a LOGIN \"%s\" pw\r\nb EXAMINE INBOX\r\nc UID FETCH 1:* (UID BODY.PEEK[])\r\nd LOGOUT\r\n", config.Endpoint.User)
				h := sha256.New()
				got, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{conn}, make([]byte, 64<<10))
				if err != nil || got < total {
					b.Fatal(got, err)
				}
				conn.Close()
			}
		})
		b.Run(name+"/bodies", func(b *testing.B) {
			b.SetBytes(total)
			for b.Loop() {
				r, err := DialReader(ctx, config)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.Examine(ctx, "INBOX"); err != nil {
					b.Fatal(err)
				}
				var list []mailproof.Metadata
				if err := r.Metadata(ctx, func(m mailproof.Metadata) error { list = append(list, m); return nil }); err != nil {
					b.Fatal(err)
				}
				h, buf, read := sha256.New(), make([]byte, 64<<10), 0
				unread, err := r.Bodies(ctx, list, func(_ mailproof.UID, _ int64, body io.Reader) error {
					read++
					h.Reset()
					_, err := io.CopyBuffer(struct{ io.Writer }{h}, body, buf)
					return err
				})
				if err != nil || len(unread) > 0 || read != n {
					b.Fatal(read, len(unread), err)
				}
				r.Close()
			}
		})
	}
}
