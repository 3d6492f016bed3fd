package main

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// mailHostCommand starts a mail server that takes mail for the addresses
// given, or for all with *, and puts where it listens into a variable. It ends
// the script in failure if anybody sends it more than questions:
//
//	mailhost VARIABLE ADDRESS…
func mailHostCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mailhost VARIABLE ADDRESS…")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	h := &mailHost{takes: args[1:]}
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Add(1)
			go func() { defer wg.Done(); h.serve(conn) }()
		}
	}()
	ts.Defer(func() {
		ts.Check(l.Close())
		wg.Wait()
		if len(h.strange) > 0 {
			ts.Fatalf("the mail server was sent %q", h.strange)
		}
	})
	ts.Setenv(args[0], l.Addr().String())
}

type mailHost struct {
	takes   []string
	mu      sync.Mutex
	strange []string
}

func (h *mailHost) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprint(conn, "220 mx.test ready\r\n")
	in := bufio.NewScanner(conn)
	for in.Scan() {
		reply := "250 2.0.0 ok"
		address, isRcpt := strings.CutPrefix(in.Text(), "RCPT TO:")
		switch {
		case isRcpt && !slices.Contains(h.takes, strings.Trim(address, "<>")) && h.takes[0] != "*":
			reply = "550 5.1.1 no such user"
		case isRcpt, in.Text() == "RSET", strings.HasPrefix(in.Text(), "EHLO "), strings.HasPrefix(in.Text(), "MAIL FROM:<"):
		case in.Text() == "QUIT":
			reply = "221 2.0.0 bye"
		default:
			h.mu.Lock()
			h.strange = append(h.strange, in.Text())
			h.mu.Unlock()
		}
		_, _ = fmt.Fprint(conn, reply+"\r\n")
	}
}
