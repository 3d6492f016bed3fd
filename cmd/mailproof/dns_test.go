package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
)

// internet is the name servers of a script: a root that holds example. too, a
// server for the two providers, two for northgate.example, and a resolver.
type internet struct {
	root, providers, ns1, ns2, resolver *dnsmem.Server
	seen                                int // questions for the MX, when dnsround last looked
}

// worlds holds the servers of each running script.
var worlds sync.Map // *testscript.TestScript → *internet

func worldOf(ts *testscript.TestScript) *internet {
	w, ok := worlds.Load(ts)
	if !ok {
		ts.Fatalf("no name servers: call dnsworld first")
	}
	return w.(*internet)
}

const rootZone = `$ORIGIN .
$TTL 86400
@ SOA a.root.example. hostmaster.root.example. 1 14400 3600 604800 300
@ NS a.root.example.
a.root.example. A 127.0.0.1
northgate.example. NS ns1.northgate.example.
northgate.example. NS ns2.northgate.example.
ns1.northgate.example. A 127.0.0.1
ns2.northgate.example. A 127.0.0.1
oldhost.example. NS ns.hosts.example.
meridian.example. NS ns.hosts.example.
ns.hosts.example. A 127.0.0.1
`

// hostZone is the zone of a provider. The addresses are public ones, which
// nothing connects to.
const hostZone = `$ORIGIN %[1]s.
$TTL 3600
@ SOA ns.hosts.example. hostmaster.hosts.example. 1 14400 3600 604800 300
@ NS ns.hosts.example.
mx1 A 45.0.%[2]d.25
spf TXT "v=spf1 ip4:45.0.%[2]d.0/26 -all"
autodiscover A 45.0.%[2]d.80
`

const hostProfile = `[[provider]]
id = "%[1]s"
name = "%[2]s"
mx = [["mx1.%[1]s.example 10"]]
spf = ["spf.%[1]s.example"]
domains = ["%[1]s.example"]
autodiscover = { cname = ["autodiscover.%[1]s.example"], redirect = true }
`

// dnsWorldCommand starts the name servers and writes a mailproof.toml that
// points to them:
//
//	dnsworld DIR
func dnsWorldCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: dnsworld DIR")
	}
	w := &internet{}
	start := func(zones ...string) *dnsmem.Server {
		s, err := dnsmem.Start(zones...)
		ts.Check(err)
		ts.Defer(func() { ts.Check(s.Close()) })
		return s
	}
	w.root = start(rootZone)
	w.providers = start(fmt.Sprintf(hostZone, "oldhost.example", 1), fmt.Sprintf(hostZone, "meridian.example", 2))
	w.ns1, w.ns2 = start(), start()
	var err error
	w.resolver, err = dnsmem.StartResolver(w.root, w.providers, w.ns1)
	ts.Check(err)
	ts.Defer(func() { ts.Check(w.resolver.Close()) })
	worlds.Store(ts, w)
	ts.Defer(func() { worlds.Delete(ts) })
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	files := map[string]string{
		"oldhost.toml":  fmt.Sprintf(hostProfile, "oldhost", "OldHost"),
		"meridian.toml": fmt.Sprintf(hostProfile, "meridian", "Meridian"),
		"mailproof.toml": fmt.Sprintf(`[engagement]
name = "Northgate"
domains = ["northgate.example"]
[dns]
profile = "meridian.toml"
old_profile = "oldhost.toml"
resolvers = [%q]
servers = { "." = %q, "ns.hosts.example" = %q, "ns1.northgate.example" = %q, "ns2.northgate.example" = %q }
`, w.resolver.Addr(), w.root.Addr(), w.providers.Addr(), w.ns1.Addr(), w.ns2.Addr()),
	}
	for name, text := range files {
		ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
}

func (w *internet) servers(ts *testscript.TestScript, names []string) []*dnsmem.Server {
	if len(names) == 0 {
		return []*dnsmem.Server{w.ns1, w.ns2}
	}
	var out []*dnsmem.Server
	for _, n := range names {
		s := map[string]*dnsmem.Server{"ns1": w.ns1, "ns2": w.ns2, "providers": w.providers, "root": w.root}[n]
		if s == nil {
			ts.Fatalf("no name server is called %s", n)
		}
		out = append(out, s)
	}
	return out
}

// zoneCommand puts a zone on name servers, by default on both of
// northgate.example; pairs OLD=>NEW edit it first:
//
//	zone FILE [ns1|ns2…] [OLD=>NEW…]
func zoneCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: zone FILE [ns1|ns2…] [OLD=>NEW…]")
	}
	text := ts.ReadFile(args[0])
	var names []string
	for _, arg := range args[1:] {
		old, replacement, ok := strings.Cut(arg, "=>")
		if !ok {
			names = append(names, arg)
			continue
		}
		if !strings.Contains(text, old) {
			ts.Fatalf("%s has no %q", args[0], old)
		}
		text = strings.ReplaceAll(text, old, replacement)
	}
	for _, s := range worldOf(ts).servers(ts, names) {
		ts.Check(s.SetZone(text))
	}
}

// dnsDownCommand makes name servers fail; ! brings them back:
//
//	dnsdown [ns1|ns2…]
func dnsDownCommand(ts *testscript.TestScript, neg bool, args []string) {
	behave := dnsmem.ServFail
	if neg {
		behave = dnsmem.Answer
	}
	for _, s := range worldOf(ts).servers(ts, args) {
		s.Behave(behave)
	}
}

// dnsRoundCommand waits until the domain's MX was asked for N times since the
// last dnsround:
//
//	dnsround N
func dnsRoundCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: dnsround N")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	w := worldOf(ts)
	deadline := time.Now().Add(30 * time.Second)
	for {
		asked := 0
		for _, q := range w.ns2.Queries() {
			if q.Name == "northgate.example." && q.Type == "MX" {
				asked++
			}
		}
		if asked >= w.seen+n {
			w.seen = asked
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the MX was asked for %d times, want %d", asked, w.seen+n)
		}
		runtime.Gosched()
		time.Sleep(5 * time.Millisecond) // between two looks at the log
	}
}

// dnsAskedCommand looks whether the resolver was asked for a name:
//
//	[!] dnsasked NAME
func dnsAskedCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] dnsasked NAME")
	}
	asked := false
	for _, q := range worldOf(ts).resolver.Queries() {
		asked = asked || q.Name == args[0]+"."
	}
	if asked == neg {
		ts.Fatalf("the resolver was asked for %s: %v", args[0], asked)
	}
}

// interruptCommand sends SIGINT to the background commands of the script.
func interruptCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: interrupt")
	}
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(os.Interrupt))
	}
}
