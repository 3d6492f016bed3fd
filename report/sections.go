package report

import (
	"strconv"
	"strings"

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
		if side.word == "provider" {
			role = d.t("Provider, operator of the tool")
		}
		defs = append(defs, definition{role, d.partiesText(side.parties)})
	}
	users := d.Engagement.IntendedUsers
	if users == "" {
		users = d.t("The parties above. No other use is intended.")
	}
	purpose := or(d.Engagement.Purpose, d.t("To state, for every message of %s, whether it was found on the new server after the migration, and in what condition.",
		d.count(int64(d.listedAccounts()), "account")))
	defs = append(defs,
		definition{d.t("Intended users"), foreign(users)},
		definition{d.t("Purpose"), foreign(purpose)},
		definition{d.t("Nature of the work"), words(d.t("Procedures agreed by the parties (section 4). This report states the procedures, the facts found and every exception. The conclusion is left to those who sign."))},
	)
	return section{ID: "s2", No: "2", Title: d.t("Parties, roles, intended users, purpose"), Blocks: []block{{Definition: defs}}}
}

func (d *Document) partiesText(list []Party) cell {
	var c cell
	for i, p := range list {
		if i > 0 {
			c = c.and(span{Text: d.t("; ")})
		}
		parts := []string{p.Organisation, p.Name, p.Role}
		if p.Role != "" && p.Name == "" {
			parts[1] = d.t("(name to be filled in)")
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
		return cell{{Text: d.t("not named in the engagement"), Style: faint}}
	}
	return c
}

func (d *Document) scope() section {
	c := d.Totals
	folders, excluded, unread, drifted := d.folders()
	accounts := d.t("%s of %s listed in the engagement", comma(int64(len(d.Accounts))), comma(int64(d.listedAccounts())))
	if missing := d.listedAccounts() - len(d.Accounts); missing > 0 {
		accounts += d.t("; %s not compared", comma(int64(missing)))
	}
	text := d.form(int64(folders), "%s folder on the source, as reported by the IMAP servers|%s folders on the source, as reported by the IMAP servers")
	if excluded > 0 {
		text += d.t(", of which %s excluded by rule", comma(int64(excluded)))
	}
	switch {
	case unread > 0:
		text += d.t("; %s could not be read to the end", comma(int64(unread)))
	case excluded == 0 && folders > 0:
		text += d.t("; every one opened and read")
	case folders > 0:
		text += d.t("; every other one opened and read")
	}
	if drifted > 0 {
		text += d.form(int64(drifted), "; %s folder changed while being read|; %s folders changed while being read")
	}
	defs := []definition{
		{d.t("Accounts"), words(accounts)},
		{d.t("Folders"), words(text)},
		{d.t("Source inventory"), words(d.inventoryText(d.SourceWindow, "T1", "T2", c.SourceMessages, d.bytes(mailproof.Source)))},
		{d.t("Destination inventory"), words(d.inventoryText(d.DestinationWindow, "T3", "T4", c.DestinationMessages, d.bytes(mailproof.Destination)))},
	}
	for i, x := range d.Exclusions {
		defs = append(defs, definition{d.t("Excluded by rule %s", "X-"+strconv.Itoa(i+1)),
			cell{{Text: d.t("%s in %s: ", d.count(x.Messages, "message"), d.count(int64(x.Accounts), "account"))}, {Text: x.Rule, Foreign: true}, {Text: d.t(". Counted, not compared.")}}})
	}
	var byRule int64
	for _, x := range d.Exclusions {
		byRule += x.Messages
	}
	if rest := c.Excluded - byRule; rest > 0 {
		defs = append(defs, definition{d.t("Excluded by rule"), words(d.count(rest, "message") + d.t(". Counted, not compared."))})
	}
	inScope := comma(c.SourceMessages) + " − " + comma(c.Excluded) + " = " + d.count(c.SourceMessages-c.Excluded, "message") + ". "
	defs = append(defs,
		definition{d.t("In scope"), words(strings.TrimSpace(inScope + d.Share()))},
		definition{d.t("Depth"), words(d.depthText(d.Depth))},
		definition{d.t("Privacy"), words(d.t("This copy names accounts, folders and subjects. It is meant for the customer and for those whom the customer lets read it."))},
	)
	return section{ID: "s3", No: "3", Title: d.t("Scope"), Blocks: []block{{Definition: defs}}}
}

func (d *Document) inventoryText(w Window, t1, t2 string, messages, bytes int64) string {
	if w.IsZero() {
		return d.t("none recorded")
	}
	text := t1 + " " + d.span(w, t2) + d.t("; ") + d.count(messages, "message")
	if bytes > 0 {
		text += ", " + d.octets(bytes)
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

func (d *Document) depthText(depth mailproof.Depth) string {
	switch depth {
	case mailproof.DepthFull:
		return d.t("full: every octet of every message that could be read was read on both sides")
	case mailproof.DepthSample:
		return d.t("sample: the octets of a seeded sample of the source were read; nothing is stated about the content of any single other message")
	case mailproof.DepthPreview:
		return d.t("preview: headers were read and no message; nothing is stated about content")
	}
	return d.t("not recorded")
}

func (d *Document) method() section {
	steps := []cell{
		words(d.t("All folders of both sides were listed; for each, UIDVALIDITY, UIDNEXT, EXISTS and, where offered, HIGHESTMODSEQ were recorded before and after reading.")),
		words(d.t("The source was opened read-only (EXAMINE, BODY.PEEK). No flag was set on it.")),
		words(d.methodDepth(d.Depth)),
	}
	if d.Steps.Any() {
		steps = append(steps, words(d.copyText()))
		steps = append(steps, words(d.afterCopyText()))
	} else {
		steps = append(steps, words(d.t("Nothing was copied by this tool in the passes shown. The comparison rests on the two inventories alone.")))
	}
	steps = append(steps, words(d.t("Messages were paired, finest tier first, each at most once; what remained was listed as missing, extra or duplicate. A message without a counterpart is called missing only where the whole destination account was read.")))
	if len(d.DNS) > 0 {
		servers := map[string]bool{}
		for _, o := range d.Observations {
			servers[o.Server] = true
		}
		text := d.t("The domain's DNS was queried")
		if len(servers) > 0 {
			text += d.t(" at %s, %s in all", d.count(int64(len(servers)), "server"), d.count(int64(len(d.Observations)), "question"))
		}
		if d.Profile != "" {
			text += d.t(", and held against the profile %s", cut(d.Profile, 80))
		}
		steps = append(steps, foreign(text+d.t(".")))
	}
	steps = append(steps, words(d.t("What did not arrive intact was listed, one exception each, for the customer to decide by name (section 8).")))
	blocks := append([]block{{Procedure: steps}, {Table: d.tiers()}}, d.previewBlocks()...)
	tool := cell{{Text: d.t("Tool and flags: ")}, {Text: or(d.Tool, d.t("not recorded")), Foreign: true}, {Text: d.t(", fingerprints ") + mailproof.FingerprintAlgorithm}}
	if d.Command != "" {
		tool = tool.and(span{Text: cut(d.Command, 600), Style: mono, Foreign: true, Break: true})
	}
	blocks = append(blocks, note(tool))
	return section{ID: "s4", No: "4", Title: d.t("Method"), Blocks: blocks}
}

func (d *Document) methodDepth(depth mailproof.Depth) string {
	switch depth {
	case mailproof.DepthFull:
		return d.t("Every message in scope was read in full and fingerprinted with algorithm %s; what could not be read is counted as unreadable, never as absent.", mailproof.FingerprintAlgorithm)
	case mailproof.DepthSample:
		return d.t("A seeded sample of the source's messages, and every message of the destination, was read and fingerprinted with algorithm %s; the others were listed only.", mailproof.FingerprintAlgorithm)
	case mailproof.DepthPreview:
		return d.t("Messages were listed with their size and date, and their headers were read (BODY.PEEK[HEADER]); their bodies were not, but for a few whose length was compared with the stated size.")
	}
	return d.t("How much of each message was read is not recorded; the counts tell what was compared.")
}

func (d *Document) copyText() string {
	passes := int64(0)
	for _, p := range d.Passes {
		if p.Kind == mailproof.CopyPass {
			passes++
		}
	}
	s := d.Steps
	text := d.t("Messages found missing were appended to the destination")
	if passes > 0 {
		text += d.form(passes, " in %s copy pass| in %s copy passes")
	}
	text += d.t(": ") + d.form(s.Appended, "%s acknowledged|%s acknowledged")
	if s.Refused > 0 {
		text += ", " + d.form(s.Refused, "%s refused|%s refused")
	}
	if s.Failed > 0 {
		text += ", " + d.form(s.Failed, "%s not carried out|%s not carried out")
	}
	if s.Flags > 0 {
		text += d.form(s.Flags, ", flags of %s message set anew|, flags of %s messages set anew")
	}
	if s.Created > 0 {
		text += d.form(s.Created, ", %s folder created|, %s folders created")
	}
	return text + d.t(". An acknowledgement is the server's claim and no evidence.")
}

// afterCopyText says what the comparison rests on, as the passes tell: only an
// inventory of the destination taken after the last append is evidence of it.
func (d *Document) afterCopyText() string {
	var copied mailproof.PassID // in whose order they began, whatever the clock said
	for _, p := range d.Passes {
		if p.Kind == mailproof.CopyPass {
			copied = max(copied, p.ID)
		}
	}
	basis := d.t("The comparison rests on the inventories alone, never on the copy's own log.")
	for _, p := range d.Passes {
		if p.Kind == mailproof.InventoryPass && p.Side == mailproof.Destination && p.State == mailproof.PassDone && p.ID > copied {
			return d.t("After the last append the destination was listed again, and what was new was read. ") + basis
		}
	}
	return d.t("No inventory of the destination after the last append is among the passes shown. ") + basis
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
		{mailproof.Altered, d.t("below T2"), c.Altered, true},
		{mailproof.Missing, d.t("none"), c.Missing, true},
		{mailproof.DuplicateCollapsed, "T0–T2", c.DuplicateCollapsed, true},
		{mailproof.Excluded, "", c.Excluded, false},
		{mailproof.Unverifiable, "", c.Unverifiable, true},
		{mailproof.NotChecked, "", c.NotChecked, true},
	}
	t := &table{Class: "ti", Wide: true, Caption: words(d.t("Match tiers, and how many source messages rest on each")),
		Columns: []column{{Head: d.t("Verdict"), Width: 19.5}, {Head: d.t("Tier"), Width: 9}, {Head: d.t("What it states"), Width: 57.5}, {Head: d.t("Messages"), Width: 14, Right: true}}}
	add := func(l line) {
		t.Rows = append(t.Rows, row{Cells: []cell{marked(messageMarks[l.v], d.t(verdictWords[l.v])), words(d.t(l.tier)), words(d.t(l.v.Meaning())), number(l.n, l.hot)}})
	}
	for _, l := range lines {
		add(l)
	}
	t.Rows = append(t.Rows, row{Kind: totalRow, Cells: []cell{words(d.t("Source inventory")), nil, nil, words(comma(c.SourceMessages))}})
	// Of the destination, and no part of the sum above.
	add(line{mailproof.Extra, "", c.Extra, false})
	add(line{mailproof.DuplicateSurplus, "", c.DuplicateSurplus, false})
	return t
}

func (d *Document) environment() section {
	blocks := []block{}
	if d.Readiness != nil {
		blocks = append(blocks, title("5.1", d.t("Servers")))
	}
	pairs := max(len(d.SourceServers), len(d.DestinationServers))
	const most = 8
	for i := range min(pairs, most) {
		caption := d.t("As reported by the IMAP servers")
		if pairs > 1 {
			caption += d.t(" (%d of %d)", i+1, pairs)
		}
		blocks = append(blocks, block{Table: d.serverTable(caption, serverAt(d.SourceServers, i), serverAt(d.DestinationServers, i))})
	}
	if pairs == 0 {
		blocks = append(blocks, note(words(d.t("No sign-in to a server was recorded for the inventories of this report."))))
	}
	if pairs > most {
		blocks = append(blocks, note(words(d.form(int64(pairs-most), "%s more pair of servers is listed in report.json.|%s more pairs of servers are listed in report.json."))))
	}
	return section{ID: "s5", No: "5", Title: d.t("Environment"), Blocks: append(blocks, d.readiness()...)}
}

func serverAt(list []mailproof.ServerInfo, i int) *mailproof.ServerInfo {
	if i < len(list) {
		return &list[i]
	}
	return nil
}

func (d *Document) serverTable(caption string, source, destination *mailproof.ServerInfo) *table {
	t := &table{Class: "env", Caption: words(caption),
		Columns: []column{{Width: 24}, {Head: d.t("Source"), Width: 38}, {Head: d.t("Destination"), Width: 38}}}
	line := func(name string, f func(*mailproof.ServerInfo) cell) {
		c := []cell{words(name), nil, nil}
		for i, s := range []*mailproof.ServerInfo{source, destination} {
			if s != nil {
				c[i+1] = f(s)
			}
		}
		t.Rows = append(t.Rows, row{Cells: c})
	}
	line(d.t("Address"), func(s *mailproof.ServerInfo) cell {
		c := fixed(cut(s.Address, 120))
		if s.Peer != "" && s.Peer != s.Address {
			c = c.and(span{Text: ", " + cut(s.Peer, 80), Foreign: true})
		}
		return c
	})
	line(d.t("Server, from ID or greeting"), func(s *mailproof.ServerInfo) cell { return foreign(cut(or(s.ID, s.Greeting, d.t("not told")), 160)) })
	line(d.t("Capabilities"), func(s *mailproof.ServerInfo) cell {
		if len(s.Capabilities) == 0 {
			return words(d.t("not recorded"))
		}
		return fixed(cut(strings.Join(s.Capabilities, " "), 900))
	})
	line(d.t("TLS"), d.tlsText)
	line(d.t("Sign-in"), func(s *mailproof.ServerInfo) cell { return foreign(cut(or(s.Mechanism, d.t("not recorded")), 40)) })
	line(d.t("Largest message taken"), func(s *mailproof.ServerInfo) cell {
		if s.AppendLimit <= 0 {
			return words(d.t("no limit stated"))
		}
		return words(d.count(s.AppendLimit, "octet"))
	})
	return t
}

func (d *Document) tlsText(s *mailproof.ServerInfo) cell {
	if s.TLS == "" {
		return cell{{Text: d.t("none: the connection was not protected"), Style: bold}}
	}
	text := s.TLS
	if !s.CertVerified {
		return cell{{Text: text + ", "}, {Text: d.t("certificate not verified"), Style: bold}}
	}
	if !s.CertNotAfter.IsZero() {
		text += d.t(", certificate valid to ") + d.date(s.CertNotAfter, "2 Jan 2006")
	}
	return words(text)
}

func (d *Document) limitations() section {
	items := []cell{
		words(d.t("Contacts, calendars, rules, delegates and local PST files lie outside IMAP and were not examined.")),
		words(d.t("Mail that reached neither server in the window, or that was deleted from the source before T1, is outside this report.")),
		words(d.t("Folders hidden from the login by access rights cannot be seen over IMAP.")),
		words(d.t("“Equivalent” is not identity of octets: transport trace and cryptographic signatures are not covered.")),
		words(d.t("The findings rest on what the IMAP servers reported between T1 and T4, and say nothing about what changed since.")),
	}
	if text := d.unconfirmed(40); text != "" {
		items = append(items, words(text+d.t(".")))
	}
	if d.Evidence.Bundle == "" {
		items = append(items, words(d.t("This report is not sealed: no signature lets a reader see whether it was changed after it was made.")))
	} else {
		items = append(items,
			words(d.t("The hash tree makes the inventory tamper-evident after signing; it does not show that a server revealed everything.")),
			words(d.t("A key made by the tool shows only that the same key signed. Compare its fingerprint out of band.")))
	}
	if d.Depth != mailproof.DepthFull {
		items = append(items, words(d.t("Not every message was read: ")+d.depthText(d.Depth)+d.t(".")))
	}
	if d.Sample != nil {
		items = append(items, foreign(d.sampleSentence(d.Sample)+"."))
	}
	return section{ID: "s11", No: "11", Title: d.t("Limitations"), Blocks: []block{{Procedure: items}}}
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
		note(words(d.t("The signatories have read the findings in this report. Each states the conclusion in their own name."))),
		{Signatures: blocks},
	}
	if d.Evidence.Bundle != "" {
		lines = append(lines, block{Annex: &annex{
			Title: d.t("Annex: statement on a copy of data identified by hash value"),
			Paragraphs: [][]string{
				{d.t("1. I, "), d.t(" (name), "), d.t(" (title, organisation), am qualified by training and experience to compare electronic files by their hash value.")},
				{d.t("2. On "), d.t(" (date, UTC) I received the file or directory "), d.t(" with the bundle identifier ") + cut(d.Evidence.Bundle, 60) + d.t(".")},
				{d.t("3. With the program "), d.t(" I computed the SHA-256 value of each of its files. The value of tagmanifest-sha256.txt was "), "."},
				{d.t("4. The values were "), d.t(" (equal / not equal) to those in manifest-sha256.txt and tagmanifest-sha256.txt; the signature was checked with the key of fingerprint "), "."},
				{d.t("5. I state this of my own knowledge. Place, date "), d.t("  Signature "), ""},
			},
			Note: d.t("To be completed by a qualified person, in the manner of FRE 902(14). Whether it serves a given proceeding is for counsel to decide."),
		}})
	}
	return section{ID: "s12", No: "12", Title: d.t("Attestation and signatures"), Blocks: lines}
}

func (d *Document) signatureOf(role string, p Party) signature {
	n := d.tally()
	exceptions := d.t("%s, as listed in section 8", d.form(n[mailproof.Open], "%s open|%s open")+", "+d.form(n[mailproof.Accepted], "%s accepted|%s accepted"))
	key := d.t("compared out of band")
	if d.Evidence.KeyFingerprint == "" {
		key = d.t(notSealed)
	}
	return signature{Role: role, Of: cut(or(p.Organisation, p.Role), 60), Name: cut(p.Name, 60), Items: []definition{
		{d.t("Findings read"), words(d.t("sections 1 to 13"))},
		{d.t("Exceptions"), words(exceptions)},
		{d.t("Key fingerprint"), words(key)},
	}}
}

func (d *Document) appendix() section {
	blocks := []block{title("13.1", d.t("Algorithms"))}
	blocks = append(blocks, block{Definition: []definition{
		{d.t("Fingerprints"), words(mailproof.FingerprintAlgorithm + d.t(": SHA-256 over each tier's canonical form of a message; T0 is over its exact octets"))},
		{d.t("Pairing"), words(d.t("as multisets, finest tier first; no message is paired twice"))},
		{d.t("Verdict"), words(d.t("the worst of all findings, in the order INCOMPLETE, INCONCLUSIVE, COMPLETE WITH ACCEPTED EXCEPTIONS, COMPLETE"))},
	}})
	blocks = append(blocks, title("13.2", d.t("Trees, bundle and keys")))
	blocks = append(blocks, d.evidenceBlocks()...)
	blocks = append(blocks, title("13.3", d.t("Look for yourself")), block{Listing: d.commands()})
	blocks = append(blocks, title("13.4", d.t("Glossary")), block{Definition: d.glossary()})
	return section{ID: "s13", No: "13", Title: d.t("Appendix: algorithms, commands, glossary"), NewPage: true, Blocks: blocks}
}

func (d *Document) evidenceBlocks() []block {
	attached := d.t("report.json, accounts.csv, folders.csv, exceptions.csv")
	if d.hasRows(MostRowsPDF) {
		attached += d.t(", messages.csv")
	}
	defs := []definition{{d.t("Bundle"), d.sealed(d.Evidence.Bundle)}, {d.t("Signing key"), d.sealed(d.Evidence.KeyFingerprint)},
		{d.t("Attached to the PDF"), cell{{Text: attached, Style: mono}, {Text: d.t(" (PDF/A-3; pdfdetach -saveall report.pdf)")}}}}
	if len(d.Evidence.Roots) == 0 {
		return []block{{Definition: append(defs, definition{d.t("Trees"), words(d.t("none: this report is not sealed"))})}}
	}
	t := &table{Class: "ro", Caption: words(d.t("SHA-256, RFC 6962 leaves and nodes; one leaf per line of JSONL. The signed size is the count.")),
		Columns: []column{{Head: d.t("Tree"), Width: 26}, {Head: d.t("Size"), Width: 12, Right: true}, {Head: d.t("Root (base64)"), Width: 62, Pad: true}}}
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

func (d *Document) glossary() []definition {
	return []definition{
		{d.t("Source, destination"), words(d.t("the server that the mail leaves, and the one that it moves to"))},
		{d.t("Inventory"), words(d.t("a list of every message of one side, read in one pass"))},
		{d.t("Tier"), words(d.t("how closely two messages match; T0 is the closest"))},
		{d.t("Verdict"), words(d.t("what was found for one source message, or for one left over on the destination"))},
		{d.t("Exception, disposition"), words(d.t("a verdict that needs a decision, and that decision: open, fixed, accepted, waived"))},
		{d.t("Drift"), words(d.t("a folder that changed while it was being read"))},
		{d.t("Unreadable"), words(d.t("could not be read, or its counterpart may be among what could not be read"))},
		{d.t("UIDVALIDITY, UID"), words(d.t("the numbers by which an IMAP server names a message for ever (RFC 9051)"))},
	}
}

// checkMarkLegend explains the outcomes of DNS checks.
func (d *Document) outcomeLegend() []cell {
	var c []cell
	for _, o := range []mailproof.Outcome{mailproof.OutcomePass, mailproof.OutcomeWarn, mailproof.OutcomeFail, mailproof.OutcomeUnknown, mailproof.OutcomeInfo} {
		c = append(c, marked(outcomeMark(o), d.t(o.String())))
	}
	return c
}

func (d *Document) legend(marks ...chart.Mark) []cell {
	text := map[chart.Mark]string{
		chart.MarkIdentical: d.t("identical"), chart.MarkEquivalent: d.t("equivalent"), chart.MarkRelocated: d.t("relocated"), chart.MarkExcluded: d.t("excluded by rule"),
		chart.MarkAltered: d.t("one altered message"), chart.MarkMissing: d.t("one missing message"), chart.MarkUnread: d.t("one unreadable message"),
		chart.MarkCollapsed: d.t("one collapsed duplicate"),
	}
	var c []cell
	for _, m := range marks {
		c = append(c, marked(m, text[m]))
	}
	return c
}
