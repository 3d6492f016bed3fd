package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/oracle"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/transfer"
)

// BenchmarkSeveral sends 1,000 messages of 4.4 KB to one folder, with a round trip
// of 40 ms, over up to 1, 2, 4 and 8 connections: to an embedded server without
// MULTIAPPEND and LITERAL+, to one with LITERAL+ alone, to Courier, and to Cyrus,
// which has both and so gets one connection whatever may be had.
func BenchmarkSeveral(b *testing.B) {
	servers := map[string]func(testing.TB) oracle.Login{
		"courier":    func(t testing.TB) oracle.Login { return oracle.Real(t, "COURIER", oracle.NewUser()) },
		"cyrus":      func(t testing.TB) oracle.Login { return oracle.Real(t, "CYRUS", oracle.NewUser()) },
		"one by one": embedded("MULTIAPPEND", "LITERAL+"),
		"pipelined":  embedded("MULTIAPPEND"),
	}
	for name, login := range servers {
		for _, most := range []int{1, 2, 4, 8} {
			b.Run(fmt.Sprintf("%s/%d", name, most), func(b *testing.B) {
				for b.Loop() {
					n := sendFar(b, login(b), most)
					b.ReportMetric(float64(n), "connections")
				}
				b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}

func embedded(hide ...string) func(testing.TB) oracle.Login {
	return func(t testing.TB) oracle.Login {
		s := imapmem.New(imapmem.Options{Hide: hide})
		s.AddAccount("anna", "pw")
		if err := s.Start(context.Background(), mailproof.Plaintext); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return oracle.Login{Addr: s.Addr(), User: "anna", Password: "pw"}
	}
}

// sendFar returns how many connections took part.
func sendFar(b *testing.B, login oracle.Login, most int) (connections int) {
	relay, err := newRelay(login.Addr, 40*time.Millisecond)
	if err != nil {
		b.Fatal(err)
	}
	host, port, err := net.SplitHostPort(relay.addr())
	if err != nil {
		b.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		b.Fatal(err)
	}
	c := imapconn.Config{Endpoint: mailproof.Endpoint{User: login.User, Host: host, Port: n, Security: mailproof.Plaintext}, Password: mailproof.NewSecret(login.Password)}
	first, err := imapconn.DialWriter(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	room, connections := make(chan struct{}, most-1), 1
	o := transfer.Options{Pass: 1, Account: "anna"}
	if first.Several() && most > 1 {
		o.More = func(ctx context.Context) (transfer.Destination, func(), bool) {
			select {
			case room <- struct{}{}:
			default:
				return nil, nil, false
			}
			w, err := imapconn.DialWriter(ctx, c)
			if err != nil {
				b.Error(err)
				return nil, nil, false
			}
			return w, func() { _ = w.Close() }, true // its answers are in
		}
	}
	s := transfer.NewSender(b.Context(), first, noJournal{}, o)
	for i := range 1000 {
		raw := fmt.Appendf(nil, "From: a@example.com\r\nSubject: %d\r\n\r\n%s", i, bytes.Repeat([]byte("0123456789\r\n"), 360))
		step := mailproof.Step{Kind: mailproof.AppendMessage, Target: "INBOX", Size: int64(len(raw)), T0: sha256.Sum256(raw), Source: mailproof.MessageKey{UID: mailproof.UID(i + 1)}}
		if err := s.Send(b.Context(), transfer.Message{Step: step, Body: inMemory(raw)}); err != nil {
			b.Fatal(err)
		}
	}
	sum, err := s.Close()
	if err != nil || sum.Appended != 1000 {
		b.Fatalf("%+v, %v", sum, err)
	}
	connections += len(room)
	if err := first.Close(); err != nil {
		b.Fatal(err)
	}
	if err := relay.close(); err != nil {
		b.Fatal(err)
	}
	return connections
}

// inMemory is a body in memory.
type inMemory []byte

func (m inMemory) Size() int64                 { return int64(len(m)) }
func (m inMemory) T0() (mailproof.Hash, error) { return sha256.Sum256(m), nil }
func (m inMemory) Reader() io.ReadSeeker       { return bytes.NewReader(m) }
func (m inMemory) Release() error              { return nil }

// noJournal remembers nothing.
type noJournal struct{}

func (noJournal) Intend(_ context.Context, _ mailproof.PassID, steps []mailproof.Step) ([]int64, error) {
	return make([]int64, len(steps)), nil
}

func (noJournal) Record(context.Context, mailproof.PassID, []int64, []mailproof.StepResult) error {
	return nil
}
