package main

import (
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
)

// The scripts of what leads from the last diff to the signatures: probes,
// runbook, attestations, gates, history.
func TestSignOffScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/signoff",
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireExplicitExec: true,
		Setup:               setUpStage,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"mail":     mailCommand,
			"exitcode": exitCodeCommand,
			"relay":    relayCommand,
			"tamper":   tamperCommand,
			"expand":   expandCommand,
			"fits":     fitsCommand,
			"corrupt":  corruptCommand,
			"unread":   unreadCommand,
			"web":      webCommand,
		},
	})
}

// relay is a mail exchange that delivers into the accounts of the stage, and
// the name server that names it.
type relay struct {
	ts *testscript.TestScript
	st *stage

	mu sync.Mutex
	to []string // sides
}

var (
	relaysMu sync.Mutex
	relays   = map[*stage]*relay{}
)

// relayCommand says where mail is delivered from now on:
//
//	relay [source] [destination]    none: it is taken and lost
//	relay refuse                    it is refused
//
// The first call starts the servers and sets RELAY and MXDNS.
func relayCommand(ts *testscript.TestScript, neg bool, args []string) {
	st := stageOf(ts)
	relaysMu.Lock()
	defer relaysMu.Unlock()
	r := relays[st]
	if r == nil {
		r = &relay{ts: ts, st: st}
		relays[st] = r
		r.start()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to = args
}

func (r *relay) start() {
	server := smtp.NewServer(r)
	server.Domain, server.ReadTimeout, server.WriteTimeout = "mx.test", 10*time.Second, 10*time.Second
	l, err := net.Listen("tcp", "127.0.0.1:0")
	r.ts.Check(err)
	packet, err := net.ListenPacket("udp", "127.0.0.1:0")
	r.ts.Check(err)
	started := make(chan struct{})
	names := &dns.Server{PacketConn: packet, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, ask *dns.Msg) {
		m := new(dns.Msg).SetReply(ask)
		if ask.Question[0].Qtype == dns.TypeMX {
			m.Answer = []dns.RR{
				&dns.MX{Hdr: dns.RR_Header{Name: ask.Question[0].Name, Rrtype: dns.TypeMX, Class: dns.ClassINET}, Preference: 10, Mx: "mx.test."},
				&dns.MX{Hdr: dns.RR_Header{Name: ask.Question[0].Name, Rrtype: dns.TypeMX, Class: dns.ClassINET}, Preference: 5, Mx: "down.test."},
			}
		} else {
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m) // the client asks again
	})}
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(l) })
	group.Go(func() { _ = names.ActivateAndServe() })
	<-started
	r.ts.Defer(func() {
		_ = server.Close()
		_ = names.Shutdown()
		group.Wait()
	})
	r.ts.Setenv("RELAY", l.Addr().String())
	r.ts.Setenv("MXDNS", packet.LocalAddr().String())
}

func (r *relay) NewSession(*smtp.Conn) (smtp.Session, error) { return &relaySession{relay: r}, nil }

type relaySession struct {
	*relay
	user string
}

func (s *relaySession) Reset()                               {}
func (s *relaySession) Logout() error                        { return nil }
func (s *relaySession) Mail(string, *smtp.MailOptions) error { return nil }

func (s *relaySession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.to, "refuse") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "not from there"}
	}
	s.user, _, _ = strings.Cut(to, "@")
	return nil
}

func (s *relaySession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for side, server := range map[string]*imapmem.Server{"source": s.st.source, "destination": s.st.destination} {
		if slices.Contains(s.to, side) {
			server.Account(s.user).Append("INBOX", append([]byte("Received: from test by mx.test; "+time.Now().Format(time.RFC1123Z)+"\r\n"), raw...), mailproof.NewFlags(), time.Now())
		}
	}
	return nil
}

// unreadCommand says that nothing but reading was ever done to an account:
//
//	unread source anna
func unreadCommand(ts *testscript.TestScript, neg bool, args []string) {
	st := stageOf(ts)
	a := st.source.Account(args[1])
	if act := a.Activity(); act.Writes > 0 || len(act.Violations) > 0 {
		ts.Fatalf("%d writes, %v", act.Writes, act.Violations)
	}
}

// tamperCommand changes the ledger as somebody with an SQLite shell would, with
// all triggers out of the way:
//
//	tamper job/mailproof.db 'UPDATE message SET size = size + 1'
func tamperCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tamper FILE SQL")
	}
	ts.Check(tamper(ts.MkAbs(args[0]), args[1]))
}

// webCommand starts mailproof serve in the background, and asks it:
//
//	web start DIR            sets nothing; waits until it answers
//	web get PATH FILE        with the token; the body goes to FILE
//	web status CODE PATH     without the token
//	web stop
func webCommand(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(runWeb(ts, args))
}
