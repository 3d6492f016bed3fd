package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/oracle"
	"github.com/mailproof/mailproof/collect/imapmem"
)

func matches(text, pattern string) bool { return regexp.MustCompile(pattern).MatchString(text) }

// brokenWays are ten ways in which an account can be broken: how its two
// addresses are spoilt, and what the check must call that. Wrong passwords are
// shown to the servers that are named.
func brokenWays(t *testing.T, guarded [2]string) []brokenWay {
	ca := "?ca=" + url.QueryEscape(os.Getenv("MAILPROOF_TEST_CA"))
	real := func(server, user string) string {
		return "imaps://" + user + "@" + oracle.RealTLS(t, server, user).Addr + ca
	}
	closed, err := closedPort()
	must(t, err)
	picky := imapmem.New(imapmem.Options{
		Name: "Picky", AppendLimit: 2000, OnSignIn: func(user string) error {
			switch {
			case strings.Contains(user, "disabled"):
				return errors.New("[AUTHENTICATIONFAILED] Account is disabled")
			case strings.Contains(user, "unconnected"):
				return errors.New("User is authenticated but not connected.")
			}
			return nil
		},
	})
	must(t, picky.Start(t.Context(), mailproof.Plaintext))
	t.Cleanup(func() { _ = picky.Close() })
	pick := func(user string) string {
		a := picky.AddAccount(user, oracle.Password)
		if strings.Contains(user, "quota") {
			a.SetQuota(1024)
		}
		return "imap://" + user + "@" + picky.Addr() + "?tls=none"
	}
	return []brokenWay{
		{name: "nohost", id: "network.name", source: func(u string) string { return "imaps://" + u + "@no-such-host.invalid" }},
		{name: "closed", id: "network.port", source: func(u string) string { return "imaps://" + u + "@" + closed }},
		{name: "cert", id: "tls.authority", source: func(u string) string { return strings.TrimSuffix(real("DOVECOT", u), ca) }},
		{name: "notls", id: "tls.none", source: func(u string) string {
			return "imaps://" + u + "@" + oracle.Real(t, "DOVECOT", u).Addr
		}},
		{name: "wrongsource", id: "sign-in.refused", source: func(u string) string { return real(guarded[0], u) }, sourcePassword: "MP_WRONG"},
		{name: "wrongdestination", id: "sign-in.refused", destination: func(u string) string { return real(guarded[1], u) }, destinationPassword: "MP_WRONG"},
		{name: "disabled", id: "sign-in.locked", destination: pick},
		{name: "unconnected", id: "sign-in.not-connected", destination: pick},
		{name: "quota", id: "quota.small", destination: pick, mail: 1500},
		{name: "toolarge", id: "message.too-large", destination: pick, mail: 5000},
	}
}

type brokenWay struct {
	name, id                            string
	source, destination                 func(user string) string
	sourcePassword, destinationPassword string
	mail                                int // octets of a message on the source
}

// A long list of which some are broken, in ten ways, against real Dovecot: each
// broken account is named with its cause and its remedy, and the rest are ready.
// MAILPROOF_LONG makes it 2,000 accounts of which one in twenty is broken.
func TestCheckOfManyAccounts(t *testing.T) {
	// Dovecot makes an address wait that shows it wrong passwords, for longer each
	// time, and with it everybody who signs in from there: that measures Dovecot.
	// Where mechanisms are tested it is told not to.
	total, every, guarded := 60, 6, [2]string{"DOVECOTAUTH", "DOVECOTAUTH"}
	if os.Getenv("MAILPROOF_LONG") != "" {
		total, every = 2000, 20
	}
	t.Setenv("MP_WRONG", "not-"+oracle.Password)
	ca := "?ca=" + url.QueryEscape(os.Getenv("MAILPROOF_TEST_CA"))
	source, destination := oracle.RealTLS(t, "DOVECOT", ""), oracle.RealTLS(t, "DOVECOT2", "")
	ways := brokenWays(t, guarded)
	prefix := fmt.Sprintf("p7m%x", time.Now().UnixNano())
	const header = "name,source,source_password,destination,destination_password\n"
	var rows []string
	want := map[string]string{}
	for i := range total {
		user := fmt.Sprintf("%s-%d", prefix, i)
		src, dst, srcPW, dstPW := "imaps://"+user+"@"+source.Addr+ca, "imaps://"+user+"@"+destination.Addr+ca, "MP_PW", "MP_PW"
		if i%every == every/2 {
			w := ways[i/every%len(ways)]
			user = fmt.Sprintf("%s-%s-%d", prefix, w.name, i)
			src, dst = "imaps://"+user+"@"+source.Addr+ca, "imaps://"+user+"@"+destination.Addr+ca
			want[user] = w.id
			if w.source != nil {
				src = w.source(user)
			}
			if w.destination != nil {
				dst = w.destination(user)
			}
			if w.sourcePassword != "" {
				srcPW = w.sourcePassword
			}
			if w.destinationPassword != "" {
				dstPW = w.destinationPassword
			}
			if w.mail > 0 {
				c, err := oracle.Dial(t.Context(), oracle.RealTLS(t, "DOVECOT", user))
				must(t, err)
				must(t, c.Append("INBOX", oracle.Outgoing{Raw: letter("of "+user, w.mail/16), Date: sentOn}))
				c.Close()
			}
		}
		rows = append(rows, fmt.Sprintf("%s,%s,env:%s,%s,env:%s\n", user, src, srcPW, dst, dstPW))
	}
	path := filepath.Join(t.TempDir(), "list.csv")
	must(t, os.WriteFile(path, []byte(header+strings.Join(rows, "")), 0o600))

	var out, errOut bytes.Buffer
	started := time.Now()
	code := run(t.Context(), []string{"check", "--dir", t.TempDir(), "--accounts", path, "--json", "--progress", "off"}, strings.NewReader(""), &out, &errOut)
	t.Logf("%d accounts in %s", total, time.Since(started).Round(time.Millisecond))
	if code != 1 {
		t.Fatalf("exit code %d\n%s", code, errOut.String())
	}
	var got struct {
		Ready    bool
		Accounts []checkAccountJSON
	}
	must(t, json.Unmarshal(out.Bytes(), &got))
	if got.Ready || len(got.Accounts) != total {
		t.Fatalf("ready %v, %d accounts", got.Ready, len(got.Accounts))
	}
	for _, a := range got.Accounts {
		id, broken := want[a.Name]
		switch {
		case a.Ready == broken:
			t.Errorf("%s: ready %v: %q", a.Name, a.Ready, a.Problems)
		case broken && (len(a.Troubles) == 0 || a.Troubles[0].ID != id || a.Troubles[0].Next == "" || a.Problems[0] == ""):
			t.Errorf("%s: %+v, want %s with what to do", a.Name, a.Troubles, id)
		}
	}
	if t.Failed() {
		return
	}
	// As one screen: every broken account has its row. Of the others a few will do.
	const few = 15
	healthy := 0
	rows = slices.DeleteFunc(rows, func(row string) bool {
		name, _, _ := strings.Cut(row, ",")
		if _, broken := want[name]; !broken {
			healthy++
		}
		return want[name] == "" && healthy > few
	})
	must(t, os.WriteFile(path, []byte(header+strings.Join(rows, "")), 0o600))
	out.Reset()
	run(t.Context(), []string{"check", "--dir", t.TempDir(), "--accounts", path, "--progress", "off"}, strings.NewReader(""), &out, &errOut)
	for name := range want {
		if !strings.Contains(out.String(), name[len(name)-8:]) {
			t.Errorf("no row of %s", name)
		}
	}
	if !strings.Contains(out.String(), fmt.Sprintf("… %d more, all ready", few)) || !strings.Contains(out.String(), fmt.Sprintf("not ready: %d of", len(want))) {
		t.Errorf("the screen:\n%s", out.String())
	}
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 100 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
