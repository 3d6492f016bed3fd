// Package demo sets the stage for mailproof demo: two IMAP servers and a name
// server on loopback, and the mail of a small company that moves from the one
// provider to the other. It only makes the world; the work on it is done by
// the same code that works on real servers.
//
// The world holds what makes real migrations hard: nested and non-ASCII
// folders, true duplicates, missing Message-IDs, 8-bit headers, attachments, a
// message of 30 MB, one account whose new server rewrites every message as
// Exchange does, and one message that the new server refuses.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/mailgen"
	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
)

// The cast. Domains are those that RFC 2606 keeps for examples.
const (
	Domain = "northgate.example"
	// Rewritten is the account whose destination rebuilds messages.
	Rewritten = "dmitri@" + Domain
	// Refused is the account of the message that the destination refuses.
	Refused = "erin@" + Domain
	// Large is the account with the message of 30 MB.
	Large = "bruno@" + Domain

	password = "correct horse battery staple"
)

// Refusal is what the destination says to the message that it refuses.
const Refusal = "[CANNOT] message rejected: executable attachment setup.exe"

// World is the stage while the demo runs.
type World struct {
	Source, Destination *imapmem.Server
	root, names         *dnsmem.Server
	dir                 string
	users               []string
	later               *mailgen.Generator
}

// people are the accounts, with how much mail each has.
var people = []struct {
	user              string
	messages, folders int
}{
	{"anna@" + Domain, 160, 14},
	{Large, 90, 9},
	{"chiara@" + Domain, 120, 11},
	{Rewritten, 80, 7},
	{Refused, 70, 8},
}

// New builds the world. dir receives the certificate authorities of the two
// servers and the profiles of the two providers.
func New(ctx context.Context, dir string) (*World, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	w := &World{dir: dir, later: mailgen.New(2026)}
	w.Source = imapmem.New(imapmem.Options{
		Name: "OldHost IMAP", Separator: ".", Prefix: "INBOX.",
	})
	w.Destination = imapmem.New(imapmem.Options{
		Name: "Meridian Mail", Separator: "/", OnAppend: receive,
		Folders: []imapmem.Folder{{Name: "Sent Items", Use: mailproof.UseSent}, {Name: "Trash", Use: mailproof.UseTrash}},
	})
	for i, p := range people {
		w.users = append(w.users, p.user)
		w.fill(w.Source.AddAccount(p.user, password), mailgen.New(uint64(40+i)).Account(mailgen.Profile{Messages: p.messages, Folders: p.folders, EmptyFolder: i == 0}))
		w.Destination.AddAccount(p.user, password)
	}
	w.furnish()
	err := errors.Join(
		w.Source.Start(ctx, mailproof.ImplicitTLS), w.Destination.Start(ctx, mailproof.ImplicitTLS),
		w.authority("oldhost-ca.pem", w.Source), w.authority("meridian-ca.pem", w.Destination), w.openDNS(),
	)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Close ends the servers.
func (w *World) Close() error {
	err := errors.Join(w.Source.Close(), w.Destination.Close())
	for _, s := range []*dnsmem.Server{w.root, w.names} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return err
}

func (w *World) fill(a *imapmem.Account, mail *mailgen.Account) {
	for _, f := range mail.Folders {
		name := w.Source.Name(f.Path...)
		if name != "INBOX" {
			a.Create(name, f.Use)
			a.Subscribe(name, true)
		}
		for _, m := range f.Messages {
			a.Append(name, m.Raw, m.Flags, m.Date)
		}
	}
}

// furnish adds the two messages that the story turns on.
func (w *World) furnish() {
	date := time.Date(2026, 5, 11, 9, 30, 0, 0, time.UTC)
	w.Source.Account(Large).Append("INBOX", mailgen.LargeMessage(30, 30<<20, date), mailproof.NewFlags(`\Seen`, `\Flagged`), date)
	raw := strings.ReplaceAll(`From: IT service desk <it@northgate.example>
To: Erin Doyle <erin@northgate.example>
Subject: The new scanner driver
Date: Tue, 12 May 2026 16:04:00 +0000
Message-ID: <driver.20260512@northgate.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="driver"

--driver
Content-Type: text/plain; charset=utf-8

Hello Erin, please install this when you are next in the office.
--driver
Content-Type: application/octet-stream; name="setup.exe"
Content-Disposition: attachment; filename="setup.exe"
Content-Transfer-Encoding: base64

TVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAA==
--driver--
`, "\n", "\r\n")
	w.Source.Account(Refused).Append("INBOX", []byte(raw), mailproof.NewFlags(`\Seen`), date.Add(31*time.Hour))
}

// receive is the destination's way with what it is given: it refuses one
// message, and rebuilds those of one account.
func receive(account, _ string, raw []byte) ([]byte, error) {
	if bytes.Contains(raw, []byte(`filename="setup.exe"`)) {
		return nil, errors.New(Refusal)
	}
	if account == Rewritten {
		return imapmem.Exchange(raw), nil
	}
	return raw, nil
}

func (w *World) authority(name string, s *imapmem.Server) error {
	pem, err := s.CA()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(w.dir, name), pem, 0o644)
}

// Accounts are the accounts of both servers, with their passwords at hand.
func (w *World) Accounts() []engagement.Account {
	secret := func(context.Context) (mailproof.Secret, error) { return mailproof.NewSecret(password), nil }
	out := make([]engagement.Account, len(w.users))
	for i, u := range w.users {
		a := mailproof.Account{Name: u, Source: w.Source.Endpoint(u), Destination: w.Destination.Endpoint(u)}
		a.Source.CAFile = filepath.Join(w.dir, "oldhost-ca.pem")
		a.Destination.CAFile = filepath.Join(w.dir, "meridian-ca.pem")
		out[i] = engagement.Account{Account: a, SourcePassword: secret, DestinationPassword: secret}
	}
	return out
}

// Meanwhile is what goes on between the first copy and the last: mail arrives
// at the old server, some is deleted, some is flagged.
func (w *World) Meanwhile() (arrived, deleted, flagged int, err error) {
	when := time.Date(2026, 11, 20, 7, 40, 0, 0, time.UTC)
	for i, u := range w.users {
		a := w.Source.Account(u)
		for n := range 2 {
			date := when.Add(time.Duration(10*i+n) * time.Minute)
			a.Append("INBOX", w.later.Message(mailgen.Kinds()[(2*i+n)%5], date), nil, date)
			arrived++
		}
		inbox := a.Messages("INBOX")
		if len(inbox) < 6 {
			return arrived, deleted, flagged, fmt.Errorf("demo: the inbox of %s has %d messages only", u, len(inbox))
		}
		if !inbox[1].Flags.Has("$Followup") {
			flagged++
		}
		if err := a.SetFlags("INBOX", inbox[1].UID, append(inbox[1].Flags, "$Followup")); err != nil {
			return arrived, deleted, flagged, err
		}
		if i == 0 {
			if err := a.Remove("INBOX", inbox[2].UID); err != nil {
				return arrived, deleted, flagged, err
			}
			deleted++
		}
	}
	return arrived, deleted, flagged, nil
}

// SourceWrites counts what was written to the source by its clients: it must
// stay 0.
func (w *World) SourceWrites() int {
	n := 0
	for _, u := range w.users {
		act := w.Source.Account(u).Activity()
		n += act.Writes + len(act.Violations)
	}
	return n
}
