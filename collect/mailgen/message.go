package mailgen

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"math/rand/v2"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"

	"golang.org/x/text/encoding/charmap"
)

// Kind is a way in which a message is made.
type Kind uint8

// The kinds.
const (
	Plain           Kind = iota // US-ASCII, no MIME header at all
	EightBit                    // UTF-8, transfer encoding 8bit
	QuotedPrintable             // ISO-8859-1, quoted-printable
	EncodedWords                // UTF-8 in base64, subject and names as encoded words (RFC 2047)
	HTML                        // multipart/alternative of text and HTML
	Attachments                 // multipart/mixed with one to three files
	Forwarded                   // multipart/mixed with a message/rfc822
	NoMessageID                 // as Plain, without a Message-ID
	RawHeader                   // 8-bit octets in the header, UTF-8 or ISO-8859-1, unencoded
	kindEnd
)

var kindNames = [kindEnd]string{"plain", "8bit", "quoted-printable", "encoded words", "html", "attachments", "forwarded", "no message-id", "raw header"}

func (k Kind) String() string { return kindNames[k] }

// Kinds lists every kind.
func Kinds() []Kind {
	out := make([]Kind, kindEnd)
	for i := range out {
		out[i] = Kind(i)
	}
	return out
}

// Generator makes messages. The same seed and the same calls give the same
// octets. It may not be used by two goroutines at a time.
type Generator struct {
	rng       *rand.Rand
	serial    int
	pngBuffer pngBuffer
}

// New returns a generator.
func New(seed uint64) *Generator {
	return &Generator{rng: rand.New(rand.NewPCG(seed, 0x6d61696c67656e))}
}

// thread is what a reply needs of the messages before it. A thread keeps its
// kind, so that its subject can be written in every message of it.
type thread struct {
	kind    Kind
	subject string
	ids     []string
	people  []person
}

// draft is a message in the making.
type draft struct {
	date    time.Time
	from    person
	to      []person
	domain  string
	subject string
	id      string // with its angle brackets
	refs    []string
	text    []string // paragraphs
	octets  int      // wanted size of the text
}

// Message makes one message of a kind, with that Date.
func (g *Generator) Message(kind Kind, date time.Time) []byte {
	d := g.draft(kind, date, nil)
	return g.build(kind, &d)
}

// reply makes the next message of a thread, with its subject and its threading
// headers. The first one opens it.
func (g *Generator) reply(kind Kind, date time.Time, t *thread) []byte {
	if len(t.ids) == 0 {
		t.kind = kind
	}
	d := g.draft(t.kind, date, t)
	t.ids = append(t.ids, d.id)
	return g.build(t.kind, &d)
}

func languageOf(kind Kind, n int) language {
	switch kind {
	case EightBit, QuotedPrintable, RawHeader:
		return german
	case EncodedWords:
		if n%2 == 0 {
			return japanese
		}
		return german
	default:
		return english
	}
}

func (g *Generator) draft(kind Kind, date time.Time, t *thread) draft {
	g.serial++
	l := languageOf(kind, g.serial)
	order := g.rng.Perm(len(people))
	d := draft{date: date, from: people[order[0]], domain: g.pick(domains)}
	for _, i := range order[1 : 2+g.rng.IntN(3)] {
		d.to = append(d.to, people[i])
	}
	d.subject = g.fill(g.pick(l.subjects))
	if first := d.subject[0]; first >= 'a' && first <= 'z' {
		d.subject = string(first-'a'+'A') + d.subject[1:]
	}
	if kind != NoMessageID {
		d.id = fmt.Sprintf("<%d.%d.%08x@%s>", date.Unix(), g.serial, g.rng.Uint32(), d.domain)
	}
	// Most messages are short, some are long: 1 to 12 KB in all.
	d.octets = 600 + g.rng.IntN(1800)
	if g.rng.IntN(4) == 0 {
		d.octets += g.rng.IntN(8000)
	}
	if t != nil {
		if t.subject == "" {
			t.subject, t.people = d.subject, []person{d.from, d.to[0]}
		}
		if len(t.ids) > 0 {
			d.subject = "Re: " + t.subject
			d.from, d.to = t.people[len(t.ids)%2], []person{t.people[(len(t.ids)+1)%2]}
			d.refs = t.ids
		}
	}
	d.text = g.paragraphs(l, d.from, d.to[0], d.octets)
	return d
}

func (g *Generator) build(kind Kind, d *draft) []byte {
	var b bytes.Buffer
	switch kind {
	case Plain, NoMessageID:
		g.head(&b, d, asciiOnly)
		b.WriteString("\r\n")
		b.WriteString(asciiOnly(wrap(d.text)))
	case EightBit:
		g.head(&b, d, mimeWord)
		textPart(&b, "plain", "utf-8", "8bit", wrap(d.text))
	case QuotedPrintable:
		g.head(&b, d, mimeWord)
		textPart(&b, "plain", "iso-8859-1", "quoted-printable", latin1(wrap(d.text)))
	case EncodedWords:
		g.head(&b, d, mimeWord)
		textPart(&b, "plain", "utf-8", "base64", wrap(d.text))
	case RawHeader:
		raw := func(s string) string { return s }
		if g.serial%2 == 0 {
			raw = latin1
		}
		g.head(&b, d, raw)
		textPart(&b, "plain", "utf-8", "quoted-printable", wrap(d.text))
	case HTML:
		g.head(&b, d, mimeWord)
		g.multipart(&b, "alternative", g.textBody(d), g.htmlBody(d))
	case Attachments:
		g.head(&b, d, mimeWord)
		parts := []func(*bytes.Buffer){g.textBody(d)}
		for range 1 + g.rng.IntN(3) {
			parts = append(parts, g.attachment())
		}
		g.multipart(&b, "mixed", parts...)
	case Forwarded:
		d.subject = "Fwd: " + d.subject
		g.head(&b, d, mimeWord)
		inner := g.Message(Kind(g.rng.IntN(int(EncodedWords)+1)), d.date.Add(-26*time.Hour))
		g.multipart(&b, "mixed", g.textBody(d), func(b *bytes.Buffer) {
			b.WriteString("Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
			b.Write(inner)
		})
	}
	return b.Bytes()
}

// head writes the header; word writes text that may hold more than ASCII.
func (g *Generator) head(b *bytes.Buffer, d *draft, word func(string) string) {
	address := func(p person, domain string) string {
		name := word(p.name())
		if name == p.name() && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz ") != "" {
			name = `"` + name + `"`
		}
		return name + " <" + p.local + "@" + domain + ">"
	}
	received := d.date.Add(time.Duration(1+g.rng.IntN(40)) * time.Second)
	fmt.Fprintf(b, "Return-Path: <%s@%s>\r\n", d.from.local, d.domain)
	fmt.Fprintf(b, "Received: from mx.%s (mx.%s [192.0.2.%d])\r\n\tby mail.example.com with ESMTPS id %08x;\r\n\t%s\r\n",
		d.domain, d.domain, 1+g.rng.IntN(250), g.rng.Uint32(), received.Format(time.RFC1123Z))
	if d.id != "" {
		fmt.Fprintf(b, "Message-ID: %s\r\n", d.id)
	}
	fmt.Fprintf(b, "Date: %s\r\n", d.date.Format(time.RFC1123Z))
	fmt.Fprintf(b, "From: %s\r\n", address(d.from, d.domain))
	for i, p := range d.to {
		field := [...]string{"To: ", "Cc: ", "\t"}[min(i, 2)]
		fmt.Fprintf(b, "%s%s", field, address(p, domains[i]))
		if i > 0 && i < len(d.to)-1 {
			b.WriteByte(',')
		}
		b.WriteString("\r\n")
	}
	fmt.Fprintf(b, "Subject: %s\r\n", word(d.subject))
	if n := len(d.refs); n > 0 {
		fmt.Fprintf(b, "In-Reply-To: %s\r\nReferences: %s\r\n", d.refs[n-1], strings.Join(d.refs[max(0, n-10):], "\r\n "))
	}
	if g.rng.IntN(6) == 0 {
		b.WriteString("X-Priority: 1\r\nImportance: high\r\n")
	}
	b.WriteString("X-Mailer: Example Mail 4.2\r\n")
}

// mimeWord writes encoded words where they are needed, in a folded field.
func mimeWord(s string) string {
	return strings.ReplaceAll(mime.BEncoding.Encode("utf-8", s), "?= =?", "?=\r\n =?")
}

var toASCII = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "ı", "i", "ø", "o", "é", "e", "Ä", "Ae", "Ö", "Oe", "Ü", "Ue", "€", "EUR", "„", `"`, "“", `"`)

func asciiOnly(s string) string { return toASCII.Replace(s) }

var toLatin1 = strings.NewReplacer("ı", "i", "€", "EUR", "„", "\u00ab", "“", "\u00bb")

func latin1(s string) string {
	out, err := charmap.ISO8859_1.NewEncoder().String(toLatin1.Replace(s))
	if err != nil {
		return asciiOnly(s)
	}
	return out
}

func (g *Generator) textBody(d *draft) func(*bytes.Buffer) {
	return func(b *bytes.Buffer) { textPartOnly(b, "plain", "utf-8", "quoted-printable", wrap(d.text)) }
}

func (g *Generator) htmlBody(d *draft) func(*bytes.Buffer) {
	var page strings.Builder
	page.WriteString("<!DOCTYPE html>\r\n<html><head><meta charset=\"utf-8\"><title>" + html.EscapeString(d.subject) + "</title>\r\n<style>p { font-family: sans-serif }</style></head>\r\n<body>\r\n")
	for _, p := range d.text {
		page.WriteString("<p>" + strings.ReplaceAll(html.EscapeString(p), "\n", "<br>\r\n") + "</p>\r\n")
	}
	page.WriteString("<p><a href=\"https://www." + d.domain + "/\">www." + d.domain + "</a></p>\r\n</body></html>\r\n")
	return func(b *bytes.Buffer) { textPartOnly(b, "html", "utf-8", "quoted-printable", page.String()) }
}

// textPart ends the header of a message and writes its body.
func textPart(b *bytes.Buffer, subtype, charset, encoding, text string) {
	b.WriteString("MIME-Version: 1.0\r\n")
	textPartOnly(b, subtype, charset, encoding, text)
}

func textPartOnly(b *bytes.Buffer, subtype, charset, encoding, text string) {
	fmt.Fprintf(b, "Content-Type: text/%s; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n", subtype, charset, encoding)
	switch encoding {
	case "quoted-printable":
		w := quotedprintable.NewWriter(b) // a bytes.Buffer takes everything
		_, _ = w.Write([]byte(text))
		_ = w.Close()
	case "base64":
		base64Lines(b, []byte(text))
	default:
		b.WriteString(text)
	}
}

func base64Lines(b *bytes.Buffer, octets []byte) {
	encoded := base64.StdEncoding.EncodeToString(octets)
	for len(encoded) > 0 {
		n := min(76, len(encoded))
		b.WriteString(encoded[:n] + "\r\n")
		encoded = encoded[n:]
	}
}

// multipart ends the header of a message and writes its parts.
func (g *Generator) multipart(b *bytes.Buffer, subtype string, parts ...func(*bytes.Buffer)) {
	boundary := fmt.Sprintf("=_part_%016x", g.rng.Uint64())
	fmt.Fprintf(b, "MIME-Version: 1.0\r\nContent-Type: multipart/%s;\r\n\tboundary=\"%s\"\r\n\r\n", subtype, boundary)
	for _, part := range parts {
		fmt.Fprintf(b, "--%s\r\n", boundary)
		part(b)
		b.WriteString("\r\n")
	}
	fmt.Fprintf(b, "--%s--\r\n", boundary)
}
