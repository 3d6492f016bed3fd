package report

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/mailproof/mailproof"
)

// writeRows writes the list as it lies in the page: JSON, packed with gzip,
// as base64. Foreign text reaches the page as these letters only.
func (d *Document) writeRows(w io.Writer) error {
	if d.shared != nil {
		<-d.shared.done
		if d.shared.err != nil {
			return d.shared.err
		}
		_, err := w.Write(d.shared.page.Bytes())
		return err
	}
	p, err := newPageRows(w)
	if err != nil {
		return err
	}
	err = d.eachMessage(p.row)
	return cmp.Or(err, p.close())
}

// WriteMessagesCSV writes the list of every message, one line at a time.
func (d *Document) WriteMessagesCSV(w io.Writer) error {
	t := newTableRows(w)
	if err := d.eachMessage(t.row); err != nil {
		return err
	}
	return t.w.Flush()
}

func (d *Document) eachMessage(row func(*Message) error) error {
	for m, err := range d.Messages() {
		if err != nil {
			return fmt.Errorf("list of messages: %w", err)
		}
		if err := row(&m); err != nil {
			return err
		}
	}
	return nil
}

// sharedList is the list of every message in both forms that a report has, made
// in one reading: that is most of the work.
type sharedList struct {
	done     chan struct{}
	page     bytes.Buffer // as writeRows writes it
	table    bounded      // as WriteMessagesCSV does
	err      error        // of the reading, or of the page
	tableErr error
}

// shareList returns a document whose page and whose PDF share one reading of
// the list, and what reads it; nil where the list is not in both of them, and
// then may not fit into memory.
func (d *Document) shareList() (shared *Document, read func()) {
	if !d.hasRows(MostRowsPDF) {
		return d, nil
	}
	c := *d
	c.shared = &sharedList{done: make(chan struct{})}
	return &c, func() { c.shared.read(d) }
}

func (l *sharedList) read(d *Document) {
	defer close(l.done)
	p, err := newPageRows(&l.page)
	if err != nil {
		l.err = err
		return
	}
	t := newTableRows(&l.table)
	err = d.eachMessage(func(m *Message) error {
		if l.tableErr == nil {
			l.tableErr = t.row(m)
		}
		return p.row(m)
	})
	if l.err = cmp.Or(err, p.close()); l.tableErr == nil {
		l.tableErr = t.w.Flush()
	}
}

// attached is the table for the PDF.
func (l *sharedList) attached() (*bounded, error) {
	<-l.done
	return &l.table, cmp.Or(l.err, l.tableErr)
}

// pageRows writes an array of arrays: number, account, folder, UID, verdict,
// tier, octets, second of INTERNALDATE, subject, evidence, counterpart. Verdicts
// are numbers, for which the page has the words.
type pageRows struct {
	w     *bufio.Writer
	aside *aside
	some  bool
	line  []byte
	to    []byte // the counterpart
}

func newPageRows(w io.Writer) (*pageRows, error) {
	text := base64.NewEncoder(base64.StdEncoding, w)
	packed, err := gzip.NewWriterLevel(text, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	p := &pageRows{aside: newAside(packed, func() error { return errors.Join(packed.Close(), text.Close()) })}
	p.w = bufio.NewWriterSize(p.aside, asideChunk)
	return p, p.w.WriteByte('[')
}

func (p *pageRows) row(m *Message) error {
	b := p.line[:0]
	if p.some {
		b = append(b, ',')
	}
	p.some = true
	b = appendJSON(append(b, '['), m.Exception)
	b = appendJSON(append(b, ','), visible(m.Key.Account))
	b = appendJSON(append(b, ','), visible(m.Key.Mailbox))
	b = strconv.AppendUint(append(b, ','), uint64(m.Key.UID), 10)
	b = strconv.AppendInt(append(b, ','), int64(m.Verdict), 10)
	tier := ""
	if m.Tier != mailproof.TierNone {
		tier = m.Tier.String()
	}
	b = appendJSON(append(b, ','), tier)
	b = strconv.AppendInt(append(b, ','), m.Size, 10)
	if b = append(b, ','); m.Date.IsZero() {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, m.Date.Unix(), 10)
	}
	b = appendJSON(append(b, ','), visible(cut(m.Subject, 180)))
	b = appendJSON(append(b, ','), visible(cut(m.Reasons, 400)))
	p.to = p.to[:0]
	if c := &m.Counterpart; c.UID != 0 {
		p.to = strconv.AppendUint(append(append(p.to, visible(c.Mailbox)...), ", "...), uint64(c.UID), 10)
	}
	b = appendJSON(append(b, ','), p.to)
	p.line = append(b, ']', '\n')
	_, err := p.w.Write(p.line)
	return err
}

// close ends the array, and waits for the packing.
func (p *pageRows) close() error {
	err := p.w.WriteByte(']')
	return cmp.Or(err, p.w.Flush(), p.aside.close()) // mostly one and the same
}

// appendJSON writes a string as encoding/json does by default: fit to stand in
// HTML.
func appendJSON[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	plain := 0 // from here on s stands as it is
	for i := 0; i < len(s); {
		ch := s[i]
		if ch < utf8.RuneSelf {
			if escape := jsonEscapes[ch]; escape != "" {
				b = append(append(b, s[plain:i]...), escape...)
				plain = i + 1
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
		if escape := jsonRune(r, n); escape != "" {
			b = append(append(b, s[plain:i]...), escape...)
			plain = i + n
		}
		i += n
	}
	return append(append(b, s[plain:]...), '"')
}

// jsonRune is how a character beyond ASCII is escaped; empty where it is not.
func jsonRune(r rune, size int) string {
	switch {
	case r == utf8.RuneError && size == 1:
		return `\ufffd`
	case r == '\u2028':
		return `\u2028`
	case r == '\u2029':
		return `\u2029`
	}
	return ""
}

// jsonEscapes are the escapes of ASCII; empty where a character stands for
// itself.
var jsonEscapes = func() (e [utf8.RuneSelf]string) {
	for ch := range ' ' {
		e[ch] = fmt.Sprintf(`\u%04x`, ch)
	}
	for _, ch := range `<>&` {
		e[ch] = fmt.Sprintf(`\u%04x`, ch)
	}
	for ch, short := range map[byte]string{'"': `\"`, '\\': `\\`, '\b': `\b`, '\f': `\f`, '\n': `\n`, '\r': `\r`, '\t': `\t`} {
		e[ch] = short
	}
	return e
}()

// asideChunk is the size of the pieces in which an aside hands on.
const asideChunk = 64 << 10

// aside hands what is written to it to another writer, in a goroutine of its
// own: what costs as much as what comes before it runs beside it. It holds three
// pieces at most.
type aside struct {
	full, free chan []byte
	ended      chan struct{}
	err        error // set before ended is closed
}

// newAside starts it; end is called behind the last octet.
func newAside(w io.Writer, end func() error) *aside {
	a := &aside{full: make(chan []byte, 2), free: make(chan []byte, 3), ended: make(chan struct{})}
	for range cap(a.free) {
		a.free <- nil
	}
	go func() {
		defer close(a.ended)
		for b := range a.full {
			if _, a.err = w.Write(b); a.err != nil {
				return
			}
			a.free <- b
		}
		a.err = end()
	}()
	return a
}

func (a *aside) Write(p []byte) (int, error) {
	select {
	case b := <-a.free:
		a.full <- append(b[:0], p...) // has room: there are not more pieces than that
		return len(p), nil
	case <-a.ended:
		return 0, a.err
	}
}

// close waits until everything is written.
func (a *aside) close() error {
	close(a.full)
	<-a.ended
	return a.err
}

// tableRows writes messages.csv.
type tableRows struct {
	w    *bufio.Writer
	line []byte
	err  error // of the head
}

var messageHead = csvRow{"exception", "account", "side", "folder", "uidvalidity", "uid", "verdict", "tier", "size", "internaldate", "subject", "message_id",
	"counterpart_folder", "counterpart_uidvalidity", "counterpart_uid", "reasons"}

func newTableRows(w io.Writer) *tableRows {
	c := &csvWriter{w: bufio.NewWriterSize(w, 64<<10)}
	c.line(messageHead)
	return &tableRows{w: c.w, err: c.err}
}

func (t *tableRows) row(m *Message) error {
	if t.err != nil {
		return t.err
	}
	b := t.line[:0]
	for _, text := range [...]string{m.Exception, m.Key.Account, m.Key.Side.String(), m.Key.Mailbox} {
		b = append(appendCSV(b, text), ',')
	}
	b = append(strconv.AppendUint(b, uint64(m.Key.UIDValidity), 10), ',')
	b = append(strconv.AppendUint(b, uint64(m.Key.UID), 10), ',')
	b = append(appendCSV(b, m.Verdict.String()), ',')
	if m.Tier != mailproof.TierNone {
		b = appendCSV(b, m.Tier.String())
	}
	b = append(strconv.AppendInt(append(b, ','), m.Size, 10), ',')
	if !m.Date.IsZero() {
		b = m.Date.UTC().AppendFormat(b, time.RFC3339)
	}
	b = appendCSV(append(b, ','), m.Subject)
	b = appendCSV(append(b, ','), m.MessageID)
	b = append(appendCSV(append(b, ','), m.Counterpart.Mailbox), ',')
	if m.Counterpart.UID == 0 {
		b = append(b, ',')
	} else {
		b = append(strconv.AppendUint(b, uint64(m.Counterpart.UIDValidity), 10), ',')
		b = strconv.AppendUint(b, uint64(m.Counterpart.UID), 10)
	}
	b = appendCSV(append(b, ','), m.Reasons)
	t.line = append(b, "\r\n"...)
	_, err := t.w.Write(t.line)
	return err
}

// appendCSV writes a text cell as csvText does. Most texts are plain.
func appendCSV(b []byte, s string) []byte {
	for i := range len(s) {
		ch := s[i]
		if ch < ' ' || ch >= utf8.RuneSelf || ch == '"' || ch == ',' || ch == ';' || i == 0 && (ch == '=' || ch == '+' || ch == '-' || ch == '@' || ch == '\'') ||
			ch == ' ' && (i == 0 || i == len(s)-1) {
			return append(b, csvText(s)...)
		}
	}
	return append(b, s...)
}
