package oracle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Account is all that was read of an account.
type Account struct {
	Separator, Prefix string
	Folders           map[string]*Folder // by whole name, decoded
}

// Folder is one selectable folder.
type Folder struct {
	Name     string
	Messages []Message // by UID
}

// Message is one message.
type Message struct {
	UID       uint32
	Body      [32]byte // SHA-256 of BODY[], normalised if asked for
	MessageID string   // the field's text; empty if there is none
	Size      int      // octets of BODY[] as received
	Flags     []string // lower case, sorted, without \Recent
	Date      time.Time
	Raw       []byte // if asked for
}

// Options say how to read.
type Options struct {
	// Normalise makes every line end LF and drops those at the end before
	// hashing: some servers change no more than that.
	Normalise bool
	// KeepBodies keeps Message.Raw.
	KeepBodies bool
}

// Read reads an account completely, without changing it.
func Read(ctx context.Context, l Login, o Options) (*Account, error) {
	c, err := Dial(ctx, l)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	a := &Account{Separator: c.Separator, Prefix: c.Prefix, Folders: map[string]*Folder{}}
	names, err := c.Folders()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if a.Folders[name], err = c.Read(name, o); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Folders lists the selectable folders, sorted.
func (c *Conn) Folders() ([]string, error) {
	return c.names("LIST")
}

// Subscribed lists the subscribed names, sorted.
func (c *Conn) Subscribed() ([]string, error) {
	return c.names("LSUB")
}

func (c *Conn) names(command string) ([]string, error) {
	list, err := c.do(`%s "" "*"`, command)
	if err != nil {
		return nil, fmt.Errorf("oracle: %s: %w", command, err)
	}
	var out []string
	for _, r := range list {
		p := (&tokens{r: r}).after("* " + command + " ")
		if p == nil {
			continue
		}
		attributes := strings.ToLower(strings.Join(p.list(), " "))
		p.text() // the separator
		name, err := fromWire(p.text())
		if err != nil {
			return nil, fmt.Errorf("oracle: %w", err)
		}
		if strings.Contains(attributes, `\noselect`) || strings.Contains(attributes, `\nonexistent`) {
			continue
		}
		if strings.EqualFold(name, "INBOX") {
			name = "INBOX"
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// Read reads one folder completely, without changing it.
func (c *Conn) Read(name string, o Options) (*Folder, error) {
	f := &Folder{Name: name}
	fail := func(err error) (*Folder, error) { return nil, fmt.Errorf("oracle: read %q: %w", name, err) }
	state, err := c.do("EXAMINE %s", quoted(toWire(name)))
	if err != nil {
		return fail(err)
	}
	exists := 0
	for _, r := range state {
		if strings.HasSuffix(strings.ToUpper(r.text), " EXISTS") {
			if _, err := fmt.Sscanf(r.text, "* %d", &exists); err != nil {
				return fail(err)
			}
		}
	}
	var responses []response
	if exists > 0 {
		if responses, err = c.do("UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])"); err != nil {
			return fail(err)
		}
	}
	// Courier appends to no mailbox that is examined. CLOSE expunges nothing
	// from an examined one (RFC 9051 §6.4.1).
	if _, err := c.do("CLOSE"); err != nil {
		return fail(err)
	}
	seen := map[uint32]bool{}
	for _, r := range responses {
		m, ok, err := message(r, o)
		if err != nil {
			return fail(err)
		}
		if !ok {
			continue
		}
		if seen[m.UID] {
			return fail(fmt.Errorf("uid %d came twice", m.UID))
		}
		seen[m.UID] = true
		f.Messages = append(f.Messages, m)
	}
	if len(f.Messages) != exists {
		return fail(fmt.Errorf("%d messages came, %d are there", len(f.Messages), exists))
	}
	slices.SortFunc(f.Messages, func(a, b Message) int { return int(a.UID) - int(b.UID) })
	return f, nil
}

// message reads a FETCH response; false if it is another response, or one
// without a body, which the server sent of its own accord.
func message(r response, o Options) (Message, bool, error) {
	var m Message
	var raw []byte
	var seq int
	if n, _ := fmt.Sscanf(r.text, "* %d FETCH (", &seq); n != 1 {
		return m, false, nil
	}
	open := strings.IndexByte(r.text, '(')
	if open < 0 {
		return m, false, nil
	}
	p := &tokens{r: r, pos: open + 1}
	for p.rest() != ")" && p.rest() != "" {
		switch item := strings.ToUpper(p.text()); item {
		case "UID":
			if _, err := fmt.Sscan(p.text(), &m.UID); err != nil {
				return m, false, err
			}
		case "FLAGS":
			m.Flags = flagSet(p.list())
		case "INTERNALDATE":
			date, err := time.Parse("_2-Jan-2006 15:04:05 -0700", p.text())
			if err != nil {
				return m, false, err
			}
			m.Date = date
		case "BODY[]":
			if raw = p.octets(); raw == nil {
				raw = []byte{}
			}
		case "MODSEQ":
			p.list()
		default:
			return m, false, fmt.Errorf("unexpected item %q", item)
		}
		p.skip()
	}
	if raw == nil {
		return m, false, nil
	}
	m.Size, m.MessageID = len(raw), messageID(raw)
	m.Body = sha256.Sum256(raw)
	if o.Normalise {
		m.Body = sha256.Sum256(Normalise(raw))
	}
	if o.KeepBodies {
		m.Raw = raw
	}
	return m, true, nil
}

// Normalise makes every line end LF and drops those at the end.
func Normalise(raw []byte) []byte {
	out := bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	return bytes.TrimRight(out, "\r\n")
}

func flagSet(flags []string) []string {
	out := []string{}
	for _, f := range flags {
		if f = strings.ToLower(f); f != `\recent` {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// messageID returns the text of the first Message-ID field, unfolded.
func messageID(raw []byte) string {
	for len(raw) > 0 {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			return ""
		}
		const name = "message-id:"
		if len(line) >= len(name) && strings.EqualFold(string(line[:len(name)]), name) {
			value := string(line[len(name):])
			for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
				more, after, _ := bytes.Cut(rest, []byte("\n"))
				value, rest = value+string(bytes.TrimRight(more, "\r")), after
			}
			return strings.TrimSpace(value)
		}
		raw = rest
	}
	return ""
}
