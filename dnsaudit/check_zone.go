package dnsaudit

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"

	"github.com/mailproof/mailproof"
)

var zoneChecks = []check{
	{CheckInfo{"ns.lame", "every address of every name server answers with authority", "RFC 1912 §2.8", always}, nsLame},
	{CheckInfo{"ns.parent", "the parent and the zone list the same name servers", "RFC 1034 §4.2.2", always}, nsParent},
	{CheckInfo{"ns.rrset", "all authoritative servers hold the same records", "RFC 1034 §4.3.5", always}, nsRecords},
	{CheckInfo{"soa.negative", "\"no such record\" is cached for an hour at most", "RFC 2308 §5", always}, soaNegative},
	{CheckInfo{"soa.timers", "the SOA timers bound the lag of a secondary", "RFC 1912 §2.2", always}, soaTimers},
	{CheckInfo{"udp.tc", "answers too large for UDP can be had over TCP", "RFC 7766 §5", always}, udpTruncated},
	{CheckInfo{"dnssec.bogus", "the listed resolvers can validate the zone", "RFC 4035 §5.5", always}, dnssecBogus},
	{CheckInfo{"dnssec.window", "no signature expires around the cut-over", "RFC 4035 §5.3.1", always}, dnssecWindow},
	{CheckInfo{"dnssec.ds", "a DS record of the parent matches a key of the zone", "RFC 4035 §5.2", always}, dnssecDS},
}

var ttlChecks = []check{
	{CheckInfo{"ttl.plan", "the records to change have a TTL of an hour at most", "RFC 1912 §2.2", atPlanning}, ttlPlan},
	{CheckInfo{"ttl.ready", "the records to change have a TTL of five minutes at most, and had it for one old TTL", "RFC 1912 §2.2", atReadiness}, ttlReady},
	{CheckInfo{"ttl.mixed", "the records of one set have the same TTL", "RFC 2181 §5.2", always}, ttlMixed},
	{CheckInfo{"ttl.safe", "no cache can hold the old records any more", "RFC 1034 §4.3.4", afterwards}, ttlSafe},
}

// ways of a server, from best to worst.
const (
	answersWell = iota
	saysNothing
	answersBadly
)

// conduct folds what one server said to all questions.
func (d *dossier) conduct() map[Server]map[string]int {
	out := map[Server]map[string]int{}
	for _, s := range d.zone.servers {
		out[s] = map[string]int{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range d.views {
		if !d.tellsConduct(v) {
			continue
		}
		for _, r := range v.Replies {
			if out[r.Server] == nil {
				out[r.Server] = map[string]int{}
			}
			switch {
			case conclusive(r):
				out[r.Server]["answered"]++
			case errors.Is(r.Err, errTCP): // the business of udp.tc
			case r.Err != nil:
				var deaf deafError
				if err := r.Err; errors.As(err, &deaf) {
					out[r.Server][deaf.cause.Error()]++
				} else {
					out[r.Server][err.Error()]++
				}
			default:
				out[r.Server][state(r)]++
			}
		}
	}
	return out
}

// tellsConduct picks the questions by which a server is judged: those for what
// every zone has. A server that knows only some other type not is not lame.
func (d *dossier) tellsConduct(v *View) bool {
	if v.Name != d.domain && v.Name != d.zone.apex {
		return false
	}
	switch v.Type {
	case dns.TypeSOA, dns.TypeNS, dns.TypeMX, dns.TypeTXT, dns.TypeA:
		return true
	}
	return false
}

func nsLame(d *dossier) []mailproof.Finding {
	if d.zoneErr != nil {
		return one(unknown, "name servers that answer", d.zoneErr.Error(), askAgain)
	}
	var lines []string
	worst, silent, hosts := pass, 0, d.conduct()
	for s, said := range hosts {
		way, what := verdictOn(said)
		switch way {
		case answersBadly:
			worst = fail
			lines = append(lines, s.String()+": "+what)
		case saysNothing:
			silent++
			lines = append(lines, s.String()+": "+what)
		}
	}
	for _, name := range d.zone.noAddress {
		worst = fail
		lines = append(lines, display(name)+": no address")
	}
	for _, why := range d.zone.unlooked {
		if lines = append(lines, why); worst == pass {
			worst = unknown
		}
	}
	switch {
	case silent == len(hosts):
		worst = fail
	case silent > 0 && worst == pass:
		worst = unknown
	}
	sort.Strings(lines)
	if len(lines) == 0 {
		lines = []string{"the one server answers with authority"}
		if len(hosts) != 1 {
			lines[0] = fmt.Sprintf("all %d servers answer with authority", len(hosts))
		}
	}
	if len(d.zone.skipped) > 0 {
		lines = append(lines, "not asked, for want of IPv6 here: "+strings.Join(d.zone.skipped, ", "))
	}
	remedy := ""
	if worst != pass {
		remedy = "make the server serve " + display(d.zone.apex) + ", or delete its NS record at the registrar and in the zone"
	}
	return one(worst, "authoritative answers from every address", strings.Join(lines, "; "), remedy)
}

// verdictOn says how a server behaves on the whole: an error answer is worse
// than silence, and silence to all is needed to call a server silent.
func verdictOn(said map[string]int) (int, string) {
	var bad, quiet []string
	for what := range said {
		switch {
		case what == "answered":
		case what == "no authority (AA=0)", dns.StringToRcode[what] != 0:
			bad = append(bad, what)
		default:
			quiet = append(quiet, what)
		}
	}
	sort.Strings(bad)
	sort.Strings(quiet)
	switch {
	case len(bad) > 0:
		return answersBadly, strings.Join(bad, ", ")
	case len(quiet) > 0:
		return saysNothing, strings.Join(quiet, ", ")
	case said["answered"] == 0:
		return saysNothing, "not asked"
	}
	return answersWell, ""
}

func nsParent(d *dossier) []mailproof.Finding {
	v := d.view(orRoot(d.zone), dns.TypeNS)
	switch {
	case d.zoneErr != nil:
		return one(unknown, "", d.zoneErr.Error(), askAgain)
	case d.zone.given:
		return one(info, "", "the name servers were given by hand; the parent was not asked", "")
	case len(d.zone.nsParent) == 0:
		return one(info, "", "the parent's referral was not seen: its servers hold the zone as well, or it is out of reach", "")
	}
	parent := d.zone.nsParent
	f := v.judge(func(x variant) ruling {
		child := nsNames(x.records, d.zone.apex)
		extra, lost := missing(child, parent), missing(parent, child)
		if len(extra)+len(lost) == 0 {
			return ruling{outcome: pass}
		}
		outcome := warn
		if otherOperators(parent, child) {
			outcome = fail
		}
		var c change
		for _, name := range lost {
			c.create(d.zone.apex, dns.TypeNS, name)
		}
		text := fmt.Sprintf("parent: %s; zone: %s", displayAll(parent), displayAll(child))
		return ruling{outcome, text, strings.TrimSpace(c.String() + "\n; or have the registrar list " + displayAll(child))}
	})
	return expecting(f, "parent and zone agree: "+displayAll(parent))
}

func orRoot(z *zone) string {
	if z == nil {
		return "."
	}
	return z.apex
}

func displayAll(list []string) string {
	out := make([]string, 0, len(list))
	for _, n := range list {
		out = append(out, display(n))
	}
	return strings.Join(out, ", ")
}

// otherOperators reports whether two sets of name servers have no
// registered domain in common.
func otherOperators(a, b []string) bool {
	of := func(list []string) map[string]bool {
		out := map[string]bool{}
		for _, n := range list {
			registered, err := publicsuffix.EffectiveTLDPlusOne(display(n))
			if err != nil {
				registered = display(n)
			}
			out[registered] = true
		}
		return out
	}
	left := of(a)
	for name := range of(b) {
		if left[name] {
			return false
		}
	}
	return len(a) > 0 && len(b) > 0
}

// nsRecords compares the RRsets themselves: serials say nothing where zones
// are fed by other means than transfers.
func nsRecords(d *dossier) []mailproof.Finding {
	outcome := d.byPhase(warn, warn, fail)
	var differ, silent []string
	d.mu.Lock()
	keys := make([]lookupKey, 0, len(d.views))
	for k := range d.views {
		keys = append(keys, k)
	}
	d.mu.Unlock()
	sort.Slice(keys, func(i, j int) bool {
		if keys[i].name != keys[j].name {
			return keys[i].name < keys[j].name
		}
		return keys[i].qtype < keys[j].qtype
	})
	for _, k := range keys {
		v := d.view(k.name, k.qtype)
		if k.qtype == dns.TypeSOA || k.qtype == dns.TypeDS {
			continue
		}
		if len(v.variants()) > 1 {
			differ = append(differ, fmt.Sprintf("%s %s: %s", display(k.name), typeName(k.qtype), v.observed()))
		}
		if len(v.variants()) == 0 && !v.unknownType() {
			silent = union(silent, []string{display(k.name) + " " + typeName(k.qtype) + ": " + v.observed()})
		}
		for _, r := range v.unasked() {
			silent = union(silent, []string{r.Server.String() + ": " + state(r)})
		}
	}
	serials := d.serials()
	switch {
	case d.zoneErr != nil:
		return one(unknown, "", d.zoneErr.Error(), askAgain)
	case len(differ) > 0:
		return one(outcome, "the same records on all servers", strings.Join(append(differ, serials...), "\n"),
			"raise the serial, reload the zone, and make the secondaries fetch it; then ask again")
	case len(silent) > 0:
		return one(unknown, "the same records on all servers", strings.Join(silent, "; "), askAgain)
	}
	return one(pass, "the same records on all servers", strings.Join(append([]string{fmt.Sprintf("%d record sets agree", len(keys))}, serials...), "; "), "")
}

// serials lists the SOA serial of each server where they differ.
func (d *dossier) serials() []string {
	if d.zone == nil {
		return nil
	}
	var out []string
	variants := d.view(d.zone.apex, dns.TypeSOA).variants()
	if len(variants) < 2 {
		return nil
	}
	for _, x := range variants {
		for _, rr := range x.records {
			if soa, ok := rr.(*dns.SOA); ok {
				out = append(out, fmt.Sprintf("serial %d: %s", soa.Serial, servers(x.servers)))
			}
		}
	}
	return out
}

func (d *dossier) soa() *View { return d.view(orRoot(d.zone), dns.TypeSOA) }

func (x variant) soa() *dns.SOA {
	for _, rr := range x.records {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa
		}
	}
	return nil
}

func soaNegative(d *dossier) []mailproof.Finding {
	f := d.soa().judge(func(x variant) ruling {
		soa := x.soa()
		if soa == nil {
			return ruling{unknown, "no SOA record", askAgain}
		}
		ttl := min(soa.Hdr.Ttl, soa.Minttl)
		text := fmt.Sprintf("%d s", ttl)
		if ttl <= 3600 {
			return ruling{pass, text, ""}
		}
		better := dns.Copy(soa).(*dns.SOA)
		better.Minttl, better.Serial = 300, soa.Serial+1
		var c change
		c.remove(soa)
		c.add = append(c.add, "add "+record(better))
		return ruling{d.byPhase(warn, warn, info), text + ": a resolver that asks for a new name too early will not see it for that long", c.String()}
	})
	return expecting(f, "at most 3600 s")
}

func soaTimers(d *dossier) []mailproof.Finding {
	f := d.soa().judge(func(x variant) ruling {
		soa := x.soa()
		if soa == nil {
			return ruling{unknown, "no SOA record", askAgain}
		}
		var low []string
		for _, t := range []struct {
			name  string
			value uint32
			least uint32
		}{{"refresh", soa.Refresh, 14400}, {"retry", soa.Retry, 3600}, {"expire", soa.Expire, 604800}} {
			if t.value < t.least {
				low = append(low, fmt.Sprintf("%s %d s, below %d", t.name, t.value, t.least))
			}
		}
		text := fmt.Sprintf("refresh %d s bounds the lag of a secondary that missed its NOTIFY", soa.Refresh)
		if len(low) > 0 {
			return ruling{info, strings.Join(low, ", ") + "; " + text, ""}
		}
		return ruling{pass, text, ""}
	})
	return expecting(f, "refresh ≥ 14400 s, retry ≥ 3600 s, expire ≥ 604800 s")
}

func udpTruncated(d *dossier) []mailproof.Finding {
	if d.zoneErr != nil {
		return one(unknown, "TCP where UDP is too small", d.zoneErr.Error(), askAgain)
	}
	var failed []string
	tcp, asked := 0, 0
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, v := range d.views {
		if v.Type == dns.TypeDS {
			continue // the parent's servers said that
		}
		for _, r := range v.Replies {
			switch {
			case r.Truncated:
				failed = append(failed, fmt.Sprintf("%s: %s %s: %s", r.Server, display(v.Name), typeName(v.Type), r.Err))
			case r.Err == nil && r.Network == "tcp":
				tcp++
			}
			if conclusive(r) {
				asked++
			}
		}
	}
	sort.Strings(failed)
	switch {
	case len(failed) > 0:
		return one(fail, "TCP where UDP is too small", strings.Join(failed, "; "), "open TCP port 53 of the name server")
	case asked == 0:
		return one(unknown, "TCP where UDP is too small", "no server answered", askAgain)
	case tcp > 0:
		return one(pass, "TCP where UDP is too small", fmt.Sprintf("%d answers came over TCP", tcp), "")
	}
	return one(pass, "TCP where UDP is too small", "every answer fits into UDP", "")
}

// toChange are the watched records that the migration replaces: not the MX
// where a filter keeps it.
func (d *dossier) toChange() []*View {
	var out []*View
	for _, k := range d.watched() {
		if k.qtype == dns.TypeMX && d.cfg.Profile.MXOwner == "filter" {
			continue
		}
		out = append(out, d.view(k.name, k.qtype))
	}
	return out
}

// ttlLines prints the records of a view with another TTL.
func ttlLines(v *View, ttl uint32) string {
	x, ok := v.first()
	if !ok {
		return ""
	}
	var lines []string
	for _, rr := range append(append([]dns.RR(nil), x.records...), aliasOf(v, x)...) {
		c := dns.Copy(rr)
		c.Header().Ttl = ttl
		lines = append(lines, "change "+record(c))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func ttlPlan(d *dossier) []mailproof.Finding {
	return d.eachToChange("a TTL of at most 3600 s", func(v *View) ruling {
		ttl := v.maxTTL()
		text := fmt.Sprintf("%s %s: %d s", display(v.Name), typeName(v.Type), ttl)
		if ttl <= 3600 {
			return ruling{pass, text, ""}
		}
		when := fmt.Sprintf("; at least %s before the cut-over", seconds(ttl))
		if !d.cfg.CutOver.IsZero() {
			when = "; by " + d.cfg.CutOver.Add(-seconds(ttl)).UTC().Format(time.RFC3339) + " at the latest"
		}
		return ruling{warn, text, ttlLines(v, newTTL) + "\n" + when}
	})
}

func seconds(ttl uint32) time.Duration { return time.Duration(ttl) * time.Second }

// eachToChange judges every record that will change and that exists.
func (d *dossier) eachToChange(expected string, rule func(*View) ruling) []mailproof.Finding {
	var out []mailproof.Finding
	for _, v := range d.toChange() {
		switch {
		case len(v.variants()) == 0:
			out = append(out, mailproof.Finding{Outcome: unknown, Expected: expected, Observed: display(v.Name) + " " + typeName(v.Type) + ": " + v.observed(), Remedy: askAgain})
		case !v.exists() && len(v.unasked()) == 0:
		default:
			r := ruling{outcome: pass, observed: display(v.Name) + " " + typeName(v.Type)}
			if v.exists() {
				r = rule(v)
			}
			if silent := v.unasked(); len(silent) > 0 && worse(unknown, r.outcome) {
				r = ruling{unknown, r.observed + "; " + v.observed(), askAgain}
			}
			out = append(out, mailproof.Finding{Outcome: r.outcome, Expected: expected, Observed: r.observed, Remedy: r.remedy})
		}
	}
	return out
}

func ttlReady(d *dossier) []mailproof.Finding {
	return d.eachToChange("a TTL of at most 300 s, for at least one old TTL", func(v *View) ruling {
		ttl := v.maxTTL()
		text := fmt.Sprintf("%s %s: %d s", display(v.Name), typeName(v.Type), ttl)
		switch {
		case ttl > 3600:
			return ruling{fail, text, ttlLines(v, newTTL)}
		case ttl > 300:
			return ruling{warn, text, ttlLines(v, newTTL)}
		}
		if until := d.cachedUntil(v, ttl); until.After(d.now) {
			return ruling{fail, fmt.Sprintf("%s, but caches may hold it with its old TTL until %s", text, until.UTC().Format(time.RFC3339)),
				"; no record to change: cut over after " + until.UTC().Format(time.RFC3339)}
		}
		return ruling{pass, text, ""}
	})
}

func ttlMixed(d *dossier) []mailproof.Finding {
	var out []mailproof.Finding
	for _, k := range d.watched() {
		v := d.view(k.name, k.qtype)
		if v.Err != nil || !v.exists() && len(v.variants()) > 0 && len(v.unasked()) == 0 {
			continue
		}
		f := v.judge(func(x variant) ruling {
			low, high := ^uint32(0), uint32(0)
			for _, rr := range x.records {
				low, high = min(low, rr.Header().Ttl), max(high, rr.Header().Ttl)
			}
			if len(x.records) == 0 || low == high {
				return ruling{outcome: pass}
			}
			return ruling{warn, fmt.Sprintf("%s %s: TTLs from %d to %d s", display(v.Name), typeName(v.Type), low, high), ttlLines(v, low)}
		})
		f.Expected = "one TTL for the records of a set"
		out = append(out, f)
	}
	return out
}
