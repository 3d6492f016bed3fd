package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/report/chart"
)

func note(c cell) block { return block{Note: c} }

func title(no, text string) block {
	return block{Heading: &heading{ID: "s" + strings.ReplaceAll(no, ".", "-"), No: no, Title: text}}
}

func (d *Document) parties() section {
	defs := []definition{}
	for _, side := range d.sides() {
		role := side.role
		if role == "Provider" {
			role = "Provider, operator of the tool"
		}
		defs = append(defs, definition{role, partiesText(side.parties)})
	}
	users := d.Engagement.IntendedUsers
	if users == "" {
		users = "The parties above. No other use is intended."
	}
	purpose := or(d.Engagement.Purpose, fmt.Sprintf("To state, for every message of %s, whether it was found on the new server after the migration, and in what condition.",
		count(int64(d.listedAccounts()), "account")))
	defs = append(defs,
		definition{"Intended users", foreign(users)},
		definition{"Purpose", foreign(purpose)},
		definition{"Nature of the work", words("Procedures agreed by the parties (section 4). This report states the procedures, the facts found and every exception. The conclusion is left to those who sign.")},
	)
	return section{ID: "s2", No: "2", Title: "Parties, roles, intended users, purpose", Blocks: []block{{Definition: defs}}}
}

func partiesText(list []Party) cell {
	var c cell
	for i, p := range list {
		if i > 0 {
			c = c.and(span{Text: "; "})
		}
		parts := []string{p.Organisation, p.Name, p.Role}
		if p.Role != "" && p.Name == "" {
			parts[1] = "(name to be filled in)"
		}
		said := false
		for j, part := range parts {
			if part == "" {
				continue
			}
			if said {
				c = c.and(span{Text: [...]string{"", ". ", ", "}[j]})
			}
			c, said = c.and(span{Text: part, Foreign: true}), true
		}
	}
	if len(c) == 0 {
		return cell{{Text: "not named in the engagement", Style: faint}}
	}
	return c
}

func (d *Document) scope() section {
	c := d.Totals
	folders, excluded, unread, drifted := d.folders()
	accounts := fmt.Sprintf("%s of %s listed in the engagement", comma(int64(len(d.Accounts))), comma(int64(d.listedAccounts())))
	if missing := d.listedAccounts() - len(d.Accounts); missing > 0 {
		accounts += fmt.Sprintf("; %s not compared", comma(int64(missing)))
	}
	text := count(int64(folders), "folder") + " on the source, as reported by the IMAP servers"
	switch {
	case unread > 0:
		text += fmt.Sprintf("; %s could not be read to the end", comma(int64(unread)))
	case excluded == 0 && folders > 0:
		text += "; every one opened and read"
	case folders > 0:
		text += "; every other one opened and read"
	}
	if excluded > 0 {
		text = strings.Replace(text, "; ", fmt.Sprintf(", of which %s excluded by rule; ", comma(int64(excluded))), 1)
	}
	if drifted > 0 {
		text += fmt.Sprintf("; %s changed while being read", count(int64(drifted), "folder"))
	}
	defs := []definition{
		{"Accounts", words(accounts)},
		{"Folders", words(text)},
		{"Source inventory", words(inventoryText(d.SourceWindow, "T1", "T2", c.SourceMessages, d.bytes(mailproof.Source)))},
		{"Destination inventory", words(inventoryText(d.DestinationWindow, "T3", "T4", c.DestinationMessages, d.bytes(mailproof.Destination)))},
	}
	for i, x := range d.Exclusions {
		defs = append(defs, definition{"Excluded by rule X-" + strconv.Itoa(i+1),
			cell{{Text: count(x.Messages, "message") + " in " + count(int64(x.Accounts), "account") + ": "}, {Text: x.Rule, Foreign: true}, {Text: ". Counted, not compared."}}})
	}
	var byRule int64
	for _, x := range d.Exclusions {
		byRule += x.Messages
	}
	if rest := c.Excluded - byRule; rest > 0 {
		defs = append(defs, definition{"Excluded by rule", words(count(rest, "message") + ". Counted, not compared.")})
	}
	inScope := comma(c.SourceMessages) + " − " + comma(c.Excluded) + " = " + count(c.SourceMessages-c.Excluded, "message") + ". "
	defs = append(defs,
		definition{"In scope", words(strings.TrimSpace(inScope + d.Share()))},
		definition{"Depth", words(depthText(d.Depth))},
		definition{"Privacy", words("This copy names accounts, folders and subjects. It is meant for the customer and for those whom the customer lets read it.")},
	)
	return section{ID: "s3", No: "3", Title: "Scope", Blocks: []block{{Definition: defs}}}
}

func inventoryText(w Window, t1, t2 string, messages, bytes int64) string {
	if w.IsZero() {
		return "none recorded"
	}
	text := t1 + " " + between(w, "to "+t2) + "; " + count(messages, "message")
	if bytes > 0 {
		text += ", " + octets(bytes)
	}
	return text
}

func (d *Document) bytes(side mailproof.Side) (n int64) {
	for _, a := range d.Accounts {
		if side == mailproof.Source {
			n += a.SourceBytes
		} else {
			n += a.DestinationBytes
		}
	}
	return n
}

func depthText(depth mailproof.Depth) string {
	switch depth {
	case mailproof.DepthFull:
		return "full: every octet of every message that could be read was read on both sides"
	case mailproof.DepthSample:
		return "sample: the octets of a seeded sample of the source were read; nothing is stated about the content of any single other message"
	case mailproof.DepthPreview:
		return "preview: headers were read and no message; nothing is stated about content"
	}
	return "not recorded"
}

func (d *Document) method() section {
	steps := []cell{
		words("All folders of both sides were listed; for each, UIDVALIDITY, UIDNEXT, EXISTS and, where offered, HIGHESTMODSEQ were recorded before and after reading."),
		words("The source was opened read-only (EXAMINE, BODY.PEEK). No flag was set on it."),
		words(methodDepth(d.Depth)),
	}
	if d.Steps.Any() {
		steps = append(steps, words(d.copyText()))
		steps = append(steps, words(d.afterCopyText()))
	} else {
		steps = append(steps, words("Nothing was copied by this tool in the passes shown. The comparison rests on the two inventories alone."))
	}
	steps = append(steps, words("Messages were paired, finest tier first, each at most once; what remained was listed as missing, extra or duplicate. A message without a counterpart is called missing only where the whole destination account was read."))
	if len(d.DNS) > 0 {
		servers := map[string]bool{}
		for _, o := range d.Observations {
			servers[o.Server] = true
		}
		text := "The domain's DNS was queried"
		if len(servers) > 0 {
			text += " at " + count(int64(len(servers)), "server") + ", " + count(int64(len(d.Observations)), "question") + " in all"
		}
		if d.Profile != "" {
			text += ", and held against the profile " + cut(d.Profile, 80)
		}
		steps = append(steps, foreign(text+"."))
	}
	steps = append(steps, words("What did not arrive intact was listed, one exception each, for the customer to decide by name (section 8)."))
	blocks := append([]block{{Procedure: steps}, {Table: d.tiers()}}, d.previewBlocks()...)
	tool := cell{{Text: "Tool and flags: "}, {Text: or(d.Tool, "not recorded"), Foreign: true}, {Text: ", fingerprints " + mailproof.FingerprintAlgorithm}}
	if d.Command != "" {
		tool = tool.and(span{Text: cut(d.Command, 600), Style: mono, Foreign: true, Break: true})
	}
	blocks = append(blocks, note(tool))
	return section{ID: "s4", No: "4", Title: "Method", Blocks: blocks}
}

func methodDepth(depth mailproof.Depth) string {
	switch depth {
	case mailproof.DepthFull:
		return "Every message in scope was read in full and fingerprinted with algorithm " + mailproof.FingerprintAlgorithm + "; what could not be read is counted as unreadable, never as absent."
	case mailproof.DepthSample:
		return "A seeded sample of the source's messages, and every message of the destination, was read and fingerprinted with algorithm " + mailproof.FingerprintAlgorithm + "; the others were listed only."
	case mailproof.DepthPreview:
		return "Messages were listed with their size and date, and their headers were read (BODY.PEEK[HEADER]); their bodies were not, but for a few whose length was compared with the stated size."
	}
	return "How much of each message was read is not recorded; the counts tell what was compared."
}

func (d *Document) copyText() string {
	passes := int64(0)
	for _, p := range d.Passes {
		if p.Kind == mailproof.CopyPass {
			passes++
		}
	}
	s := d.Steps
	text := "Messages found missing were appended to the destination"
	if passes > 0 {
		text += " in " + count(passes, "copy pass", "copy passes")
	}
	text += ": " + comma(s.Appended) + " acknowledged"
	if s.Refused > 0 {
		text += ", " + comma(s.Refused) + " refused"
	}
	if s.Failed > 0 {
		text += ", " + comma(s.Failed) + " not carried out"
	}
	return text + ". An acknowledgement is the server's claim and no evidence."
}

// afterCopyText says what the comparison rests on, as the passes tell: only an
// inventory of the destination taken after the last append is evidence of it.
func (d *Document) afterCopyText() string {
	var copied time.Time
	for _, p := range d.Passes {
		if p.Kind == mailproof.CopyPass && p.Started.After(copied) {
			copied = p.Started
		}
	}
	const basis = "The comparison rests on the inventories alone, never on the copy's own log."
	for _, p := range d.Passes {
		if p.Kind == mailproof.InventoryPass && p.Side == mailproof.Destination && p.State == mailproof.PassDone && p.Started.After(copied) {
			return "After the last append the destination was listed again, and what was new was read. " + basis
		}
	}
	return "No inventory of the destination after the last append is among the passes shown. " + basis
}

func (d *Document) tiers() *table {
	c := d.Totals
	type line struct {
		v    mailproof.MessageVerdict
		tier string
		n    int64
		hot  bool
	}
	lines := []line{
		{mailproof.Identical, "T0", c.Identical, false},
		{mailproof.IdenticalNormalised, "T1", c.IdenticalNormalised, false},
		{mailproof.Equivalent, "T2", c.Equivalent, false},
		{mailproof.EquivalentWithNotes, "T2", c.EquivalentWithNotes, false},
		{mailproof.EquivalentText, "T2v", c.EquivalentText, false},
		{mailproof.Relocated, "T0–T2", c.Relocated, false},
		{mailproof.Altered, "below T2", c.Altered, true},
		{mailproof.Missing, "none", c.Missing, true},
		{mailproof.DuplicateCollapsed, "T0–T2", c.DuplicateCollapsed, true},
		{mailproof.Excluded, "", c.Excluded, false},
		{mailproof.Unverifiable, "", c.Unverifiable, true},
		{mailproof.NotChecked, "", c.NotChecked, true},
	}
	t := &table{Class: "ti", Caption: words("Match tiers, and how many source messages rest on each"),
		Columns: []column{{Head: "Verdict", Width: 19.5}, {Head: "Tier", Width: 9}, {Head: "What it states", Width: 57.5}, {Head: "Messages", Width: 14, Right: true}}}
	for _, l := range lines {
		t.Rows = append(t.Rows, row{Cells: []cell{marked(messageMarks[l.v], verdictWords[l.v]), words(l.tier), words(l.v.Meaning()), number(l.n, l.hot)}})
	}
	t.Rows = append(t.Rows, row{Kind: totalRow, Cells: []cell{words("Source inventory"), nil, nil, words(comma(c.SourceMessages))}})
	return t
}

func (d *Document) environment() section {
	blocks := []block{}
	if d.Readiness != nil {
		blocks = append(blocks, title("5.1", "Servers"))
	}
	pairs := max(len(d.SourceServers), len(d.DestinationServers))
	const most = 8
	for i := range min(pairs, most) {
		caption := "As reported by the IMAP servers"
		if pairs > 1 {
			caption += fmt.Sprintf(" (%d of %d)", i+1, pairs)
		}
		blocks = append(blocks, block{Table: serverTable(caption, serverAt(d.SourceServers, i), serverAt(d.DestinationServers, i))})
	}
	if pairs == 0 {
		blocks = append(blocks, note(words("No sign-in to a server was recorded for the inventories of this report.")))
	}
	if pairs > most {
		blocks = append(blocks, note(words(fmt.Sprintf("%s more are listed in report.json.", count(int64(pairs-most), "pair of servers", "pairs of servers")))))
	}
	return section{ID: "s5", No: "5", Title: "Environment", Blocks: append(blocks, d.readiness()...)}
}

func serverAt(list []mailproof.ServerInfo, i int) *mailproof.ServerInfo {
	if i < len(list) {
		return &list[i]
	}
	return nil
}

func serverTable(caption string, source, destination *mailproof.ServerInfo) *table {
	t := &table{Class: "env", Caption: words(caption),
		Columns: []column{{Width: 24}, {Head: "Source", Width: 38}, {Head: "Destination", Width: 38}}}
	line := func(name string, f func(*mailproof.ServerInfo) cell) {
		c := []cell{words(name), nil, nil}
		for i, s := range []*mailproof.ServerInfo{source, destination} {
			if s != nil {
				c[i+1] = f(s)
			}
		}
		t.Rows = append(t.Rows, row{Cells: c})
	}
	line("Address", func(s *mailproof.ServerInfo) cell {
		c := fixed(cut(s.Address, 120))
		if s.Peer != "" && s.Peer != s.Address {
			c = c.and(span{Text: ", " + cut(s.Peer, 80), Foreign: true})
		}
		return c
	})
	line("Server, from ID or greeting", func(s *mailproof.ServerInfo) cell { return foreign(cut(or(s.ID, s.Greeting, "not told"), 160)) })
	line("Capabilities", func(s *mailproof.ServerInfo) cell {
		if len(s.Capabilities) == 0 {
			return words("not recorded")
		}
		return fixed(cut(strings.Join(s.Capabilities, " "), 900))
	})
	line("TLS", tlsText)
	line("Sign-in", func(s *mailproof.ServerInfo) cell { return foreign(cut(or(s.Mechanism, "not recorded"), 40)) })
	line("Largest message taken", func(s *mailproof.ServerInfo) cell {
		if s.AppendLimit <= 0 {
			return words("no limit stated")
		}
		return words(comma(s.AppendLimit) + " octets")
	})
	return t
}

func tlsText(s *mailproof.ServerInfo) cell {
	if s.TLS == "" {
		return cell{{Text: "none: the connection was not protected", Style: bold}}
	}
	text := s.TLS
	if !s.CertVerified {
		return cell{{Text: text + ", "}, {Text: "certificate not verified", Style: bold}}
	}
	if !s.CertNotAfter.IsZero() {
		text += ", certificate valid to " + s.CertNotAfter.UTC().Format("2 Jan 2006")
	}
	return words(text)
}

func (d *Document) limitations() section {
	items := []cell{
		words("Contacts, calendars, rules, delegates and local PST files lie outside IMAP and were not examined."),
		words("Mail that reached neither server in the window, or that was deleted from the source before T1, is outside this report."),
		words("Folders hidden from the login by access rights cannot be seen over IMAP."),
		words("“Equivalent” is not identity of octets: transport trace and cryptographic signatures are not covered."),
		words("The findings rest on what the IMAP servers reported between T1 and T4, and say nothing about what changed since."),
	}
	if d.Evidence.Bundle == "" {
		items = append(items, words("This report is not sealed: no signature lets a reader see whether it was changed after it was made."))
	} else {
		items = append(items,
			words("The hash tree makes the inventory tamper-evident after signing; it does not show that a server revealed everything."),
			words("A key made by the tool shows only that the same key signed. Compare its fingerprint out of band."))
	}
	if d.Depth != mailproof.DepthFull {
		items = append(items, words("Not every message was read: "+depthText(d.Depth)+"."))
	}
	if d.Sample != nil {
		items = append(items, foreign(d.Sample.Sentence()+"."))
	}
	return section{ID: "s11", No: "11", Title: "Limitations", Blocks: []block{{Procedure: items}}}
}

func (d *Document) attestation() section {
	var blocks []signature
	for _, side := range d.sides() {
		parties := side.parties
		if len(parties) == 0 {
			parties = []Party{{}}
		}
		for _, p := range parties[:min(len(parties), 4)] {
			blocks = append(blocks, d.signatureOf(side.role, p))
		}
	}
	lines := []block{
		note(words("The signatories have read the findings in this report. Each states the conclusion in their own name.")),
		{Signatures: blocks},
	}
	if d.Evidence.Bundle != "" {
		lines = append(lines, block{Annex: &annex{
			Title: "Annex: statement on a copy of data identified by hash value",
			Paragraphs: [][]string{
				{"1. I, ", " (name), ", " (title, organisation), am qualified by training and experience to compare electronic files by their hash value."},
				{"2. On ", " (date, UTC) I received the file or directory ", " with the bundle identifier " + cut(d.Evidence.Bundle, 60) + "."},
				{"3. With the program ", " I computed the SHA-256 value of each of its files. The value of tagmanifest-sha256.txt was ", "."},
				{"4. The values were ", " (equal / not equal) to those in manifest-sha256.txt and tagmanifest-sha256.txt; the signature was checked with the key of fingerprint ", "."},
				{"5. I state this of my own knowledge. Place, date ", "  Signature ", ""},
			},
			Note: "To be completed by a qualified person, in the manner of FRE 902(14). Whether it serves a given proceeding is for counsel to decide.",
		}})
	}
	return section{ID: "s12", No: "12", Title: "Attestation and signatures", Blocks: lines}
}

func (d *Document) signatureOf(role string, p Party) signature {
	n := d.tally()
	exceptions := fmt.Sprintf("%s open, %s accepted, as listed in section 8", comma(n[mailproof.Open]), comma(n[mailproof.Accepted]))
	key := "compared out of band"
	if d.Evidence.KeyFingerprint == "" {
		key = notSealed
	}
	return signature{Role: role, Of: cut(or(p.Organisation, p.Role), 60), Name: cut(p.Name, 60), Items: []definition{
		{"Findings read", words("sections 1 to 13")},
		{"Exceptions", words(exceptions)},
		{"Key fingerprint", words(key)},
	}}
}

func (d *Document) appendix() section {
	blocks := []block{title("13.1", "Algorithms")}
	blocks = append(blocks, block{Definition: []definition{
		{"Fingerprints", words(mailproof.FingerprintAlgorithm + ": SHA-256 over each tier's canonical form of a message; T0 is over its exact octets")},
		{"Pairing", words("as multisets, finest tier first; no message is paired twice")},
		{"Verdict", words("the worst of all findings, in the order INCOMPLETE, INCONCLUSIVE, COMPLETE WITH ACCEPTED EXCEPTIONS, COMPLETE")},
	}})
	blocks = append(blocks, title("13.2", "Trees, bundle and keys"))
	blocks = append(blocks, d.evidenceBlocks()...)
	blocks = append(blocks, title("13.3", "Look for yourself"), block{Listing: d.commands()})
	blocks = append(blocks, title("13.4", "Glossary"), block{Definition: glossary})
	return section{ID: "s13", No: "13", Title: "Appendix: algorithms, commands, glossary", NewPage: true, Blocks: blocks}
}

func (d *Document) evidenceBlocks() []block {
	attached := "report.json, accounts.csv, folders.csv, exceptions.csv"
	if d.hasRows(MostRowsPDF) {
		attached += ", messages.csv"
	}
	defs := []definition{{"Bundle", sealed(d.Evidence.Bundle)}, {"Signing key", sealed(d.Evidence.KeyFingerprint)},
		{"Attached to the PDF", cell{{Text: attached, Style: mono}, {Text: " (PDF/A-3; pdfdetach -saveall report.pdf)"}}}}
	if len(d.Evidence.Roots) == 0 {
		return []block{{Definition: append(defs, definition{"Trees", words("none: this report is not sealed")})}}
	}
	t := &table{Class: "ro", Caption: words("SHA-256, RFC 6962 leaves and nodes; one leaf per line of JSONL. The signed size is the count."),
		Columns: []column{{Head: "Tree", Width: 26}, {Head: "Size", Width: 12, Right: true}, {Head: "Root (base64)", Width: 62, Pad: true}}}
	for _, r := range d.Evidence.Roots {
		t.Rows = append(t.Rows, row{Cells: []cell{foreign(cut(r.Tree, 80)), number(r.Size, false), fixed(cut(r.Hash, 90))}})
	}
	return []block{{Table: t}, {Definition: defs}}
}

// commands are what a reader can run to find the numbers again.
func (d *Document) commands() []string {
	lines := []string{
		"# the verdict and the ledger equation, from the same ledger",
		"mailproof diff --json",
		"",
		"# the missing messages, from the file beside this report",
		"jq '.totals.missing' report.json    # " + strconv.FormatInt(d.Totals.Missing, 10),
		"jq -r '.exceptions[] | select(.verdict==\"missing\") | [.id,.account,.folder,.uid] | @tsv' report.json",
	}
	if d.Evidence.Bundle == "" {
		return lines
	}
	lines = append(lines, "", "# the sealed bundle, with public tools alone", "mailproof verify bundle", "cd bundle && sha256sum -c manifest-sha256.txt && sha256sum -c tagmanifest-sha256.txt",
		"openssl pkeyutl -verify -rawin -pubin -inkey keys/signer.pem \\", "  -in tagmanifest-sha256.txt -sigfile sig/tagmanifest.ed25519",
		"ssh-keygen -Y check-novalidate -n mailproof -s sig/tagmanifest.sshsig < tagmanifest-sha256.txt")
	for _, r := range d.Evidence.Roots {
		lines = append(lines, "wc -l "+cut(visible(r.Tree), 60)+"    # "+strconv.FormatInt(r.Size, 10)+", the size that was signed")
	}
	return lines
}

var glossary = []definition{
	{"Source, destination", words("the server that the mail leaves, and the one that it moves to")},
	{"Inventory", words("a list of every message of one side, read in one pass")},
	{"Tier", words("how closely two messages match; T0 is the closest")},
	{"Verdict", words("what was found for one source message, or for one left over on the destination")},
	{"Exception, disposition", words("a verdict that needs a decision, and that decision: open, fixed, accepted, waived")},
	{"Drift", words("a folder that changed while it was being read")},
	{"Unreadable", words("could not be read, or its counterpart may be among what could not be read")},
	{"UIDVALIDITY, UID", words("the numbers by which an IMAP server names a message for ever (RFC 9051)")},
}

// checkMarkLegend explains the outcomes of DNS checks.
func outcomeLegend() []cell {
	var c []cell
	for _, o := range []mailproof.Outcome{mailproof.OutcomePass, mailproof.OutcomeWarn, mailproof.OutcomeFail, mailproof.OutcomeUnknown, mailproof.OutcomeInfo} {
		c = append(c, marked(outcomeMark(o), o.String()))
	}
	return c
}

func legend(marks ...chart.Mark) []cell {
	text := map[chart.Mark]string{
		chart.MarkIdentical: "identical", chart.MarkEquivalent: "equivalent", chart.MarkRelocated: "relocated", chart.MarkExcluded: "excluded by rule",
		chart.MarkAltered: "one altered message", chart.MarkMissing: "one missing message", chart.MarkUnread: "one unreadable message",
		chart.MarkCollapsed: "one collapsed duplicate",
	}
	var c []cell
	for _, m := range marks {
		c = append(c, marked(m, text[m]))
	}
	return c
}
