package report

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"iter"
	"time"

	"github.com/mailproof/mailproof"
)

// complete fills what the other rooms add to a document: runbook, readiness,
// history, evidence, every message.
func (s sample) complete(d *Document) {
	d.Runbook, d.Readiness, d.History = s.runbook(), s.readiness(), sampleHistory(d.Passes)
	d.Evidence = Evidence{Bundle: "mp1-f2d4d80a3831ca5f", KeyFingerprint: "SHA256:TTHiYsEOjoOYH8SfKDTNNHFd21DSf2YzdUzexOmVf8A", Roots: []Root{
		{"data/source.jsonl", d.Totals.SourceMessages, "oTclqQYtNAI72gg9ygX9SjEBE1H7XuzLa9Unqbl70DE="},
		{"data/destination.jsonl", d.Totals.DestinationMessages, "GRrF0GEu+0IpvqWZeW9C9m2w7mGsCYpfk+uw63CIvY0="},
		{"data/verdicts.jsonl", d.messageCount(), "m+RSJqZtViTUGUmSz/r+J19gtrxoUKYnGyrxD5LaVsc="},
	}}
	d.Messages = s.messages(d, 1000)
}

func (s sample) runbook() []mailproof.RunbookStep {
	at := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, time.UTC) }
	attested := func(phase int, id, title, owner, by, note string, when time.Time) mailproof.RunbookStep {
		return mailproof.RunbookStep{ID: id, Phase: phase, Title: title, Owner: owner, Evidence: mailproof.Attested, State: mailproof.RunbookDone, By: s.text(1, by), Note: s.text(phase, note), When: when}
	}
	measured := func(phase int, id, title, basis string, when time.Time) mailproof.RunbookStep {
		return mailproof.RunbookStep{ID: id, Phase: phase, Title: title, Owner: "provider", Evidence: mailproof.Measured, State: mailproof.RunbookDone, Basis: s.text(2, basis), When: when}
	}
	list := []mailproof.RunbookStep{
		attested(1, "terms", "Terms and plan agreed", "customer, everyone", "A. Lindgren", "signed plan v3", at(6, 10, 20)),
		attested(1, "settings", "Connection settings and mailbox list provided", "customer", "D. Whitlock", "12 accounts", at(6, 11, 5)),
		measured(1, "source-signin", "Source IMAP connection tested", "pass 1: 12 of 12 accounts signed in", at(9, 19, 41)),
		measured(1, "destination-mailboxes", "Destination mailboxes exist", "pass 1: 12 of 12 accounts signed in", at(9, 19, 43)),
		{ID: "accounts", Phase: 1, Title: "Account objects verified: mailboxes, aliases, distribution lists", Owner: "customer", Evidence: mailproof.MeasuredOrAttested, State: mailproof.RunbookDone, Basis: "RCPT probe, 31 of 31 accepted", When: at(9, 19, 52)},
		{ID: "addons", Phase: 1, Title: "Add-ons enabled: ActiveSync, archiving, filtering", Owner: "provider", Evidence: mailproof.Attested, State: mailproof.RunbookNotApplicable, By: "R. Castellano", Note: "none ordered", When: at(9, 16, 30)},
		measured(2, "initial-copy", "Initial copy", "pass 2, 144,978 appended", at(10, 9, 32)),
		attested(2, "limits", "Scope limits acknowledged: contacts, calendars, PST", "customer", "D. Whitlock", "see section 11", at(11, 14, 10)),
		measured(3, "mx", "MX propagation confirmed", "3 of 3 servers, 5 of 5 resolvers", at(17, 19, 31)),
		{ID: "spf", Phase: 3, Title: "SPF updated", Owner: "provider", Evidence: mailproof.Measured, State: mailproof.RunbookFailed, Basis: "spf.lookups: 12 of 10", When: at(17, 19, 34)},
		{ID: "agreed", Phase: 3, Title: "Verified and agreed complete", Owner: "everyone", Evidence: mailproof.MeasuredAndAttested, Basis: "verdict of pass 9", When: at(20, 7, 38)},
		{ID: "backup", Phase: 4, Title: "Regular backup in place", Owner: "provider", Evidence: mailproof.Attested},
	}
	return list
}

func (s sample) readiness() *Readiness {
	r := &Readiness{Taken: sampleTime.Add(-200 * time.Hour), Estimate: "about 3 h 10 min at the measured 10.4 Mbit/s"}
	for i := range s.accounts {
		name := fmt.Sprintf("user%03d@northgate.example", i)
		if i < len(accountNames) {
			name = accountNames[i] + "@northgate.example"
		}
		a := ReadinessAccount{Account: s.text(i, name), Folders: 23 + i%7, Messages: int64(18_204 / (i + 1)), Octets: int64(3_110_000_000 / (i + 1)), Ready: true, Result: "ready"}
		if i%11 == 3 {
			a.Ready, a.Result = false, s.text(i, "3 messages exceed the destination's limit of 35.0 MB")
		}
		r.Accounts = append(r.Accounts, a)
	}
	r.Findings = []mailproof.Finding{{Check: "ttl.ready", Domain: "northgate.example", Outcome: mailproof.OutcomeWarn, Observed: "TTL of MX is 3,600 s", Remedy: "lower it to 300 s before 17 Nov 2026 18:00 UTC"}}
	return r
}

func sampleHistory(passes []mailproof.Pass) []PassChange {
	var out []PassChange
	for i, p := range passes {
		c := PassChange{Pass: p.ID, Root: fmt.Sprintf("%064x", uint64(i+1)*0x9E3779B97F4A7C15)}
		if p.Kind == mailproof.InventoryPass {
			c.Accounts, c.Folders, c.Present, c.New, c.Gone = 12, 183, p.Messages, int64(i*211), int64(i%4)
		}
		out = append(out, c)
	}
	return out
}

// messages yields n lines that are like a document's: its exceptions, then
// messages that arrived.
func (s sample) messages(d *Document, n int) Messages {
	return func() iter.Seq2[Message, error] {
		return func(yield func(Message, error) bool) {
			for i, e := range d.Exceptions {
				if i == n {
					return
				}
				if !yield(Message{Key: e.Key, Verdict: e.Verdict, Tier: e.Tier, Exception: e.ID, Date: sampleTime, Size: e.Size, Subject: e.Subject, MessageID: e.MessageID, Reasons: oneLineReasons(e.Reasons)}, nil) {
					return
				}
			}
			for i := len(d.Exceptions); i < n; i++ {
				a := accountNames[i*len(accountNames)/n]
				folder := []string{"INBOX", "Sent Items", "Clients/Harbour", "Archive/2019"}[i%4]
				m := Message{Key: mailproof.MessageKey{Side: mailproof.Source, Account: a + "@northgate.example", Mailbox: folder, UIDValidity: 7, UID: mailproof.UID(i + 1)},
					Counterpart: mailproof.MessageKey{Side: mailproof.Destination, Account: a, Mailbox: folder, UIDValidity: 9, UID: mailproof.UID(i + 2)},
					Verdict:     mailproof.Identical, Tier: mailproof.T0, Date: sampleTime.Add(-time.Duration(i) * 37 * time.Minute), Size: int64(2000 + i*7919%90_000),
					Subject: s.text(i, fmt.Sprintf("Re: survey of plot %d, drawings and the %s of harbour wall no. %d", i*7919%10_007, []string{"photographs", "levels", "costs", "minutes"}[i%4], i%977))}
				if i%19 == 0 {
					m.Verdict, m.Tier, m.Reasons = mailproof.Equivalent, mailproof.T2, "date-differs: INTERNALDATE 2026-11-19T08:02:11Z, 2026-11-19T08:02:13Z"
				}
				if !yield(m, nil) {
					return
				}
			}
		}
	}
}

// sampleLogo is a picture with transparency.
func sampleLogo() []byte {
	img := image.NewNRGBA(image.Rect(0, 0, 240, 64))
	for y := range 64 {
		for x := range 240 {
			if (x/16+y/16)%2 == 0 && (x-120)*(x-120)/14+(y-32)*(y-32) < 1000 {
				img.Set(x, y, color.NRGBA{0x7a, 0x1f, 0x5c, 255})
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}
