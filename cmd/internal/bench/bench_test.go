package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/mailproof/mailproof/cmd/internal/oracle"
)

// What bench has done in a process of its own is done by the test's program here.
func TestMain(m *testing.M) {
	flag.Parse()
	if known, err := runTask(context.Background(), flag.Args(), os.Stdout); known {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The short form of make bench: every measurement runs, on little mail. It
// asserts no time, only that nothing was lost on the way and that every line of
// the table is there.
func TestMeasure(t *testing.T) {
	o := options{source: oracle.Real(t, "DOVECOT", "").Addr, destination: oracle.Real(t, "DOVECOT2", "").Addr, scale: 0.01, rounds: 1}
	var out bytes.Buffer
	if err := measure(t.Context(), o, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	for _, want := range []string{"limit, raw MULTIAPPEND", "mailproof copy", "inventory of a", "inventory of b", "whole proof of a", "octets downloaded",
		"nothing new", "peak RSS of run and seal", "1000 messages in"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q", want)
		}
	}
	if strings.Contains(out.String(), "holds") || strings.Contains(out.String(), "exit status") {
		t.Error("a copy lost mail or failed")
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// The limit itself carries everything over, or it would be no limit.
func TestLimitCopiesAll(t *testing.T) {
	from, to := oracle.Real(t, "DOVECOT", oracle.NewUser()), oracle.Real(t, "DOVECOT2", oracle.NewUser())
	c := corpusA(0.01)
	octets, err := c.fill(t.Context(), from.Addr, from.User, from.Password)
	if err != nil {
		t.Fatal(err)
	}
	src, dst := side{from.Addr, from.User, from.Password}, side{to.Addr, to.User, to.Password}
	if err := limitCopy(t.Context(), src, dst); err != nil {
		t.Fatal(err)
	}
	n, read, err := drain(t.Context(), dst, nil)
	if err != nil || n != int64(c.messages) || read != octets {
		t.Errorf("%d messages of %d octets, want %d of %d: %v", n, read, c.messages, octets, err)
	}
}
