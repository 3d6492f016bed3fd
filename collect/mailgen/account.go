package mailgen

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	mailproof "github.com/mailproof/mailproof"
)

// Message is one message of a folder.
type Message struct {
	Raw   []byte
	Flags mailproof.Flags
	Date  time.Time // INTERNALDATE
}

// Folder is a folder of an account. Path holds its levels without separator
// and namespace; the inbox is ["INBOX"].
type Folder struct {
	Path     []string
	Use      mailproof.SpecialUse
	Messages []Message
}

// Account is all mail of one user.
type Account struct {
	Folders []Folder
}

// Messages counts the messages of all folders.
func (a *Account) Messages() int {
	n := 0
	for _, f := range a.Folders {
		n += len(f.Messages)
	}
	return n
}

// Octets adds up the sizes of all messages.
func (a *Account) Octets() int64 {
	var n int64
	for _, f := range a.Folders {
		for _, m := range f.Messages {
			n += int64(len(m.Raw))
		}
	}
	return n
}

// Profile says what an account is to be like.
type Profile struct {
	Messages int // in all
	Folders  int // in all, the inbox included; at least 1
	// Without leaves out kinds, for servers that refuse them: Cyrus changes
	// the octets of RawHeader.
	Without []Kind
	// NoOddities leaves out true duplicates and different messages under one
	// Message-ID.
	NoOddities bool
	// ASCIIFolders leaves out folder names beyond plain ASCII letters.
	ASCIIFolders bool
	// EmptyFolder adds one folder without messages to Folders.
	EmptyFolder bool
	// From and To bound the dates; zero: 2018 to 2026.
	From, To time.Time
	// PlainFlags leaves out keywords.
	PlainFlags bool
}

var (
	plainFolders = []Folder{
		{Path: []string{"INBOX"}},
		{Path: []string{"Sent"}, Use: mailproof.UseSent},
		{Path: []string{"Drafts"}, Use: mailproof.UseDrafts},
		{Path: []string{"Trash"}, Use: mailproof.UseTrash},
		{Path: []string{"Archive"}, Use: mailproof.UseArchive},
		{Path: []string{"Projects"}},
		{Path: []string{"Projects", "Warehouse"}},
		{Path: []string{"Archive", "2019"}},
		{Path: []string{"Archive", "2020"}},
	}
	oddFolders = []Folder{
		{Path: []string{"Entwürfe und Übergaben"}},
		{Path: []string{"会議"}},
		{Path: []string{"R&D"}},
		{Path: []string{"Projects", "Größe & Gewicht"}},
		{Path: []string{"Projects", "Warehouse", "見積書"}},
		{Path: []string{"two words"}},
		{Path: []string{"Kunden", "Ålesund", "Q1"}},
		{Path: []string{"it's (mostly) done"}},
	}
)

// folders lists so many folders, from the usual to the odd; beyond those it
// makes up more.
func (p *Profile) folders() []Folder {
	all := slices.Clone(plainFolders[:5])
	if !p.ASCIIFolders {
		all = append(all, oddFolders[:3]...)
	}
	all = append(all, plainFolders[5:]...)
	if !p.ASCIIFolders {
		all = append(all, oddFolders[3:]...)
	}
	want := max(1, p.Folders)
	for i := len(all); i < want; i++ {
		all = append(all, Folder{Path: []string{"Customers", fmt.Sprintf("C%04d", i)}})
	}
	all = all[:want]
	if p.EmptyFolder {
		all = append(all, Folder{Path: []string{"Nothing here yet"}})
	}
	return all
}

// Account makes an account.
func (g *Generator) Account(p Profile) *Account {
	if p.From.IsZero() {
		p.From = time.Date(2018, 1, 8, 8, 0, 0, 0, time.UTC)
	}
	if p.To.IsZero() {
		p.To = time.Date(2026, 6, 30, 18, 0, 0, 0, time.UTC)
	}
	a := &Account{Folders: p.folders()}
	filled := a.Folders
	if p.EmptyFolder {
		filled = filled[:len(filled)-1]
	}
	for i := range filled {
		n := p.Messages / len(filled)
		if i < p.Messages%len(filled) {
			n++
		}
		filled[i].Messages = g.folder(&p, n)
	}
	return a
}

// folder makes the messages of a folder in the order of their dates.
func (g *Generator) folder(p *Profile, n int) []Message {
	step := p.To.Sub(p.From) / time.Duration(n+1)
	var t *thread
	var out []Message
	for i := range n {
		zone := time.FixedZone("", []int{0, 3600, 7200, -5 * 3600, 9 * 3600}[g.rng.IntN(5)])
		date := p.From.Add(time.Duration(i)*step + time.Duration(g.rng.Int64N(int64(step/time.Second)+1))*time.Second).In(zone)
		// A third of all messages belong to threads of up to forty.
		if t == nil || len(t.ids) > 40 || g.rng.IntN(12) == 0 {
			t = &thread{}
		}
		var raw []byte
		switch kind := g.kind(p); {
		case g.rng.IntN(3) == 0 && kind < HTML:
			raw = g.reply(kind, date, t)
		default:
			raw = g.Message(kind, date)
		}
		if !p.NoOddities && i > 0 {
			raw = g.oddity(raw, out[g.rng.IntN(i)].Raw)
		}
		out = append(out, Message{Raw: raw, Flags: g.flags(p), Date: date.Add(time.Minute).Truncate(time.Second)})
	}
	return out
}

// kind picks one, with the weights of an ordinary mailbox.
func (g *Generator) kind(p *Profile) Kind {
	weights := [kindEnd]int{Plain: 25, EightBit: 12, QuotedPrintable: 12, EncodedWords: 10, HTML: 22, Attachments: 10, Forwarded: 4, NoMessageID: 3, RawHeader: 2}
	total := 0
	for k, w := range weights {
		if slices.Contains(p.Without, Kind(k)) {
			weights[k] = 0
			continue
		}
		total += w
	}
	if total == 0 {
		return Plain
	}
	n := g.rng.IntN(total)
	for k, w := range weights {
		if n -= w; n < 0 {
			return Kind(k)
		}
	}
	return Plain
}

// oddity returns in one case of fifty a true duplicate of another message, in
// one of fifty the message under the other's Message-ID, else the message.
func (g *Generator) oddity(raw, other []byte) []byte {
	switch g.rng.IntN(50) {
	case 0:
		return other
	case 1:
		return withMessageID(raw, messageID(other))
	default:
		return raw
	}
}

// messageID returns the line of the Message-ID, with its line end.
func messageID(raw []byte) []byte {
	header, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	start := bytes.Index(header, []byte("\r\nMessage-ID: "))
	if start < 0 {
		return nil
	}
	line, _, _ := bytes.Cut(raw[start+2:], []byte("\r\n"))
	return raw[start+2 : start+2+len(line)+2]
}

func withMessageID(raw, line []byte) []byte {
	own := messageID(raw)
	if own == nil || line == nil {
		return raw
	}
	return bytes.Replace(raw, own, line, 1)
}

// flags picks flags and keywords as mail programs set them.
func (g *Generator) flags(p *Profile) mailproof.Flags {
	var out []string
	for _, f := range []struct {
		name string
		in   int // one in so many
	}{{`\Flagged`, 12}, {`\Answered`, 5}, {`\Draft`, 60}, {"$Forwarded", 15}, {"$Label1", 20}, {"NonJunk", 9}, {"project-x", 30}} {
		if g.rng.IntN(f.in) == 0 && (!p.PlainFlags || strings.HasPrefix(f.name, `\`)) {
			out = append(out, f.name)
		}
	}
	if g.rng.IntN(5) > 0 {
		out = append(out, `\Seen`)
	}
	return mailproof.NewFlags(out...)
}
