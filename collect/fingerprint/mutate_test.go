package fingerprint

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"mime"
	"net/mail"
	"regexp"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
	"golang.org/x/net/html"

	"github.com/mailproof/mailproof"
)

// mutation is one thing that happens to a message on its way, and what the
// comparison must say of it.
type mutation struct {
	name string
	// tier is the coarsest tier at which the two messages must still be equal;
	// TierNone marks damage: they must differ at T0, T1, T2 and T2v.
	tier mailproof.Tier
	// One of the two changes the message and returns false where there is
	// nothing to change. other is some other message.
	tree func(r *rand.Rand, e, other *entity) bool
	raw  func(r *rand.Rand, b []byte) ([]byte, bool)
}

// mutations is the table of §7 of the specification: the verdict that each row
// must get rests on the tier given here.
var mutations = []mutation{
	// identical-normalised
	{name: "CRLF to LF", tier: mailproof.T1, raw: func(_ *rand.Rand, b []byte) ([]byte, bool) {
		return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), true
	}},
	{name: "LF to CRLF", tier: mailproof.T1, raw: func(_ *rand.Rand, b []byte) ([]byte, bool) { return toCRLF(b), true }},
	{name: "extra CRs", tier: mailproof.T1, raw: func(_ *rand.Rand, b []byte) ([]byte, bool) {
		return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\r\n")), true
	}},
	{name: "strip final line ends", tier: mailproof.T1, raw: func(_ *rand.Rand, b []byte) ([]byte, bool) {
		return bytes.TrimRight(b, "\r\n"), true
	}},
	{name: "add final line ends", tier: mailproof.T1, raw: func(_ *rand.Rand, b []byte) ([]byte, bool) {
		return append(bytes.Clone(b), "\r\n\r\n\n"...), true
	}},
	{name: "From_ line", tier: mailproof.T1, raw: func(_ *rand.Rand, b []byte) ([]byte, bool) {
		return append([]byte("From a@b.example Sat Nov 21 10:00:00 2026\n"), b...), hasField(b)
	}},
	{name: "Status fields", tier: mailproof.T1, raw: func(_ *rand.Rand, b []byte) ([]byte, bool) {
		return append([]byte("Status: RO\r\nX-UID: 17\r\nX-Keywords: a\r\n b\r\n"), b...), hasField(b)
	}},
	{name: "NUL to 0x80", tier: mailproof.T1, raw: func(_ *rand.Rand, b []byte) ([]byte, bool) {
		return bytes.ReplaceAll(b, []byte{0}, []byte{0x80}), bytes.IndexByte(b, 0) >= 0
	}},
	{name: "unfold", tier: mailproof.T1, tree: func(_ *rand.Rand, e, _ *entity) bool {
		for i, f := range e.fields {
			e.fields[i] = foldPattern.ReplaceAllString(f, " ")
		}
		return true
	}},
	{name: "field name case", tier: mailproof.T1, tree: func(r *rand.Rand, e, _ *entity) bool {
		for i, f := range e.fields {
			name, value, _ := strings.Cut(f, ":")
			e.fields[i] = []string{strings.ToUpper(name), strings.ToLower(name)}[r.IntN(2)] + ":" + value
		}
		return true
	}},
	{name: ">From quoting", tier: mailproof.T1, tree: func(_ *rand.Rand, e, _ *entity) bool {
		if len(e.fields) == 0 || !e.blank {
			return false
		}
		text := e.text()
		at := strings.Index(text, "\n\n")
		quoted := fromPattern.ReplaceAllString(text[at+1:], "\n>${1}From ")
		return quoted != text[at+1:] && replaceEntity(e, text[:at+1]+quoted)
	}},

	// equivalent
	{name: "fields added", tier: mailproof.T2, tree: func(_ *rand.Rand, e, _ *entity) bool {
		e.fields = append([]string{"Received: from x by y; Sat, 21 Nov 2026 10:00:00 +0000", "X-MS-Has-Attach: yes", "Importance: normal"}, e.fields...)
		return len(e.fields) > 3
	}},
	{name: "trace fields dropped", tier: mailproof.T2, tree: func(_ *rand.Rand, e, _ *entity) bool {
		return e.drop(func(n string) bool { return strings.HasPrefix(n, "x-") || n == "received" || n == "return-path" }) > 0 && len(e.fields) > 0
	}},
	{name: "fields reversed", tier: mailproof.T2, tree: func(_ *rand.Rand, e, _ *entity) bool {
		// Fields of one name keep their order: it has a meaning.
		sort.SliceStable(e.fields, func(i, j int) bool {
			a, _ := fieldOf(e.fields[i])
			b, _ := fieldOf(e.fields[j])
			return a > b
		})
		return true
	}},
	{name: "transfer encoding", tier: mailproof.T2, tree: func(r *rand.Rand, e, _ *entity) bool {
		changed := false
		for _, l := range e.leaves() {
			changed = reencode(r, l) || changed
		}
		return changed
	}},
	{name: "boundaries", tier: mailproof.T2, tree: func(r *rand.Rand, e, _ *entity) bool {
		for i, m := range e.multiparts() {
			b := fmt.Sprintf("----=_Next.%d.%x", i, r.Uint64())
			old := m.get("content-type")
			at := boundaryPattern.FindStringSubmatchIndex(old)
			m.set("Content-Type", old[:at[0]]+`; boundary="`+b+`"`+old[at[1]:])
			m.boundary = b
		}
		return len(e.multiparts()) > 0
	}},
	{name: "text to UTF-8", tier: mailproof.T2, tree: func(r *rand.Rand, e, _ *entity) bool {
		changed := false
		for _, l := range e.leaves() {
			changed = textToUTF8(r, l) || changed
		}
		return changed
	}},
	{name: "Date to UTC", tier: mailproof.T2, tree: func(_ *rand.Rand, e, _ *entity) bool {
		t, ok := parsedDate(e.get("date"))
		if !ok {
			return false
		}
		e.set("Date", t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"))
		return true
	}},
	{name: "Subject re-encoded", tier: mailproof.T2, tree: func(r *rand.Rand, e, _ *entity) bool {
		s, ok := headerText(e.get("subject"))
		if !ok || s == "" {
			return false
		}
		e.set("Subject", splitWords(r, s))
		return true
	}},
	{name: "display names", tier: mailproof.T2, tree: func(r *rand.Rand, e, _ *entity) bool {
		changed := false
		for _, name := range []string{"from", "to", "cc"} {
			list, err := (&mail.AddressParser{WordDecoder: wordDecoder}).ParseList(unfold(e.get(name)))
			if err != nil {
				continue
			}
			var out []string
			for _, a := range list {
				at := strings.LastIndex(a.Address, "@")
				spec := (&mail.Address{Address: swapCase(a.Address[:at]) + strings.ToUpper(a.Address[at:])}).String()
				out = append(out, mime.BEncoding.Encode("utf-8", "Näme "+fmt.Sprint(r.IntN(100)))+"\n "+spec)
			}
			if e.hasOnce(name) {
				e.set(name, strings.Join(out, ",\n "))
				changed = true
			}
		}
		return changed
	}},
	{name: "trailing white space", tier: mailproof.T2, tree: func(r *rand.Rand, e, _ *entity) bool {
		return eachText(e, func(l *entity, b []byte) ([]byte, bool) {
			return bytes.ReplaceAll(b, []byte("\n"), []byte([]string{" \n", "\t \n"}[r.IntN(2)])), l.encoding() != "quoted-printable"
		})
	}},
	{name: "signed part re-encoded", tier: mailproof.T2, tree: func(r *rand.Rand, e, _ *entity) bool {
		for _, m := range e.multiparts() {
			if m.mediaType() == "multipart/signed" && len(m.parts[0].leaves()) > 0 {
				return reencode(r, m.parts[0].leaves()[0])
			}
		}
		return false
	}},

	// equivalent-with-notes
	{name: "Bcc lost", tier: mailproof.T2, tree: func(_ *rand.Rand, e, _ *entity) bool {
		return e.drop(func(n string) bool { return n == "bcc" }) > 0 && len(e.fields) > 0
	}},
	{name: "preamble and epilogue", tier: mailproof.T2, tree: func(_ *rand.Rand, e, _ *entity) bool {
		for _, m := range e.multiparts() {
			m.preamble = []string{"another preamble"}
			if m.closed {
				m.epilogue = []string{"", "footer", ""}
			}
		}
		return len(e.multiparts()) > 0
	}},
	{name: "final delimiter lost", tier: mailproof.T2, tree: func(_ *rand.Rand, e, _ *entity) bool {
		if e.boundary == "" || !e.closed {
			return false
		}
		e.closed, e.epilogue = false, nil
		return true
	}},
	{name: "attachment renamed", tier: mailproof.T2, tree: func(_ *rand.Rand, e, _ *entity) bool {
		for _, l := range e.leaves() {
			if l.has("content-disposition") {
				l.set("Content-Disposition", `attachment; filename="renamed.dat"`)
				return true
			}
		}
		return false
	}},
	{name: "Message-ID invented", tier: mailproof.T2c, tree: func(r *rand.Rand, e, _ *entity) bool {
		if e.has("message-id") || len(e.fields) == 0 {
			return false
		}
		e.set("Message-ID", fmt.Sprintf("<%x@invented.example>", r.Uint64()))
		return true
	}},

	// equivalent-text
	{name: "HTML comment", tier: mailproof.T2v, tree: func(r *rand.Rand, e, _ *entity) bool {
		return eachHTML(e, func(b []byte) []byte {
			return append([]byte("<!-- generated by a server -->\n"), b...)
		})
	}},
	{name: "HTML meta", tier: mailproof.T2v, tree: func(r *rand.Rand, e, _ *entity) bool {
		return eachHTML(e, func(b []byte) []byte {
			meta := []byte(`<meta http-equiv="Content-Type" content="text/html; charset=utf-8">`)
			if at := bytes.Index(b, []byte("<head>")); at >= 0 {
				return slicesInsert(b, at+6, meta)
			}
			return append(meta, b...)
		})
	}},

	// altered
	{name: "! cut to 70 %", raw: func(_ *rand.Rand, b []byte) ([]byte, bool) { return cutRaw(b, len(b)*7/10) }},
	{name: "! last KiB cut", raw: func(_ *rand.Rand, b []byte) ([]byte, bool) { return cutRaw(b, len(b)-1024) }},
	{name: "! one bit of an attachment", tree: func(r *rand.Rand, e, _ *entity) bool {
		return oneLeaf(r, e, func(l *entity, b []byte) ([]byte, bool) {
			if l.isText() || len(b) == 0 || l.encoding() != "base64" && l.encoding() != "quoted-printable" {
				return nil, false
			}
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			return b, !textLike(b) // of text-like data, line ends may change
		})
	}},
	{name: "! one letter", tree: func(r *rand.Rand, e, _ *entity) bool {
		return oneLeaf(r, e, func(l *entity, b []byte) ([]byte, bool) { return changeLetter(r, l, b) })
	}},
	{name: "! last part lost", tree: func(_ *rand.Rand, e, _ *entity) bool {
		for _, m := range e.multiparts() {
			if n := len(m.parts); n > 1 && hasContent(m.parts[n-1]) {
				m.parts = m.parts[:n-1]
				return true
			}
		}
		return false
	}},
	{name: "! body emptied", tree: func(_ *rand.Rand, e, _ *entity) bool {
		if !hasContent(e) {
			return false
		}
		head := *e
		*e = entity{fields: head.fields, blank: true}
		return true
	}},
	{name: "! zeroed", tree: func(_ *rand.Rand, e, _ *entity) bool {
		if !hasContent(e) {
			return false
		}
		n := len(e.text())
		*e = entity{fields: e.fields, blank: true, body: strings.Repeat("\x00", n)}
		return true
	}},
	{name: "! body swapped", tree: func(_ *rand.Rand, e, other *entity) bool {
		if !hasContent(e) || contents(e) == contents(other) {
			return false
		}
		fields := e.fields
		*e = *other.clone()
		mimeFields := e.fields
		e.fields = fields
		e.drop(isMIME)
		for _, f := range mimeFields {
			if n, _ := fieldOf(f); isMIME(n) {
				e.fields = append(e.fields, f)
			}
		}
		return true
	}},
	{name: "! subject", tree: func(_ *rand.Rand, e, _ *entity) bool {
		if len(e.fields) == 0 {
			return false
		}
		if e.has("subject") {
			e.set("Subject", "x"+e.get("subject"))
		} else {
			e.set("Subject", "invented")
		}
		return true
	}},
	{name: "! date + 1 h", tree: func(_ *rand.Rand, e, _ *entity) bool {
		t, ok := parsedDate(e.get("date"))
		if !ok {
			return false
		}
		e.set("Date", t.Add(3600e9).Format("Mon, 2 Jan 2006 15:04:05 -0700"))
		return true
	}},
	{name: "! To lost", tree: func(_ *rand.Rand, e, _ *entity) bool {
		_, err := mail.ParseAddressList(unfold(e.get("to")))
		// An empty group names nobody.
		return err == nil && strings.Contains(e.get("to"), "@") && e.drop(func(n string) bool { return n == "to" }) > 0 && len(e.fields) > 0
	}},
	{name: "! recipient aliased", tree: func(_ *rand.Rand, e, _ *entity) bool {
		list, err := (&mail.AddressParser{WordDecoder: wordDecoder}).ParseList(unfold(e.get("to")))
		if err != nil || !e.hasOnce("to") || len(list) == 0 {
			return false
		}
		list[0].Address = "alias.of." + list[0].Address
		var out []string
		for _, a := range list {
			out = append(out, a.String())
		}
		e.set("To", strings.Join(out, ",\n "))
		return true
	}},
	{name: "! Message-ID changed", tree: func(r *rand.Rand, e, _ *entity) bool {
		if e.get("message-id") == "" {
			return false
		}
		e.set("Message-ID", fmt.Sprintf("<%x@changed.example>", r.Uint64()))
		return true
	}},
	{name: "! non-ASCII to ?", tree: func(r *rand.Rand, e, _ *entity) bool {
		return oneLeaf(r, e, func(l *entity, b []byte) ([]byte, bool) {
			s, ok := leafText(l, b)
			if !ok || isASCII(strings.TrimPrefix(s, "\ufeff")) || l.mediaType() == "text/html" {
				return nil, false
			}
			setCharset(l, "us-ascii")
			return []byte(strings.Map(func(r rune) rune {
				if r >= 0x80 {
					return '?'
				}
				return r
			}, s)), true
		})
	}},
	{name: "! mojibake", tree: func(r *rand.Rand, e, _ *entity) bool {
		return oneLeaf(r, e, func(l *entity, b []byte) ([]byte, bool) {
			s, ok := leafText(l, b)
			if !ok || isASCII(strings.TrimPrefix(s, "\ufeff")) || l.mediaType() == "text/html" {
				return nil, false
			}
			setCharset(l, "utf-8")
			return windows1252(nil, []byte(s)), true
		})
	}},
	{name: "! line removed", tree: func(r *rand.Rand, e, _ *entity) bool {
		return oneLeaf(r, e, func(l *entity, b []byte) ([]byte, bool) {
			lines := strings.Split(string(b), "\n")
			at := r.IntN(len(lines))
			if !l.isText() || l.mediaType() == "text/html" || !visibleASCII(lines[at]) {
				return nil, false
			}
			return []byte(strings.Join(append(lines[:at:at], lines[at+1:]...), "\n")), true
		})
	}},
	{name: "! attachment stubbed", tree: func(r *rand.Rand, e, _ *entity) bool {
		for _, l := range e.leaves() {
			if b, ok := l.content(); ok && !l.isText() && len(bytes.TrimSpace(b)) > 0 {
				l.set("Content-Type", "text/plain")
				l.setContent([]byte("The attachment was removed because it exceeds the limit."), "7bit")
				return true
			}
		}
		return false
	}},
	{name: "! CRLF to LF in a QP binary", tree: func(r *rand.Rand, e, _ *entity) bool {
		return oneLeaf(r, e, func(l *entity, b []byte) ([]byte, bool) {
			if l.isText() || l.encoding() != "quoted-printable" || textLike(b) || !bytes.Contains(b, crlf) {
				return nil, false
			}
			return bytes.ReplaceAll(b, crlf, []byte("\n")), true
		})
	}},
	{name: "! lines wrapped at 10,239", tree: func(r *rand.Rand, e, _ *entity) bool {
		for _, l := range e.leaves() {
			if l.isText() && l.encoding() != "base64" && l.encoding() != "quoted-printable" && longLine(l.body) {
				l.body = wrapLines(l.body, 10239)
				return true
			}
		}
		return false
	}},
	{name: "! TNEF expanded", tree: func(r *rand.Rand, e, _ *entity) bool {
		for _, m := range e.multiparts() {
			for i, p := range m.parts {
				if b, ok := p.content(); p.mediaType() == "application/ms-tnef" && ok && len(b) > 0 {
					part := &entity{blank: true, body: "extracted"}
					part.set("Content-Type", "application/msword")
					m.parts[i] = part
					return true
				}
			}
		}
		return false
	}},
}

var (
	foldPattern = regexp.MustCompile(`\n[ \t]+`)
	fromPattern = regexp.MustCompile(`\n(>*)From `)
	zonePattern = regexp.MustCompile(`[+-]\d{4}|GMT|UTC?$`)
	wordDecoder = &mime.WordDecoder{CharsetReader: charset.Reader}
)

func hasField(b []byte) bool {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return fieldPattern.Match(line)
}

func (e *entity) hasOnce(name string) bool {
	n := 0
	for _, f := range e.fields {
		if have, _ := fieldOf(f); have == name {
			n++
		}
	}
	return n == 1
}

func isMIME(name string) bool { return strings.HasPrefix(name, "content-") || name == "mime-version" }

// parsedDate reads a date with the standard library, which does not know the
// names of zones.
func parsedDate(v string) (time.Time, bool) {
	v = unfold(v)
	t, err := mail.ParseDate(v)
	return t, err == nil && t.Year() >= 1900 && zonePattern.MatchString(v)
}

func unfold(v string) string { return foldPattern.ReplaceAllString(v, " ") }

func replaceEntity(e *entity, text string) bool {
	p := parseEntity([]byte(text))
	if p == nil {
		return false
	}
	*e = *p
	return true
}

func headerText(v string) (string, bool) {
	s, err := wordDecoder.DecodeHeader(unfold(v))
	s = strings.Join(strings.Fields(s), " ")
	// What the standard library leaves undecoded, it does not understand.
	return s, err == nil && utf8.ValidString(s) && !strings.Contains(s, "=?") && !strings.ContainsRune(s, utf8.RuneError)
}

// splitWords writes text as base64 words that cut characters in two.
func splitWords(r *rand.Rand, s string) string {
	var out []string
	for b := []byte(s); len(b) > 0; {
		n := min(len(b), 5+r.IntN(30))
		out = append(out, "=?UTF-8?B?"+base64.StdEncoding.EncodeToString(b[:n])+"?=")
		b = b[n:]
	}
	return strings.Join(out, "\n ")
}

func swapCase(s string) string {
	if strings.ToUpper(s) == s {
		return strings.ToLower(s)
	}
	return strings.ToUpper(s)
}

// reencode changes the transfer encoding of a leaf as a gateway does.
func reencode(r *rand.Rand, l *entity) bool {
	b, ok := l.content()
	if !ok || len(b) == 0 || bytes.Contains(b, []byte("\r")) && l.isText() && !onlyCRLF(b) || !l.blank {
		return false
	}
	to := []string{"base64", "quoted-printable"}[r.IntN(2)]
	if cte := l.encoding(); cte != "base64" && cte != "quoted-printable" {
		if !l.isText() && !textLike(b) {
			return false // an identity encoding cannot keep the line ends of binary data
		}
		b = toCRLF(b)
	}
	l.setContent(b, to)
	return true
}

func onlyCRLF(b []byte) bool {
	return !bytes.Contains(bytes.ReplaceAll(b, crlf, []byte("\n")), []byte("\r"))
}

// leafText decodes text by its declared charset, with the decoder alone.
func leafText(l *entity, b []byte) (string, bool) {
	if !l.isText() {
		return "", false
	}
	name := ""
	if m := charsetPattern.FindStringSubmatch(l.get("content-type")); m != nil {
		name = strings.ToLower(m[1])
	}
	if name == "" || name == "us-ascii" || name == "utf-8" {
		return string(b), utf8.Valid(b) && (name == "utf-8" || isASCII(b)) && onlyCRLF(b)
	}
	rd, err := charset.Reader(name, bytes.NewReader(b))
	if err != nil {
		return "", false
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(rd); err != nil || strings.ContainsRune(out.String(), utf8.RuneError) || !onlyCRLF(out.Bytes()) {
		return "", false
	}
	return out.String(), true
}

func setCharset(l *entity, name string) {
	v := l.get("content-type")
	if v == "" || l.mediaType() == "text/plain" && !strings.Contains(v, "/") {
		l.set("Content-Type", "text/plain; charset="+name)
		return
	}
	if at := charsetPattern.FindStringIndex(v); at != nil {
		v = v[:at[0]] + v[at[1]:]
	}
	media, rest, _ := strings.Cut(v, ";")
	if rest != "" {
		rest = ";" + rest
	}
	l.set("Content-Type", media+"; charset="+name+rest)
}

func textToUTF8(r *rand.Rand, l *entity) bool {
	b, ok := l.content()
	if !ok || !l.blank {
		return false
	}
	s, ok := leafText(l, b)
	if !ok || s == "" {
		return false
	}
	setCharset(l, "utf-8")
	l.setContent([]byte(s), []string{"base64", "quoted-printable"}[r.IntN(2)])
	return true
}

// eachText changes the content of every text leaf.
func eachText(e *entity, change func(l *entity, b []byte) ([]byte, bool)) bool {
	changed := false
	for _, l := range e.leaves() {
		b, ok := l.content()
		if !ok || !l.isText() || !isASCII(b) || bytes.ContainsAny(b, "\r\x1b~") && !onlyCRLF(b) {
			continue
		}
		if b, ok := change(l, b); ok {
			l.setContent(b, l.encoding())
			changed = changed || len(b) > 0
		}
	}
	return changed
}

func eachHTML(e *entity, change func(b []byte) []byte) bool {
	changed := false
	for _, l := range e.leaves() {
		b, ok := l.content()
		if ok && l.mediaType() == "text/html" && len(bytes.TrimSpace(b)) > 0 && bytes.IndexByte(b, 0) < 0 && l.blank && !bytes.HasPrefix(b, bom) {
			l.setContent(change(b), l.encoding())
			changed = true
		}
	}
	return changed
}

// oneLeaf changes the content of one leaf, beginning with a random one.
func oneLeaf(r *rand.Rand, e *entity, change func(l *entity, b []byte) ([]byte, bool)) bool {
	leaves := e.leaves()
	for i, at := 0, r.IntN(len(leaves)); i < len(leaves); i++ {
		l := leaves[(at+i)%len(leaves)]
		b, ok := l.content()
		if !ok || !l.blank {
			continue
		}
		encoding := l.encoding()
		if b, ok = change(l, bytes.Clone(b)); ok {
			l.setContent(b, encoding)
			return true
		}
	}
	return false
}

func slicesInsert(b []byte, at int, ins []byte) []byte {
	return append(append(append([]byte(nil), b[:at]...), ins...), b[at:]...)
}

// changeLetter changes a letter that a reader sees.
func changeLetter(r *rand.Rand, l *entity, b []byte) ([]byte, bool) {
	if !l.isText() || !onlyCRLF(b) {
		return nil, false
	}
	if s, ok := leafText(l, b); !ok || !isASCII(s) || !isASCII(b) || bytes.ContainsAny(b, "\x1b~") {
		return nil, false
	}
	places := letters(b)
	if l.mediaType() == "text/html" {
		places = htmlLetters(b)
	}
	if len(places) == 0 {
		return nil, false
	}
	at := places[r.IntN(len(places))]
	if b[at] == 'q' {
		b[at] = 'w'
	} else {
		b[at] = 'q'
	}
	return b, true
}

func letters(b []byte) (at []int) {
	for i, c := range b {
		if isLetter(c) {
			at = append(at, i)
		}
	}
	return at
}

// htmlLetters lists the letters of the text tokens that the tokenizer of
// x/net/html finds outside script, style and title, and without entities.
func htmlLetters(b []byte) (at []int) {
	z := html.NewTokenizer(bytes.NewReader(b))
	offset, hide := 0, false
	for {
		t := z.Next()
		raw := z.Raw()
		switch t {
		case html.ErrorToken:
			return at
		case html.StartTagToken, html.EndTagToken:
			name, _ := z.TagName()
			switch string(name) {
			case "script", "style", "title", "head", "textarea", "noscript", "xmp", "iframe", "noembed", "noframes", "plaintext":
				hide = t == html.StartTagToken
			}
		case html.TextToken:
			if !hide && !bytes.ContainsAny(raw, "&<>") {
				for _, i := range letters(raw) {
					at = append(at, offset+i)
				}
			}
		}
		offset += len(raw)
	}
}

func visibleASCII(s string) bool { return strings.ContainsAny(s, "abcdefghijklmnopqrstuvwxyz") }

// contents is everything that the leaves say, to see whether a change took
// anything away.
func contents(e *entity) string {
	var b strings.Builder
	for _, l := range e.leaves() {
		c, ok := l.content()
		if !ok {
			c = []byte(l.body)
		}
		b.Write(bytes.TrimSpace(c))
		b.WriteByte(0)
	}
	return b.String()
}

func hasContent(e *entity) bool { return strings.Trim(contents(e), "\x00 \t\r\n") != "" }

// cutRaw cuts a message at n octets; not where that takes no content away.
func cutRaw(b []byte, n int) ([]byte, bool) {
	if n <= 0 {
		return nil, false
	}
	before, after := parseEntity(b), parseEntity(bytes.TrimRight(b[:n], "\r"))
	if before == nil || after == nil {
		return nil, false
	}
	was, is := strings.Trim(contents(before), "\x00"), strings.Trim(contents(after), "\x00")
	return b[:n], letterCount(was) != letterCount(is) && !strings.HasSuffix(strings.TrimSpace(was), "-->")
}

func letterCount(s string) int { return len(letters([]byte(s))) }

func longLine(s string) bool {
	for _, l := range strings.Split(s, "\n") {
		if len(l) > 10239 {
			return true
		}
	}
	return false
}

func wrapLines(s string, n int) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = wrap(l, n)
	}
	return strings.Join(lines, "\n")
}
