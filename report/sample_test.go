package report

import (
	"fmt"
	"time"

	"github.com/mailproof/mailproof"
)

// sample describes a document to be made for a test.
type sample struct {
	accounts   int
	exceptions int // that need a decision, or were decided
	verdict    mailproof.Verdict
	hostile    bool
	bare       bool // no engagement, no DNS, no passes: as little as there may be
	whole      bool // with runbook, readiness, history, evidence, every message
}

func (s sample) String() string {
	return fmt.Sprintf("%d accounts, %d exceptions, %s, hostile %v, bare %v", s.accounts, s.exceptions, s.verdict, s.hostile, s.bare)
}

var sampleTime = time.Date(2026, 11, 20, 8, 2, 0, 0, time.UTC)

// hostileTexts are what mail holds and renderers fear.
var hostileTexts = []string{
	"مرحبا بالعالم — عقد ١٢٣ (نسخة 2)",
	"שלום עולם, חוזה 123 (עותק)",
	"合同 最终版 第二次",
	"अनुबंध का अंतिम संस्करण",
	"📎 final 👩‍💻 version 🎉",
	"Zoe\u0308 Mu\u0308ller cafe\u0301",
	"{nb} pages of {nb}",
	"invoice\u202egpj.exe",
	"nul \x00 bell \a escape \x1b[31m",
	"</script><script>alert(1)</script>",
	`<img src=x onerror=alert(1)>`,
	"\xff\xfe not UTF-8 \xc3",
	"\ue000 private \ufeff bom \u2028 line",
	"a long subject " + repeat("lorem ipsum dolor sit amet ", 80),
	repeat("unbroken", 250),
	repeat("漢", 2000),
	"(brackets) \\backslash) (((",
}

func repeat(s string, n int) string {
	b := make([]byte, 0, len(s)*n)
	for range n {
		b = append(b, s...)
	}
	return string(b)
}

func (s sample) text(i int, plain string) string {
	if !s.hostile {
		return plain
	}
	return hostileTexts[i%len(hostileTexts)]
}

var accountNames = []string{"archive", "a.lindgren", "info", "planning", "h.osei", "d.whitlock", "b.okafor", "accounts", "c.marchetti", "e.szabo", "g.oneill", "f.demir"}

// document makes it. All its numbers add up.
func (s sample) document() *Document {
	d := &Document{Issue: 3, Generated: sampleTime, Tool: "mailproof 0.1.0", Command: "mailproof run --dir northgate --depth full", Depth: mailproof.DepthFull}
	if s.bare {
		d = &Document{Generated: sampleTime}
	} else {
		d.Engagement = Engagement{
			ID: "NG-2026-11", Name: s.text(0, "Northgate migration"), Purpose: s.text(13, ""),
			Customers: []Party{{s.text(1, "Northgate Surveyors Ltd"), s.text(0, "A. Lindgren"), "managing partner"}, {s.text(2, "Northgate Surveyors Ltd"), "D. Whitlock", "data protection lead"}},
			Providers: []Party{{s.text(14, "Meridian Hosting"), "R. Castellano", "migration lead"}},
			Reviewers: []Party{{s.text(4, "Ellery & Pryce LLP"), "N. Farrow", "information systems audit"}},
			Domains:   []string{"northgate.example"},
		}
	}
	var accounts []mailproof.AccountResult
	for i := range s.accounts {
		accounts = append(accounts, s.account(i))
	}
	id := 0
	for i := range s.exceptions {
		a := &accounts[i%len(accounts)]
		id++
		s.addException(a, id, i)
	}
	for i := range accounts {
		s.note(&accounts[i], &id)
		s.finish(&accounts[i])
	}
	var dns []mailproof.Finding
	if !s.bare {
		dns = s.dns()
		d.Passes = samplePasses()
		d.Observations = sampleObservations()
		d.Profile = "meridian"
		d.SafeTimes = []SafeTime{{Domain: "northgate.example", Name: "northgate.example.", Type: "MX", Flipped: sampleTime.Add(-60 * time.Hour), At: sampleTime.Add(-59 * time.Hour)},
			{Domain: "northgate.example", Name: "autodiscover.northgate.example.", Type: "CNAME", Why: s.text(3, "only one content was ever seen")}}
		d.Steps = StepSummary{Appended: 146_308, Refused: 2, Flags: 12, Created: 167}
	}
	d.FromAccounts(accounts, dns)
	if s.verdict == mailproof.CompleteWithAcceptedExceptions {
		d.Decisions = map[string]Decision{}
		for _, e := range d.listed() {
			d.Decisions[e.ID] = Decision{By: s.text(1, "A. Lindgren"), Why: s.text(int(e.Key.UID), "Words unchanged; read by the owner."), When: sampleTime.Add(-time.Hour)}
		}
	}
	if !s.bare {
		d.Histogram = sampleHistogram(d.Totals)
	}
	if s.whole {
		s.complete(d)
	}
	return d
}

func (s sample) account(i int) mailproof.AccountResult {
	name := fmt.Sprintf("user%03d", i)
	if i < len(accountNames) {
		name = accountNames[i]
	}
	a := mailproof.AccountResult{Account: s.text(i, name)}
	start := time.Date(2026, 11, 20, 5, 0, 4, 0, time.UTC)
	server := func(host, id string) mailproof.ServerInfo {
		return mailproof.ServerInfo{Address: host + ":993", Peer: "192.0.2.20:993", ID: s.text(i, id), Mechanism: "PLAIN", TLS: "TLS 1.3", CertVerified: true,
			Capabilities: []string{"IMAP4rev1", "UIDPLUS", "CONDSTORE", "LIST-EXTENDED", "SPECIAL-USE"}, CertNotAfter: time.Date(2027, 3, 2, 0, 0, 0, 0, time.UTC), AppendLimit: 78_643_200}
	}
	a.SourceScan = mailproof.Scan{Pass: 8, Account: a.Account, Side: mailproof.Source, Started: start, Finished: start.Add(71*time.Minute + 33*time.Second), State: mailproof.PassDone, Server: server("imap.oldhost.example", "Dovecot 2.3.21")}
	a.DestinationScan = mailproof.Scan{Pass: 9, Account: a.Account, Side: mailproof.Destination, Started: start.Add(74 * time.Minute), Finished: start.Add(158 * time.Minute), State: mailproof.PassDone, Server: server("imap.meridian.example", "Cyrus IMAP 3.8.4")}
	for j, folder := range []string{"INBOX", "Sent Items", "Clients/Harbour", "Archive", "Drafts (old)", "Junk"} {
		n := int64(41_214/(i+1)/(j+1) + 7)
		var c mailproof.Counts
		f := mailproof.FolderResult{Source: folder, Destination: folder}
		if s.hostile && j > 0 {
			f.Source = hostileTexts[(i+j)%len(hostileTexts)]
		}
		state := mailproof.MailboxState{UIDValidity: 1288017733 + uint32(j), UIDNext: mailproof.UID(31_877 + n), Exists: uint32(n)}
		f.SourceScan = mailproof.MailboxScan{Mailbox: mailproof.Mailbox{Name: f.Source}, Before: state, After: state, Complete: true, Present: n}
		f.DestinationScan = mailproof.MailboxScan{Mailbox: mailproof.Mailbox{Name: f.Destination}, Before: state, After: state, Complete: true, Present: n}
		if folder == "Junk" {
			c.Excluded = n
			f.SourceScan.Excluded = `folders of special use \Junk`
			f.Destination, f.DestinationScan = "", mailproof.MailboxScan{}
		} else {
			c.Identical, c.IdenticalNormalised, c.Equivalent = n*9/10, n/20, n-n*9/10-n/20
			c.Extra = int64(j * 3)
		}
		c.DestinationPairedHere = c.Paired()
		f.Counts = c
		a.Folders = append(a.Folders, f)
	}
	a.FlagsDiffer, a.SignaturesChanged = int64(i), int64(i*2)
	a.SourceBytes, a.DestinationBytes = 1_823_000_000, 1_840_000_000
	return a
}

func (s sample) addException(a *mailproof.AccountResult, id, i int) {
	f := &a.Folders[i%3]
	e := mailproof.Exception{ID: fmt.Sprintf("E-%03d", id), Account: a.Account, Mailbox: f.Source, MessageID: fmt.Sprintf("<%d@northgate.example>", id),
		Key:     mailproof.MessageKey{Side: mailproof.Source, Account: a.Account, Mailbox: f.Source, UIDValidity: 1288017733, UID: mailproof.UID(1000 + id)},
		Subject: s.text(i, fmt.Sprintf("Survey of plot %d, final drawings", id)), Size: int64(1000 + 977*id)}
	switch {
	case s.verdict == mailproof.Inconclusive:
		e.Verdict = mailproof.Unverifiable
		e.Reasons = []mailproof.Reason{{Code: "unreadable", Evidence: s.text(i+1, "source: NO [SERVERBUG] internal error")}}
		f.Counts.Unverifiable++
	case i%7 < 2:
		e.Verdict = mailproof.Missing
		e.Reasons = []mailproof.Reason{{Code: "append-refused", Evidence: s.text(i+2, "destination: NO [TOOBIG] literal 117,829,406 octets, limit 78,643,200")}}
		f.Counts.Missing++
	default:
		e.Verdict, e.Tier = mailproof.Altered, mailproof.T3
		e.Reasons = []mailproof.Reason{{Code: []string{"line-wrapped", "attachment-stubbed", "header-charset"}[i%3], Evidence: s.text(i+3, "text part re-wrapped at 10,239 octets; 2 line ends added")}}
		f.Counts.Altered++
		f.Counts.DestinationPairedHere++
	}
	if s.verdict == mailproof.CompleteWithAcceptedExceptions {
		e.Disposition = mailproof.Accepted
	}
	a.Exceptions = append(a.Exceptions, e)
}

// note adds what is listed in section 9.
func (s sample) note(a *mailproof.AccountResult, id *int) {
	if s.bare {
		return
	}
	f := &a.Folders[4]
	f.Counts.Relocated++
	f.Counts.DestinationPairedHere++
	f.Counts.DuplicateSurplus++
	for _, v := range []mailproof.MessageVerdict{mailproof.Relocated, mailproof.DuplicateSurplus} {
		*id++
		a.Exceptions = append(a.Exceptions, mailproof.Exception{ID: fmt.Sprintf("E-%03d", *id), Account: a.Account, Mailbox: f.Source, Verdict: v, Tier: mailproof.T0, Disposition: mailproof.Noted,
			Key: mailproof.MessageKey{Side: mailproof.Source, Account: a.Account, Mailbox: f.Source, UIDValidity: 7, UID: 31}, Reasons: []mailproof.Reason{{Code: "other-folder", Evidence: "found in Drafts"}}})
	}
}

func (s sample) finish(a *mailproof.AccountResult) {
	for i := range a.Folders {
		c := &a.Folders[i].Counts
		c.SourceMessages, c.DestinationMessages = c.SourceSum(), c.DestinationSum()
		a.Counts.Add(*c)
	}
	a.Findings = []mailproof.Finding{{Check: mailproof.CheckInventory, Account: a.Account, Outcome: mailproof.OutcomePass}}
	c := a.Counts
	outcome := mailproof.OutcomeFail
	if s.verdict == mailproof.CompleteWithAcceptedExceptions {
		outcome = mailproof.OutcomeAccepted
	}
	if c.Missing+c.Altered > 0 {
		a.Findings = append(a.Findings, mailproof.Finding{Check: "messages.missing", Account: a.Account, Outcome: outcome})
	}
	if c.Unverifiable > 0 {
		a.Findings = append(a.Findings, mailproof.Finding{Check: "messages.unverifiable", Account: a.Account, Outcome: mailproof.OutcomeUnknown})
	}
	a.Verdict = mailproof.Roll(a.Findings)
}

func (s sample) dns() []mailproof.Finding {
	pass := func(check, observed string) mailproof.Finding {
		return mailproof.Finding{Check: check, Domain: "northgate.example", Phase: mailproof.Confirmation, Outcome: mailproof.OutcomePass, Observed: observed, Time: sampleTime}
	}
	return []mailproof.Finding{
		pass("mx.expected", "2 of 2 hosts of the profile, 3 of 3 servers"), pass("mx.leftover", "no old host"), pass("spf.multi", "one v=spf1"),
		pass("spf.lookups", "4 of 10"), pass("ad.target", "autodiscover.meridian.example."),
		{Check: "ttl.ready", Domain: "northgate.example", Phase: mailproof.Readiness, Outcome: mailproof.OutcomeWarn, Expected: "≤ 300 s", Observed: s.text(5, "autodiscover CNAME 3,600 s"), Remedy: s.text(6, "autodiscover 300 IN CNAME autodiscover.meridian.example.")},
		{Check: "ad.scp", Domain: "northgate.example", Phase: mailproof.Confirmation, Outcome: mailproof.OutcomeInfo, Observed: "outside DNS", Remedy: "null the SCP where Active Directory is used"},
	}
}

func samplePasses() []mailproof.Pass {
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC) }
	pass := func(id int, kind mailproof.PassKind, side mailproof.Side, from time.Time, minutes int, n int64) mailproof.Pass {
		return mailproof.Pass{ID: mailproof.PassID(id), Kind: kind, Side: side, Depth: mailproof.DepthFull, Started: from, Finished: from.Add(time.Duration(minutes) * time.Minute), State: mailproof.PassDone, Messages: n, Bytes: n * 148_000}
	}
	list := []mailproof.Pass{
		pass(1, mailproof.InventoryPass, mailproof.Source, at(9, 20, 5), 156, 144_980),
		pass(2, mailproof.CopyPass, 0, at(9, 22, 50), 642, 144_978),
		pass(3, mailproof.CopyPass, 0, at(12, 20, 0), 48, 655),
		pass(4, mailproof.CopyPass, 0, at(16, 20, 0), 31, 498),
		pass(5, mailproof.DNSPass, 0, at(17, 18, 0), 1, 0),
		pass(6, mailproof.CopyPass, 0, at(18, 20, 10), 34, 176),
		pass(7, mailproof.InventoryPass, mailproof.Source, at(18, 21, 0), 154, 148_198),
		pass(8, mailproof.InventoryPass, mailproof.Source, at(20, 5, 0), 72, 148_213),
		pass(9, mailproof.InventoryPass, mailproof.Destination, at(20, 6, 14), 84, 147_916),
	}
	list[6].State, list[6].Error = mailproof.PassFailed, "connection lost"
	return list
}

func sampleObservations() []mailproof.Observation {
	var out []mailproof.Observation
	for i, server := range []string{"ns1.dnsco.example 192.0.2.53:53", "ns2.dnsco.example 198.51.100.53:53", "ns3.dnsco.example 203.0.113.53:53"} {
		o := mailproof.Observation{Time: sampleTime.Add(-time.Duration(i) * time.Second), Domain: "northgate.example", Question: "northgate.example.", Type: "MX", Server: server, Role: "authoritative", Network: "udp",
			RCode: "NOERROR", AA: true, Records: []string{"10 mx1.meridian.example.", "20 mx2.meridian.example."}, MinTTL: 300, MaxTTL: 300}
		out = append(out, o)
		o.Type, o.Records = "TXT", []string{"v=spf1 include:spf.meridian.example -all"}
		if i == 2 {
			o.Records = []string{"v=spf1 include:spf.oldhost.example -all"}
		}
		out = append(out, o)
	}
	return append(out, mailproof.Observation{Time: sampleTime, Question: "northgate.example.", Type: "MX", Server: "resolver 192.0.2.1:53", Role: "resolver", Error: "timeout"})
}

func sampleHistogram(c mailproof.Counts) Histogram {
	h := NewHistogram()
	left, right := c.SourceMessages-c.Excluded, c.DestinationPairedHere
	for i := range h.Source {
		n := left / int64(3+i%4)
		if i == len(h.Source)-1 {
			n = left
		}
		m := min(n, right)
		if i == len(h.Source)-1 {
			m = right
		}
		h.Source[i], h.Destination[i] = n, m
		left, right = left-n, right-m
	}
	return h
}
