package fingerprint

import (
	"fmt"
	"math/rand/v2"
	"mime"
	"strings"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// generator makes mail as it is found in the wild, from a seed.
type generator struct {
	*rand.Rand
	n int
}

var sentences = []string{
	"The quick brown fox jumps over the lazy dog.", "Grüße aus Köln, wir sehen uns am Donnerstag.", "Le garçon a mangé une crème brûlée.",
	"Привет, как дела? Встреча в три часа.", "こんにちは、会議は三時からです。", "你好，附件是合同。", "Zażółć gęślą jaźń.",
	"From here on it gets better.", ">From the archive:", "  indented  with   spaces", "-- ", "> quoted line", "--not-a-boundary",
	"1 + 1 = 2; a_b=c?d", "\ttab\tseparated\tvalues", "x", "", "Total: 1.234,56 EUR (inkl. MwSt.)", "Ünïcödé e\u0301 combining", "emoji 🎉 done",
}

type charsetOf struct {
	name string
	enc  encoding.Encoding
}

var testCharsets = []charsetOf{
	{"utf-8", unicode.UTF8}, {"utf-8", unicode.UTF8}, {"iso-8859-1", charmap.ISO8859_1}, {"windows-1252", charmap.Windows1252},
	{"iso-8859-15", charmap.ISO8859_15}, {"koi8-r", charmap.KOI8R}, {"windows-1251", charmap.Windows1251}, {"iso-8859-2", charmap.ISO8859_2},
	{"iso-2022-jp", japanese.ISO2022JP}, {"shift_jis", japanese.ShiftJIS}, {"euc-jp", japanese.EUCJP},
	{"gb18030", simplifiedchinese.GB18030}, {"gb2312", simplifiedchinese.HZGB2312},
}

func (g *generator) sentence() string { return sentences[g.IntN(len(sentences))] }

// encodable returns text in a charset, made of sentences that exist in it.
func (g *generator) encodable(lines int) (charset string, octets []byte) {
	c := testCharsets[g.IntN(len(testCharsets)-1)]
	var out []string
	for range lines {
		s := g.sentence() + " " + fmt.Sprint(g.IntN(1e6))
		if _, err := c.enc.NewEncoder().String(s); err == nil {
			out = append(out, s)
		}
	}
	b, err := c.enc.NewEncoder().String(strings.Join(out, "\n") + "\n")
	if err != nil {
		return "us-ascii", []byte("plain\n")
	}
	return c.name, []byte(b)
}

func (g *generator) textEncoding(octets []byte) string {
	if isASCII(octets) && g.IntN(2) == 0 {
		return "7bit"
	}
	return []string{"8bit", "base64", "quoted-printable", "quoted-printable"}[g.IntN(4)]
}

func (g *generator) textPart() *entity {
	charset, octets := g.encodable(2 + g.IntN(12))
	e := &entity{blank: true}
	e.set("Content-Type", "text/plain; charset="+charset)
	if g.IntN(4) == 0 {
		e.set("Content-Type", "text/plain;\n\tcharset=\""+strings.ToUpper(charset)+"\"; format=flowed")
	}
	e.setContent(octets, g.textEncoding(octets))
	return e
}

func (g *generator) htmlPart() *entity {
	var b strings.Builder
	if g.IntN(2) == 0 {
		b.WriteString("<!DOCTYPE html>\n<html><head><title>t</title><style>p { color: red }</style></head>\n<body>\n")
	} else {
		b.WriteString("<html>\n<body bgcolor=white>\n")
	}
	for range 1 + g.IntN(8) {
		s := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "é", "&eacute;").Replace(g.sentence())
		fmt.Fprintf(&b, "<p class=\"x%d\">%s <b>%d</b>&nbsp;</p>\n", g.IntN(9), s, g.IntN(1e6))
	}
	b.WriteString("<img src=\"cid:a@b\">\n</body></html>\n")
	e := &entity{blank: true}
	e.set("Content-Type", "text/html; charset=utf-8")
	e.setContent([]byte(b.String()), g.textEncoding([]byte(b.String())))
	return e
}

func (g *generator) binary(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	copy(b, "\x00\x01PK\r\n\r\n") // there are line ends in it, and control characters
	return b
}

func (g *generator) attachment() *entity {
	g.n++
	e := &entity{blank: true}
	name := fmt.Sprintf("file-%d.bin", g.n)
	switch g.IntN(5) {
	case 0: // text-like data
		name = fmt.Sprintf("daten-%d.csv", g.n)
		e.set("Content-Type", "application/octet-stream; name="+name)
		e.setContent([]byte(strings.Repeat(fmt.Sprintf("a;b;%d\r\n", g.IntN(1e6)), 1+g.IntN(40))), []string{"base64", "7bit"}[g.IntN(2)])
	case 1:
		e.set("Content-Type", "application/octet-stream")
		e.setContent(g.binary(40+g.IntN(900)), "quoted-printable")
	default:
		e.set("Content-Type", "image/png; name=\""+name+"\"")
		e.setContent(g.binary(20+g.IntN(6000)), "base64")
	}
	e.set("Content-Disposition", "attachment; filename=\""+name+"\"")
	return e
}

func (g *generator) multipart(subtype string, parts ...*entity) *entity {
	g.n++
	e := &entity{blank: true, boundary: fmt.Sprintf("=_%s_%d_%08x", subtype, g.n, g.Uint32()), closed: true, parts: parts}
	e.set("Content-Type", fmt.Sprintf("multipart/%s;\n boundary=\"%s\"", subtype, e.boundary))
	if g.IntN(3) == 0 {
		e.preamble = []string{"This is a multi-part message in MIME format."}
	}
	if g.IntN(2) == 0 {
		e.epilogue = []string{""}
	}
	return e
}

// body is a random tree.
func (g *generator) body(depth int) *entity {
	switch n := g.IntN(40); {
	case n == 0:
		return g.oddPart()
	case n == 1:
		return g.multipart("mixed", g.textPart(), g.tnef())
	}
	switch n := g.IntN(10); {
	case n < 3 || depth > 3:
		return g.textPart()
	case n < 5:
		return g.multipart("alternative", g.textPart(), g.htmlPart())
	case n < 8:
		parts := []*entity{g.body(depth + 1)}
		for range 1 + g.IntN(3) {
			parts = append(parts, g.attachment())
		}
		return g.multipart("mixed", parts...)
	case n < 9:
		inner := g.message(depth + 2)
		e := &entity{blank: true, message: inner}
		e.set("Content-Type", "message/rfc822")
		return g.multipart("mixed", g.textPart(), e)
	default:
		sig := &entity{blank: true}
		sig.set("Content-Type", "application/pgp-signature")
		sig.body = "-----BEGIN PGP SIGNATURE-----\n\niQ" + fmt.Sprint(g.Uint64()) + "\n-----END PGP SIGNATURE-----"
		return g.multipart("signed", g.body(depth+1), sig)
	}
}

// oddPart is text with lines that some servers break, or with NULs and line
// ends that some servers change.
func (g *generator) oddPart() *entity {
	e := &entity{blank: true}
	e.set("Content-Type", "text/plain; charset=utf-8")
	if g.IntN(2) == 0 {
		e.setContent([]byte(strings.Repeat("a very long line of text, ", 500+g.IntN(4000))+fmt.Sprint(g.Uint64())+"\n"), "8bit")
	} else {
		e.setContent([]byte("NUL \x00 here\nand there \x00\n"+fmt.Sprint(g.Uint64())+strings.Repeat(" text", 20)+"\n"), "8bit")
	}
	return e
}

func (g *generator) tnef() *entity {
	e := &entity{blank: true}
	e.set("Content-Type", "application/ms-tnef; name=winmail.dat")
	e.setContent(append([]byte("\x78\x9f\x3e\x22"), g.binary(300)...), "base64")
	return e
}

var people = []string{"Anna Müller", "Bob", "O'Neil, Patrick", "山田太郎", "Żaneta", "Sales (EMEA)", ""}

func (g *generator) address() string {
	name := people[g.IntN(len(people))]
	addr := fmt.Sprintf("user%d@%s.example", g.IntN(1000), []string{"old", "Mail.Sub", "xn--mller-kva"}[g.IntN(3)])
	if name == "" {
		return addr
	}
	if isASCII(name) {
		return `"` + name + `" <` + addr + ">"
	}
	return mime.QEncoding.Encode("utf-8", name) + " <" + addr + ">"
}

func (g *generator) addressList() string {
	list := []string{g.address()}
	for range g.IntN(4) {
		list = append(list, g.address())
	}
	return strings.Join(list, ",\n ")
}

// message is a whole message: a body with a header on top.
func (g *generator) message(depth int) *entity {
	e := g.body(depth)
	mimeFields := e.fields
	date := time.Unix(1.2e9+g.Int64N(5e8), 0).In(time.FixedZone("", (g.IntN(49)-24)*1800))
	e.fields = nil
	if g.IntN(2) == 0 {
		e.fields = append(e.fields, "Return-Path: <bounce@old.example>", "Received: from a.example (a.example [192.0.2.1])\n\tby b.example; "+date.Format(time.RFC1123Z))
	}
	e.fields = append(e.fields, "From: "+g.address(), "To: "+g.addressList())
	if g.IntN(3) == 0 {
		e.set("Cc", g.addressList())
	}
	if g.IntN(6) == 0 {
		e.set("Bcc", g.addressList())
	}
	subject := g.sentence()
	e.set("Subject", []string{mime.QEncoding.Encode("utf-8", subject), mime.BEncoding.Encode("utf-8", subject)}[g.IntN(2)])
	e.set("Date", date.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
	if g.IntN(8) > 0 {
		g.n++
		e.set("Message-ID", fmt.Sprintf("<%d.%x@old.example>", g.n, g.Uint64()))
	}
	if g.IntN(3) == 0 {
		e.set("In-Reply-To", "<parent@old.example>")
		e.set("References", "<root@old.example>\n <parent@old.example>")
	}
	if g.IntN(2) == 0 {
		e.set("X-Mailer", "Tester 1.0")
	}
	e.set("MIME-Version", "1.0")
	e.fields = append(e.fields, mimeFields...)
	return e
}
