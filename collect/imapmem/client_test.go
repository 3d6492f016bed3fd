package imapmem_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	mailproof "github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
)

func client(t *testing.T, s *imapmem.Server) *imapclient.Client {
	t.Helper()
	pem, err := s.CA()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c, err := imapclient.DialTLS(s.Addr(), &imapclient.Options{TLSConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Login("anna", "pw").Wait(); err != nil {
		t.Fatal(err)
	}
	return c
}

// The client library that the product stands on understands all it is told.
func TestWithClientLibrary(t *testing.T) {
	s, a := start(t, imapmem.Options{Folders: []imapmem.Folder{{Name: "Gesendet", Use: mailproof.UseSent}}}, mailproof.ImplicitTLS)
	c := client(t, s)
	name := "Übersicht/Q&A/日本"
	if err := c.Create(name, &imap.CreateOptions{SpecialUse: []imap.MailboxAttr{imap.MailboxAttrArchive}}).Wait(); err != nil {
		t.Fatal(err)
	}
	body := []byte("Subject: x\r\n\r\n\x00\xff\r\nno end")
	cmd := c.Append(name, int64(len(body)), &imap.AppendOptions{Flags: []imap.Flag{imap.FlagSeen, "$label"}, Time: someDate})
	if _, err := cmd.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := cmd.Wait()
	if err != nil || data.UID != 1 || data.UIDValidity == 0 {
		t.Fatal(data, err)
	}
	boxes, err := c.List("", "*", &imap.ListOptions{ReturnSpecialUse: true, ReturnSubscribed: true, ReturnStatus: &imap.StatusOptions{NumMessages: true, UIDNext: true}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, b := range boxes {
		if b.Mailbox == name {
			found = slices.Contains(b.Attrs, imap.MailboxAttrArchive) && b.Status != nil && *b.Status.NumMessages == 1
		}
	}
	if !found {
		t.Errorf("%+v", boxes)
	}
	state, err := c.Select(name, &imap.SelectOptions{ReadOnly: true, CondStore: true}).Wait()
	if err != nil || state.NumMessages != 1 || state.UIDNext != 2 || state.HighestModSeq == 0 {
		t.Fatal(state, err)
	}
	got, err := c.Fetch(imap.UIDSetNum(1), &imap.FetchOptions{
		UID: true, Flags: true, InternalDate: true, RFC822Size: true, ModSeq: true,
		BodySection: []*imap.FetchItemBodySection{{Peek: true}, {Peek: true, Specifier: imap.PartSpecifierHeader}},
	}).Collect()
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	m := got[0]
	if !bytes.Equal(m.FindBodySection(&imap.FetchItemBodySection{Peek: true}), body) || !m.InternalDate.Equal(someDate) || m.RFC822Size != int64(len(body)) || len(m.Flags) != 2 {
		t.Errorf("%+v", m)
	}
	found2, err := c.UIDSearch(&imap.SearchCriteria{}, &imap.SearchOptions{ReturnAll: true}).Wait()
	if err != nil || !slices.Equal(found2.AllUIDs(), []imap.UID{1}) {
		t.Errorf("%+v, %v", found2, err)
	}
	if _, err := c.Store(imap.UIDSetNum(1), &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Collect(); err == nil {
		t.Error("STORE on an examined mailbox was accepted")
	}
	ns, err := c.Namespace().Wait()
	if err != nil || len(ns.Personal) != 1 || ns.Personal[0].Delim != '/' {
		t.Error(ns, err)
	}
	if _, err := c.GetQuotaRoot("INBOX").Wait(); err != nil {
		t.Error(err)
	}
	if err := c.Logout().Wait(); err != nil {
		t.Error(err)
	}
	if v := a.Activity().Violations; len(v) != 1 {
		t.Error(v)
	}
}

// Thirty connections at once, reading and writing, and no message too many or
// too few. The race detector watches.
func TestConcurrency(t *testing.T) {
	const clients, each = 10, 20
	s, a := start(t, imapmem.Options{}, mailproof.Plaintext)
	big := bytes.Repeat([]byte("0123456789abcde\n"), 1<<16)
	a.Append("Big", big, nil, someDate)
	var wg sync.WaitGroup
	for range clients {
		c, d := connect(t, s), connect(t, s)
		wg.Go(func() {
			for range each {
				c.append("INBOX", "x: y\r\n\r\n")
			}
		})
		wg.Go(func() {
			d.write("a SELECT INBOX\r\n")
			d.until("a")
			for range each {
				d.write("b UID STORE 1:* +FLAGS.SILENT (k)\r\nc NOOP\r\n")
				d.until("b")
				d.until("c")
			}
		})
		wg.Go(func() {
			if err := a.SetFlags("Big", 1, mailproof.NewFlags("k")); err != nil {
				t.Error(err)
			}
			a.Messages("INBOX")
			a.Activity()
		})
	}
	wg.Wait()
	if n := len(a.Messages("INBOX")); n != clients*each {
		t.Errorf("%d messages, want %d", n, clients*each)
	}
	c := connect(t, s)
	c.ok("EXAMINE Big")
	if got := literalOf(c.ok("FETCH 1 BODY.PEEK[]")[0]); got != string(big) {
		t.Error("the large message changed")
	}
}

// A large body is not copied for a fetch.
func TestLargeBodyIsShared(t *testing.T) {
	const size = 16 << 20
	s, a := start(t, imapmem.Options{}, mailproof.Plaintext)
	a.Append("INBOX", make([]byte, size), nil, someDate)
	c := connect(t, s)
	c.ok("EXAMINE INBOX")
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.write("f FETCH 1 BODY.PEEK[]\r\n")
			if _, err := c.r.ReadString('\n'); err != nil {
				b.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, c.r, size); err != nil {
				b.Fatal(err)
			}
			c.until("f")
		}
	})
	if got := result.AllocedBytesPerOp(); got > size/16 {
		t.Errorf("%d octets allocated for each fetch of %d", got, size)
	}
}
