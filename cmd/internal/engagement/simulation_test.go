package engagement

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/mail"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect"
	"github.com/mailproof/mailproof/collect/fingerprint"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/mailgen"
	"github.com/mailproof/mailproof/diff"
)

// memory is an account in memory, as collect reads it.
type memory struct {
	names []string
	boxes map[string][]mailgen.Message
	open  string
}

func newMemory() *memory { return &memory{boxes: map[string][]mailgen.Message{}} }

func (m *memory) add(name string, msg mailgen.Message) mailproof.UID {
	if _, ok := m.boxes[name]; !ok {
		m.names = append(m.names, name)
	}
	m.boxes[name] = append(m.boxes[name], msg)
	return mailproof.UID(len(m.boxes[name]))
}

func (m *memory) Server() mailproof.ServerInfo {
	return mailproof.ServerInfo{Address: "memory:993", ID: "memory"}
}

func (m *memory) Mailboxes(context.Context) ([]mailproof.Mailbox, error) {
	var out []mailproof.Mailbox
	for _, name := range m.names {
		out = append(out, mailproof.Mailbox{Name: name, Separator: "/"})
	}
	return out, nil
}

func (m *memory) Examine(_ context.Context, name string) (mailproof.MailboxState, error) {
	m.open = name
	n := len(m.boxes[name])
	return mailproof.MailboxState{UIDValidity: 7, UIDNext: mailproof.UID(n + 1), Exists: uint32(n)}, nil
}

func (m *memory) Metadata(_ context.Context, yield func(mailproof.Metadata) error) error {
	for i, msg := range m.boxes[m.open] {
		if err := yield(mailproof.Metadata{UID: mailproof.UID(i + 1), Flags: msg.Flags, InternalDate: msg.Date, Size: int64(len(msg.Raw))}); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Bodies(_ context.Context, want []mailproof.Metadata, read func(mailproof.UID, int64, io.Reader) error) (map[mailproof.UID]string, error) {
	for _, md := range want {
		raw := m.boxes[m.open][md.UID-1].Raw
		if err := read(md.UID, int64(len(raw)), bytes.NewReader(raw)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (m *memory) Headers(_ context.Context, want []mailproof.Metadata, read func(mailproof.UID, int64, io.Reader) error) (map[mailproof.UID]string, error) {
	for _, md := range want {
		head := m.boxes[m.open][md.UID-1].Raw
		if i := bytes.Index(head, []byte("\r\n\r\n")); i >= 0 {
			head = head[:i+4]
		}
		if err := read(md.UID, int64(len(head)), bytes.NewReader(head)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

var crlf = []byte("\r\n")

// split parts header (with its last line end) and body.
func split(raw []byte) (header, body string, ok bool) {
	h, b, ok := strings.Cut(string(raw), "\r\n\r\n")
	return h + "\r\n", b, ok
}

// field finds a header field, folds included.
func field(header, name string) (start, end int, ok bool) {
	at := regexp.MustCompile(`(?im)^` + name + `:.*\r\n([ \t].*\r\n)*`).FindStringIndex(header)
	if at == nil {
		return 0, 0, false
	}
	return at[0], at[1], true
}

var boundaryPattern = regexp.MustCompile(`(?i)boundary="?([^";\r\n]+)"?`)

// parts returns where the parts of a multipart lie, delimiters left out.
func parts(header, body string) (at [][2]int) {
	m := boundaryPattern.FindStringSubmatch(header)
	if m == nil {
		return nil
	}
	delimiter := "--" + m[1]
	from := -1
	for pos := 0; pos < len(body); {
		end := strings.Index(body[pos:], "\r\n")
		line := body[pos:]
		next := len(body)
		if end >= 0 {
			line, next = body[pos:pos+end], pos+end+2
		}
		if line == delimiter || line == delimiter+"--" {
			if from >= 0 {
				at = append(at, [2]int{from, pos})
			}
			from = next
		}
		pos = next
	}
	return at
}

// damages are what a destination may do to a message and must not; each
// returns false where it finds nothing to do it to.
var damages = map[string]func(r *rand.Rand, header, body, other string) (string, string, bool){
	"cut to 70 %": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		n := (len(h) + len(b)) * 7 / 10
		if n < len(h)+100 {
			return h, b, false
		}
		return h, b[:n-len(h)], true
	},
	"last KiB cut": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		return h, b[:max(0, len(b)-1024)], len(b) > 2048
	},
	"one letter": func(r *rand.Rand, h, b, _ string) (string, string, bool) {
		if boundaryPattern.MatchString(h) || strings.Contains(strings.ToLower(h), "base64") {
			return h, b, false
		}
		for range 200 {
			i := r.IntN(len(b))
			if line := b[strings.LastIndex(b[:i], "\n")+1 : i]; b[i] >= 'a' && b[i] < 'z' && !strings.Contains(line, "=") {
				return h, b[:i] + string(b[i]+1) + b[i+1:], true
			}
		}
		return h, b, false
	},
	"one bit of an attachment": func(r *rand.Rand, h, b, _ string) (string, string, bool) {
		for _, p := range parts(h, b) {
			part := b[p[0]:p[1]]
			ph, pb, ok := split([]byte(part))
			if !ok || !strings.Contains(ph, "base64") || !strings.Contains(strings.ToLower(ph), "attachment") || len(pb) < 40 {
				continue
			}
			i := r.IntN(len(pb) / 2)
			for pb[i] < 'b' || pb[i] > 'y' {
				i++
			}
			return h, b[:p[0]] + ph + "\r\n" + pb[:i] + string(pb[i]+1) + pb[i+1:] + b[p[1]:], true
		}
		return h, b, false
	},
	"last part lost": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		at := parts(h, b)
		if len(at) < 2 {
			return h, b, false
		}
		last := at[len(at)-1]
		start := strings.LastIndex(b[:last[0]-2], "\n") + 1
		return h, b[:start] + b[last[1]:], true
	},
	"attachment stubbed": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		for _, p := range parts(h, b) {
			if strings.Contains(strings.ToLower(b[p[0]:p[1]]), "content-disposition: attachment") {
				return h, b[:p[0]] + "Content-Type: text/plain\r\n\r\nThe attachment was removed: too large.\r\n" + b[p[1]:], true
			}
		}
		return h, b, false
	},
	"body emptied": func(_ *rand.Rand, h, _, _ string) (string, string, bool) { return h, "", true },
	"zeroed": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		return h, strings.Repeat("\x00", len(b)), true
	},
	"body swapped": func(_ *rand.Rand, h, b, other string) (string, string, bool) {
		return h, other, other != b && !boundaryPattern.MatchString(h) && !strings.Contains(strings.ToLower(h), "transfer-encoding")
	},
	"subject": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		start, _, ok := field(h, "Subject")
		return h[:start] + "Subject: [copy] " + strings.TrimLeft(h[start+len("Subject:"):], " "), b, ok
	},
	"date + 1 h": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		start, end, ok := field(h, "Date")
		if !ok {
			return h, b, false
		}
		date, err := mail.ParseDate(strings.TrimSpace(h[start+len("Date:") : end]))
		return h[:start] + "Date: " + date.Add(time.Hour).Format(time.RFC1123Z) + "\r\n" + h[end:], b, err == nil
	},
	"To lost": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		start, end, ok := field(h, "To")
		return h[:start] + h[end:], b, ok
	},
	"Message-ID changed": func(r *rand.Rand, h, b, _ string) (string, string, bool) {
		start, end, ok := field(h, "Message-ID")
		return h[:start] + fmt.Sprintf("Message-ID: <%x@changed.example>\r\n", r.Uint64()) + h[end:], b, ok
	},
	"Message-ID lost": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		start, end, ok := field(h, "Message-ID")
		return h[:start] + h[end:], b, ok
	},
	"non-ASCII to ?": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		out := strings.Map(func(c rune) rune {
			if c > 0x7f {
				return '?'
			}
			return c
		}, b)
		return h, out, out != b && utf8.ValidString(b)
	},
	"mojibake": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		var out strings.Builder
		for i := range len(b) {
			out.WriteRune(rune(b[i]))
		}
		return h, out.String(), out.String() != b && utf8.ValidString(b) && strings.Contains(strings.ToLower(h), "utf-8") && !boundaryPattern.MatchString(h)
	},
	"line removed": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		if boundaryPattern.MatchString(h) || strings.Contains(strings.ToLower(h), "base64") {
			return h, b, false
		}
		lines := strings.Split(b, "\r\n")
		for i, l := range lines {
			if i > 0 && len(l) > 20 && !strings.Contains(l, "=") && !strings.HasSuffix(lines[i-1], "=") {
				return h, strings.Join(slices.Delete(lines, i, i+1), "\r\n"), true
			}
		}
		return h, b, false
	},
	"words wrapped": func(_ *rand.Rand, h, b, _ string) (string, string, bool) {
		if strings.Contains(strings.ToLower(h), "transfer-encoding") || boundaryPattern.MatchString(h) {
			return h, b, false
		}
		i := strings.Index(b, "the")
		return h, b[:max(0, i)+1] + "\r\n" + b[max(0, i)+1:], i >= 0
	},
}

// harmless is what a destination may do.
var harmless = map[string]func(raw []byte) []byte{
	"kept":     func(raw []byte) []byte { return raw },
	"rebuilt":  imapmem.Exchange,
	"LF":       func(raw []byte) []byte { return bytes.ReplaceAll(raw, crlf, []byte("\n")) },
	"status":   func(raw []byte) []byte { return append([]byte("Status: RO\r\nX-UID: 4\r\n"), raw...) },
	"received": func(raw []byte) []byte { return append([]byte("Received: from a by b\r\n"), raw...) },
	"rebuilt twice": func(raw []byte) []byte {
		return imapmem.Exchange(append([]byte("X-Gateway: yes\r\n"), imapmem.Exchange(raw)...))
	},
}

// fate is what became of one source message.
type fate struct {
	how     string // "lost", "harm: …", "harmless: …"
	group   string // of messages that may be taken for each other
	content string // of messages that say the same
}

func (f fate) whole() bool { return strings.HasPrefix(f.how, "harmless") }

// world is a migration that was carried out.
type world struct {
	src, dst                   *memory
	fates                      map[mailproof.MessageKey]fate
	whole                      map[string]int // intact copies on the destination, by content
	doubled, arrived, relocate int
}

// fateOf names the messages that may be taken for this one, those of its
// Message-ID or, where it has none, of its content; and those that say the same.
func fateOf(h *fingerprint.Hasher, raw []byte) (fate, error) {
	fp, err := h.Compute(bytes.NewReader(raw))
	f := fate{group: fp.Hash(mailproof.T3).String(), content: fp.Hash(mailproof.T2).String()}
	if fp.Hash(mailproof.T3).IsZero() {
		f.group = fp.Hash(mailproof.T2c).String()
	}
	return f, err
}

func newWorld(t *testing.T, n int) *world {
	t.Helper()
	r := rand.New(rand.NewPCG(3, uint64(n)))
	w := &world{src: newMemory(), dst: newMemory(), fates: map[mailproof.MessageKey]fate{}, whole: map[string]int{}}
	hasher := fingerprint.New()
	account := mailgen.New(11).Account(mailgen.Profile{Messages: n, Folders: 8, ASCIIFolders: true})
	later := mailgen.New(12)
	used, seen := map[string]int{}, map[string]bool{}
	kinds := slices.Sorted(maps.Keys(harmless))
	var other string
	for _, f := range account.Folders {
		name := strings.Join(f.Path, "/")
		for _, m := range f.Messages {
			uid := w.src.add(name, m)
			out, err := fateOf(hasher, m.Raw)
			if err != nil {
				t.Fatal(err)
			}
			key := mailproof.MessageKey{Side: mailproof.Source, Account: "anna", Mailbox: name, UIDValidity: 7, UID: uid}
			copied, target := m, name
			if len(copied.Flags) > 0 && r.IntN(50) == 0 {
				copied.Flags = mailproof.NewFlags(copied.Flags[1:]...)
			}
			header, body, _ := split(m.Raw)
			// Twins are lost and doubled more often: one masks the other then.
			twin := seen[out.content]
			seen[out.content] = true
			switch roll := r.IntN(100); {
			case roll == 0, twin && roll < 20:
				out.how = "lost"
			case roll < 8:
				how := rarest(damages, used, func(name string) bool {
					h, b, ok := damages[name](r, header, body, other)
					if ok {
						copied.Raw = []byte(h + "\r\n" + b)
					}
					return ok && !bytes.Equal(copied.Raw, m.Raw)
				})
				used[how]++
				if r.IntN(2) == 0 {
					copied.Raw = imapmem.Exchange(copied.Raw)
				}
				out.how = "harm: " + how
			default:
				how := "rebuilt"
				if roll >= 80 {
					how = kinds[r.IntN(len(kinds))]
				}
				copied.Raw = harmless[how](m.Raw)
				out.how = "harmless: " + how
				if roll == 99 && name != "Trash" {
					target = "Elsewhere"
					out.how += ", relocated"
					w.relocate++
				}
			}
			w.fates[key] = out
			other = body
			if out.how != "lost" {
				w.dst.add(target, copied)
			}
			if out.whole() {
				w.whole[out.content]++
			}
			if out.whole() && (r.IntN(100) == 0 || twin && r.IntN(3) == 0) {
				w.doubled++
				w.whole[out.content]++
				w.dst.add(target, copied)
			}
			if r.IntN(100) == 0 {
				w.arrived++
				w.dst.add(name, mailgen.Message{Raw: later.Message(mailgen.Plain, m.Date), Date: m.Date})
			}
		}
	}
	return w
}

// rarest picks the way that was used least of those that can be.
func rarest[T any](ways map[string]T, used map[string]int, try func(string) bool) string {
	names := slices.Sorted(maps.Keys(ways))
	slices.SortStableFunc(names, func(a, b string) int { return used[a] - used[b] })
	for _, name := range names {
		if try(name) {
			return name
		}
	}
	return "" // emptying a body is always possible
}

// judge takes both inventories into a ledger and compares them.
func (w *world) judge(t *testing.T, depth mailproof.Depth, sample collect.Sample) (Comparison, []diff.Result) {
	t.Helper()
	e, err := Open(t.Context(), t.TempDir(), nil, Options{Depth: depth, Sample: sample})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	for side, m := range map[mailproof.Side]*memory{mailproof.Source: w.src, mailproof.Destination: w.dst} {
		depth := e.depthOf(side)
		pass, end, err := e.beginPass(t.Context(), mailproof.Pass{Kind: mailproof.InventoryPass, Side: side, Depth: depth})
		if err != nil {
			t.Fatal(err)
		}
		if depth == mailproof.DepthSample {
			if err := e.recordSample(t.Context(), pass); err != nil {
				t.Fatal(err)
			}
		}
		sum, err := collect.Inventory(t.Context(), m, recorder{e.ledger}, collect.Options{Pass: pass, Account: "anna", Side: side, Depth: depth, Sample: e.Sample})
		if err := end(err, sum.Messages, sum.Bytes); err != nil {
			t.Fatal(err)
		}
	}
	var results []diff.Result
	c, err := e.Compare(t.Context(), func(r diff.Result) error {
		results = append(results, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, results
}

// tooMany counts the messages that are called good beyond the intact copies
// that the destination has of what they say.
func (w *world) tooMany(found map[string]int) (n int) {
	for content, k := range found {
		n += max(0, k-w.whole[content])
	}
	return n
}

func good(v mailproof.MessageVerdict) bool { return v.Paired() && v != mailproof.Altered }

// A migration to a server that rebuilds messages as Exchange does. Most arrive
// harmlessly changed, some damaged in each way, some not at all; some are there
// twice, some elsewhere, and new ones arrived. Through the fingerprints, the
// ledger and the comparison, no damage is called good, nearly nothing harmless
// is called altered, and every loss is found but for those that a twin masks.
func TestMigration(t *testing.T) {
	n := 10_000
	if (raceEnabled || testing.Short()) && os.Getenv("MAILPROOF_LONG") == "" {
		n = 1000
	}
	w := newWorld(t, n)
	c, results := w.judge(t, mailproof.DepthFull, collect.Sample{})

	members, found := map[string]int{}, map[string]int{}
	for _, f := range w.fates {
		members[f.group]++
	}
	table := map[string]map[mailproof.MessageVerdict]int{}
	var lost, masked, unfound, falseAlarms, misplaced int
	for _, x := range results {
		if x.SourceRow == nil {
			continue
		}
		f, ok := w.fates[x.Source]
		if !ok {
			t.Fatalf("a verdict on %v, which is no message", x.Source)
		}
		if table[f.how] == nil {
			table[f.how] = map[mailproof.MessageVerdict]int{}
		}
		table[f.how][x.Verdict]++
		if good(x.Verdict) {
			found[f.content]++
		}
		alone := members[f.group] == 1
		switch {
		case f.how == "lost" && alone:
			lost++
			if x.Verdict != mailproof.Missing {
				unfound++
				t.Logf("lost, and called %v: %v", x.Verdict, x.Source)
			}
		case f.how == "lost":
			lost++
			if good(x.Verdict) {
				masked++
			}
		case f.whole() && alone && !good(x.Verdict):
			falseAlarms++
			t.Logf("%s, and called %v: %v: %v", f.how, x.Verdict, x.Source, x.Reasons)
		case f.whole() && alone && strings.HasSuffix(f.how, "relocated") != (x.Verdict == mailproof.Relocated):
			misplaced++
			t.Logf("%s, and called %v: %v", f.how, x.Verdict, x.Source)
		}
	}
	// By content: no more messages are called good than the destination has
	// intact copies of. Which of several equal ones is left over is a matter of
	// order; that one is, is not.
	goodDamage := w.tooMany(found)
	for _, how := range slices.Sorted(maps.Keys(table)) {
		t.Logf("%-40s %v", how, table[how])
	}
	t.Logf("%d messages: damage called good %d, harmless called altered %d, lost %d (masked by a twin %d, not found %d), relocated %d (misplaced %d), doubled %d, arrived %d",
		n, goodDamage, falseAlarms, lost, masked, unfound, w.relocate, misplaced, w.doubled, w.arrived)
	if goodDamage > 0 || falseAlarms > n/5000 || unfound > 0 || misplaced > 0 {
		t.Error("see above")
	}
	for name := range damages {
		if table["harm: "+name] == nil {
			t.Errorf("no message was damaged by %q: the test says nothing of it", name)
		}
	}
	if !c.Totals.Balanced() || c.Accounts[0].Verdict != mailproof.Incomplete || c.Totals.Extra < int64(w.arrived) {
		t.Errorf("%v, balanced %v, %d extra", c.Accounts[0].Verdict, c.Totals.Balanced(), c.Totals.Extra)
	}
}

// The same at the depths that read less: a sample calls no damage good either
// and finds the losses that it drew; a preview calls nothing good.
func TestMigrationReadInPart(t *testing.T) {
	w := newWorld(t, 800)
	sample := collect.Sample{Seed: "s", Share: 0.25}
	c, results := w.judge(t, mailproof.DepthSample, sample)
	found, lost, checked := map[string]int{}, 0, int64(0)
	for _, x := range results {
		if x.SourceRow == nil {
			continue
		}
		drawn := sample.Below(sample.Rank(x.Source))
		if drawn == (x.Verdict == mailproof.NotChecked) {
			t.Errorf("%v is %v, drawn %v", x.Source, x.Verdict, drawn)
		}
		if drawn {
			checked++
		}
		if good(x.Verdict) {
			found[w.fates[x.Source].content]++
		}
		if x.Verdict == mailproof.Missing || x.Verdict == mailproof.DuplicateCollapsed {
			lost++
			if how := w.fates[x.Source].how; strings.HasPrefix(how, "harmless") {
				t.Errorf("%s, and called %v: %v", how, x.Verdict, x.Source)
			}
		}
	}
	if n := w.tooMany(found); n > 0 || lost == 0 {
		t.Errorf("damage called good %d, lost %d", n, lost)
	}
	s := c.Sample
	if s == nil || s.Sampled != checked || s.Population != 800 || s.Bad == 0 || s.MostBad != nil || c.Depth != mailproof.DepthSample {
		t.Errorf("%+v of %d drawn, depth %v", s, checked, c.Depth)
	}

	c, results = w.judge(t, mailproof.DepthPreview, collect.Sample{})
	for _, x := range results {
		if good(x.Verdict) || x.Verdict == mailproof.Missing {
			t.Errorf("a preview calls %v %v", x.Source, x.Verdict)
		}
	}
	if c.Sample != nil || c.Depth != mailproof.DepthPreview || c.Totals.NotChecked != 800 || c.Accounts[0].Verdict == mailproof.Complete {
		t.Errorf("%v, %v, %+v", c.Depth, c.Accounts[0].Verdict, c.Totals)
	}
}
