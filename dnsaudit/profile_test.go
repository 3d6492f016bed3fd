package dnsaudit

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof/dnsaudit/spf"
)

// sourceWords are those that the head of the table explains.
var sourceWords = []string{"read", "records in public use", "guides of others", "not read"}

// Every row of the built-in table says where its values are from, in words that
// tell what was read from what was not, and when.
func TestBuiltinProfiles(t *testing.T) {
	all, err := Profiles()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, p := range all {
		if p.Source == "" || len(p.Date) != len("2026-11-21") || p.Name == "" || len(p.MX) == 0 || len(p.Domains) == 0 {
			t.Errorf("%s lacks something: %+v", p.ID, p)
		}
		if !slices.ContainsFunc(sourceWords, func(w string) bool { return strings.HasPrefix(p.Source, w+": ") }) {
			t.Errorf("%s does not say whether its source was read: %q", p.ID, p.Source)
		}
		if seen[p.ID] {
			t.Errorf("%s appears twice", p.ID)
		}
		seen[p.ID] = true
		got, err := LoadProfile(strings.ToUpper(p.ID))
		if err != nil || got.ID != p.ID {
			t.Errorf("%s: %v", p.ID, err)
		}
	}
	for _, id := range []string{"microsoft365", "google", "zoho", "fastmail", "rackspace", "intermedia", "godaddy", "titan", "cpanel", "proton", "icloud", "workmail", "ionos", "migadu",
		"mailbox.org", "ovh", "strato", "hetzner",
		"mimecast", "proofpoint", "barracuda", "hornetsecurity", "spamexperts", "cisco", "trendmicro", "sophos"} {
		if !seen[id] {
			t.Errorf("no profile %s", id)
		}
	}
}

// Hosts and policies as customers of the providers publish them are told by
// the built-in table.
func TestProvidersAreTold(t *testing.T) {
	for id, hosts := range map[string][]string{
		"barracuda": {"d226511.a.ess.uk.barracudanetworks.com", "d348911a.ess.barracudanetworks.com"}, "trendmicro": {"iotagroup.in.tmes.trendmicro.eu", "x.in.tmes-anz.trendmicro.com", "in1.in.tmems-jp.trendmicro.com"},
		"sophos": {"mx-01-eu-west-1.prod.hydra.sophos.com"}, "zoho": {"mx2.zoho.com.au", "mx.zohocloud.ca"}, "hornetsecurity": {"mx02.hornetsecurity.com"},
		"microsoft365": {"firm-com.mail.protection.outlook.com", "firm-com.a-v1.mx.microsoft"}, "migadu": {"aspmx2.migadu.com"}, "mimecast": {"us-smtp-inbound-1.mimecast.com"},
		"ovh": {"mx0.mail.ovh.net", "mx4.mail.ovh.net"}, "strato": {"smtpin.rzone.de"}, "hetzner": {"www4.your-server.de"}, "mailbox.org": {"mxext2.mailbox.org"},
		"spamexperts": {"mx4-eu.spamexperts.com", "filter40.antispamcloud.com"},
	} {
		p, err := LoadProfile(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range hosts {
			if !p.isMX(h, "example.test.") {
				t.Errorf("%s is no exchange of %s", h, id)
			}
		}
	}
	for id, term := range map[string]string{"sophos": "_spf.prod.hydra.sophos.com", "trendmicro": "spf.tmes.trendmicro.eu", "zoho": "zohocloud.ca", "barracuda": "spf.ess.de.barracudanetworks.com", "mimecast": "_netblocks.mimecast.com", "ovh": "mx.ovh.com", "proofpoint": "_spf-us.ppe-hosted.com"} {
		p, err := LoadProfile(id)
		if err != nil || !slices.Contains(p.SPF, term) {
			t.Errorf("%s does not know %s: %v", id, term, err)
		}
	}
}

// A provider's whole set of selectors is asked for: mail that is signed with one
// that is not published fails at every receiver.
func TestSelectorsOfProviders(t *testing.T) {
	for id, want := range map[string]string{
		"ionos":        "s1-ionos s1.dkim.ionos.com; s2-ionos s2.dkim.ionos.com; s42582890 s42582890.dkim.ionos.com",
		"fastmail":     "fm1 fm1.example.test.dkim.fmhosted.com; fm2 fm2.example.test.dkim.fmhosted.com; fm3 fm3.example.test.dkim.fmhosted.com",
		"icloud":       "sig1 sig1.dkim.example.test.at.icloudmailadmin.com",
		"mailbox.org":  "MBO0001 MBO0001._domainkey.mailbox.org; MBO0002 MBO0002._domainkey.mailbox.org; MBO0003 MBO0003._domainkey.mailbox.org; MBO0004 MBO0004._domainkey.mailbox.org",
		"microsoft365": "selector1 *.onmicrosoft.com; selector2 *.onmicrosoft.com",
	} {
		p, err := LoadProfile(id)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range p.DKIM {
			got = append(got, s.Selector+" "+expand(s.CNAME[0], "example.test."))
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%s: %s", id, strings.Join(got, "; "))
		}
	}
}

func TestMatchHost(t *testing.T) {
	for _, tt := range []struct {
		pattern, host string
		want          bool
	}{
		{"mx.example.net", "MX.Example.NET.", true},
		{"mx.example.net", "mx.example.net.evil.com", false},
		{"*.mail.protection.outlook.com", "my-firm-com.mail.protection.outlook.com.", true},
		{"*.mail.protection.outlook.com", "a.b.mail.protection.outlook.com", true},
		{"*.mail.protection.outlook.com", "mail.protection.outlook.com", false},
		{"*.mail.protection.outlook.com", "xmail.protection.outlook.com", false},
		{"*-smtp-inbound-1.mimecast.com", "eu-smtp-inbound-1.mimecast.com", true},
		{"*-smtp-inbound-1.mimecast.com", "eu.x-smtp-inbound-1.mimecast.com", false},
		{"inbound-smtp.*.amazonaws.com", "inbound-smtp.eu-west-1.amazonaws.com", true},
		{"inbound-smtp.*.amazonaws.com", "inbound-smtp.a.b.amazonaws.com", false},
		{"*.smtp.mx.exch*.serverdata.net", "a.smtp.mx.exch090.serverdata.net", true},
		{"mail.{domain}", "mail.example.test", true},
		{"{dashed}.x.example.net", "example-test.x.example.net", true},
		{"a*b*c.example.net", "aXbYc.example.net", true},
		{"a*b*c.example.net", "aXc.example.net", false},
	} {
		if got := matchHost(tt.pattern, tt.host, "example.test."); got != tt.want {
			t.Errorf("%s and %s: %v", tt.pattern, tt.host, got)
		}
	}
}

func TestFits(t *testing.T) {
	e := func(host string, pref uint16) exchange { return exchange{host: host + ".", pref: pref} }
	google := []string{"aspmx.l.google.com 1", "alt1.aspmx.l.google.com 5", "alt2.aspmx.l.google.com 5"}
	for _, tt := range []struct {
		set            []string
		got            []exchange
		equal, ordered bool
	}{
		{google, []exchange{e("aspmx.l.google.com", 1), e("alt1.aspmx.l.google.com", 5), e("alt2.aspmx.l.google.com", 5)}, true, true},
		{google, []exchange{e("aspmx.l.google.com", 10), e("alt1.aspmx.l.google.com", 20), e("alt2.aspmx.l.google.com", 20)}, true, true},
		{google, []exchange{e("aspmx.l.google.com", 1), e("alt1.aspmx.l.google.com", 5)}, false, false},
		{google, []exchange{e("alt1.aspmx.l.google.com", 1), e("alt2.aspmx.l.google.com", 1), e("aspmx.l.google.com", 5)}, true, false},
		{[]string{"*.mail.protection.outlook.com 0"}, []exchange{e("x.mail.protection.outlook.com", 0)}, true, true},
		{[]string{"*.mail.protection.outlook.com 0"}, []exchange{e("x.mail.protection.outlook.com", 0), e("mx.other.net", 50)}, false, false},
		{[]string{"mx.example.net"}, nil, false, true},
	} {
		if equal, ordered := fits(tt.set, tt.got, "example.test."); equal != tt.equal || tt.equal && ordered != tt.ordered {
			t.Errorf("%v and %v: %v, %v", tt.set, tt.got, equal, ordered)
		}
	}
}

func TestLoadProfile(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) string {
		path := filepath.Join(dir, "own.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	p, err := LoadProfile(write("[[provider]]\nid = \"mine\"\nextends = \"microsoft365\"\nmx = [[\"firm-com.mail.protection.outlook.com 0\"]]\nmx_owner = \"filter\"\nfilter_profile = \"mimecast\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "Microsoft 365" || p.SPF[0] != "spf.protection.outlook.com" || p.MX[0][0] != "firm-com.mail.protection.outlook.com 0" || p.keepsMX().ID != "mimecast" {
		t.Errorf("%+v", p)
	}
	for text, want := range map[string]string{
		"[[provider]]\nid = \"a\"\nmxx = 1\n":                  "unknown key provider.mxx",
		"[[provider]]\nname = \"a\"\n":                         "no id",
		"[[provider]]\nid = \"a\"\nmx = [[\"*.com\"]]\n":       "two labels",
		"[[provider]]\nid = \"a\"\nmx = [[\"h.x.com ten\"]]\n": "preference",
		"[[provider]]\nid = \"a\"\nextends = \"b\"\n":          "not known",
		"[[provider]]\nid = \"a\"\nspf = [\"ip4:x\"]\n":        "IPv4",
		"[[provider]]\nid = \"a\"\nmx_owner = \"filter\"\n":    "filter_profile",
		"[[provider]]\nid = \"a\"\n[[provider]]\nid = \"b\"\n": "own.toml#ID",
		"":                                     "no [[provider]]",
		"[[provider]]\nid = \"a\"\nid = \"b\"": "defined",
	} {
		if _, err := LoadProfile(write(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := LoadProfile("nosuch"); err == nil || !strings.Contains(err.Error(), "microsoft365") {
		t.Errorf("an unknown name: %v", err)
	}
	if _, err := LoadProfile(filepath.Join(dir, "none.toml")); err == nil {
		t.Error("a file that is not there")
	}
}

func TestParseServer(t *testing.T) {
	for in, want := range map[string][2]string{
		"ns1.Example.com=127.0.0.1:5301": {"ns1.example.com.", "127.0.0.1:5301"}, "resolver=192.0.2.1": {"resolver", "192.0.2.1"},
		"ns=[2001:db8::1]:53": {"ns.", "[2001:db8::1]:53"}, ".=127.0.0.1:1": {".", "127.0.0.1:1"},
	} {
		name, addr, err := ParseServer(in)
		if err != nil || name != want[0] || addr != want[1] {
			t.Errorf("%s: %q %q %v", in, name, addr, err)
		}
	}
	for _, in := range []string{"", "ns1", "ns1=", "=127.0.0.1:53", "ns1=host:53", "ns1=127.0.0.1:0", "ns1=127.0.0.1:x", "a..b=127.0.0.1"} {
		if _, _, err := ParseServer(in); err == nil {
			t.Errorf("%q was read", in)
		}
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{"Example.COM.": "example.com.", "bücher.example": "xn--bcher-kva.example.", " a.b.c ": "a.b.c."} {
		if got, err := asciiName(in); err != nil || got != want {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
	for _, in := range []string{"", "com", "a..b", "a b.com", strings.Repeat("a", 64) + ".com"} {
		if got, err := asciiName(in); err == nil {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// The checks are listed with a rule and their phases, each once.
func TestChecks(t *testing.T) {
	var ids []string
	for _, c := range Checks() {
		if c.Rule == "" || len(c.Phases) == 0 || strings.ToLower(c.Rule[:1]) != c.Rule[:1] && !strings.HasPrefix(c.Rule, "SRV") && !strings.HasPrefix(c.Rule, "TLS") && !strings.HasPrefix(c.Rule, "Autodiscover") {
			t.Errorf("%+v", c)
		}
		if slices.Contains(ids, c.ID) {
			t.Errorf("%s twice", c.ID)
		}
		ids = append(ids, c.ID)
	}
	catalogue := "ns.lame ns.parent ns.rrset soa.negative soa.timers ttl.plan ttl.ready ttl.mixed dnssec.bogus dnssec.window dnssec.ds udp.tc " +
		"mx.expected mx.leftover mx.mixed mx.cname mx.noaddr mx.ip mx.private mx.null mx.none mx.dup mx.invalid mx.fcrdns " +
		"spf.multi spf.syntax spf.lookups spf.void spf.mx10 spf.all spf.redirect spf.include spf.ptr spf.macro spf.size spf.type99 spf.new spf.old " +
		"ad.target ad.root ad.conflict ad.cert ad.http ad.srv ad.wildcard ad.scp cl.srv cl.autoconfig " +
		"dkim.new dkim.key dkim.old dkim.unknown dmarc.record dmarc.risk dmarc.tags dmarc.rua sts.mx sts.id sts.age sts.fetch tlsrpt dane.match dane.cutover"
	for _, id := range strings.Fields(catalogue) {
		if !slices.Contains(ids, id) {
			t.Errorf("no check %s", id)
		}
	}
}

// Proofpoint gives each customer an SPF name with the digits of its exchanges.
// Its Hosted SPF is a macro that shows nobody whom it lets in.
func TestOwnNameInPolicy(t *testing.T) {
	const filtered = "@ MX 10 mxa-0021d601.gslb.pphosted.com.\n@ MX 10 mxb-0021d601.gslb.pphosted.com.\n"
	filter, err := LoadProfile("proofpoint")
	if err != nil {
		t.Fatal(err)
	}
	policy := func(terms string) []string {
		return []string{mxLines, filtered, spfLine, `@ TXT "v=spf1 ` + terms + ` -all"`}
	}
	const hosted = "include:%{ir}.%{v}.%{d}.spf.has.pphosted.com"
	for _, s := range []scenario{
		{name: "own name", phase: p3, edits: policy("include:spf.newhost.test include:spf-0021d601.pphosted.com"), want: wants(pass, "spf.new", "mx.expected")},
		{name: "own name in capitals", phase: p3, edits: policy("include:spf.newhost.test include:SPF-0021D601.pphosted.com"), want: wants(pass, "spf.new")},
		{name: "another name below the same domain", phase: p3, edits: policy("include:spf.newhost.test include:other.pphosted.com"), want: wants(fail, "spf.new")},
		{name: "the regional name", phase: p3, edits: policy("include:spf.newhost.test include:_spf-us.ppe-hosted.com"), want: wants(pass, "spf.new")},
		{name: "hosted, beside both", phase: p3, edits: policy("include:spf.newhost.test include:spf-0021d601.pphosted.com " + hosted), want: with(wants(pass, "spf.new"), "spf.macro", info)},
		{name: "hosted", phase: p2, edits: policy(hosted), want: with(wants(unknown, "spf.new"), "spf.macro", info)},
		{name: "hosted, while it is planned", phase: p1, edits: policy(hosted), want: wants(info, "spf.new")},
		{name: "no name", phase: p3, edits: policy("include:spf.newhost.test"), want: wants(fail, "spf.new")},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.setup = func(w *world) {
				// what lies below pphosted.com is not in this world, and is not needed
				w.cfg.Profile = w.cfg.Profile.WithFilter(filter, true)
				if err := w.root.SetZone("$ORIGIN pphosted.com.\n$TTL 300\n@ SOA ns host 1 1 1 1 1\n@ NS ns.root.test.\n* TXT \"v=spf1 -all\"\n"); err != nil {
					t.Fatal(err)
				}
				if err := w.root.SetZone("$ORIGIN ppe-hosted.com.\n$TTL 300\n@ SOA ns host 1 1 1 1 1\n@ NS ns.root.test.\n* TXT \"v=spf1 -all\"\n"); err != nil {
					t.Fatal(err)
				}
			}
			r := s.run(t)
			withinSeverity(t, r, true)
			for id, want := range s.want {
				if f := expect(t, r, id, want); (want == unknown || want == fail) && !strings.Contains(f.Remedy, "~all") && !strings.Contains(f.Remedy, "-all") {
					t.Errorf("%s: remedy %q", id, f.Remedy)
				}
			}
		})
	}
	for term, entry := range map[string]string{"include:spf-0021d601.pphosted.com": "spf-*.pphosted.com", "+INCLUDE:" + hosted[len("include:"):]: hosted[len("include:"):], "a:Mail.example.test": "a:mail.{domain}"} {
		if !isEntry(term, entry, "example.test.") {
			t.Errorf("%s is not told as %s", term, entry)
		}
	}
	for term, entry := range map[string]string{"-include:spf-1.pphosted.com": "spf-*.pphosted.com", "a:spf-1.pphosted.com": "spf-*.pphosted.com", "include:spf-1.pphosted.com.evil.test": "spf-*.pphosted.com"} {
		if isEntry(term, entry, "example.test.") {
			t.Errorf("%s is told as %s", term, entry)
		}
	}
}

// Addresses that a profile states are found in the policy.
func TestAddressInPolicy(t *testing.T) {
	for policy, want := range map[string]bool{"ip4:192.0.2.0/28": true, "ip4:192.0.2.16/28": false, "ip6:2001:db8::/32": false, "a:192.0.2.0/28": false} {
		tree := treeOf(t, "v=spf1 "+policy+" -all")
		if got := names(tree, "ip4:192.0.2.0/28", "example.test."); got != want {
			t.Errorf("%s: %v", policy, got)
		}
	}
}

func treeOf(t *testing.T, record string) *spf.Tree {
	t.Helper()
	return spf.Analyse(context.Background(), spfDNS{net: &network{}, root: "example.test.", texts: []string{record}}, "example.test")
}
