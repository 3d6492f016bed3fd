package imapmem

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// Exchange rebuilds a message as Exchange does, which stores properties and
// not octets: it regenerates and reorders the header, adds fields of its own,
// makes new boundaries, and writes text as UTF-8 and parts as base64. What the
// message says stays: addresses, names, date, subject, Message-ID and every
// decoded part. What it cannot read for certain it leaves as it is. As a
// server's OnAppend:
//
//	func(_, _ string, raw []byte) ([]byte, error) { return imapmem.Exchange(raw), nil }
//
// The same message gives the same octets.
func Exchange(raw []byte) []byte {
	header, body := splitHeader(raw)
	fields, ok := splitFields(header)
	if !ok || len(fields) == 0 {
		return raw
	}
	seal := sha256.Sum256(raw)
	id := hex.EncodeToString(seal[:8])
	var out bytes.Buffer
	fmt.Fprintf(&out, "Received: from MBX01.exchange.example (2001:db8::1) by\r\n MBX02.exchange.example with HTTPS; %s\r\n", fieldDate(fields).Format(time.RFC1123Z))
	rebuild(&out, fields, body, id, 0)
	return out.Bytes()
}

// field is one header field as it stands, line end included.
type field struct {
	name string // lower case
	raw  []byte
}

func (f field) value() string {
	_, value, _ := bytes.Cut(f.raw, []byte(":"))
	value = bytes.ReplaceAll(bytes.ReplaceAll(value, []byte("\r\n"), nil), []byte("\n"), nil)
	return strings.TrimSpace(string(value))
}

// splitFields refuses a header that is not made of fields alone, with lines
// that end in CRLF.
func splitFields(header []byte) ([]field, bool) {
	var out []field
	for len(header) > 0 {
		line, rest, found := bytes.Cut(header, []byte("\r\n"))
		if !found || bytes.ContainsAny(line, "\r\n\x00") {
			return nil, false
		}
		raw := header[:len(line)+2]
		header = rest
		switch {
		case len(line) == 0:
			return out, len(rest) == 0
		case line[0] == ' ' || line[0] == '\t':
			if len(out) == 0 {
				return nil, false
			}
			last := &out[len(out)-1]
			last.raw = append(slices.Clip(last.raw), raw...)
		default:
			name, _, colon := bytes.Cut(line, []byte(":"))
			if !colon || len(name) == 0 || !isASCII(string(name)) {
				return nil, false
			}
			out = append(out, field{name: strings.ToLower(string(name)), raw: raw})
		}
	}
	return nil, false // no blank line
}

func find(fields []field, name string) (string, bool) {
	for _, f := range fields {
		if f.name == name {
			return f.value(), true
		}
	}
	return "", false
}

func fieldDate(fields []field) time.Time {
	value, _ := find(fields, "date")
	date, err := mail.ParseDate(value)
	if err != nil {
		return time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	}
	return date.UTC()
}

// headOrder is the order in which Exchange writes the fields it knows.
var headOrder = []string{"from", "sender", "reply-to", "to", "cc", "bcc", "subject", "date", "message-id", "references", "in-reply-to"}

// rebuild writes fields and body of a message or of a part. At depth 0 it adds
// the fields of a message.
func rebuild(out *bytes.Buffer, fields []field, body []byte, id string, depth int) {
	for _, name := range headOrder {
		for _, f := range fields {
			if f.name == name {
				out.Write(regenerate(f))
			}
		}
	}
	if depth == 0 {
		fmt.Fprintf(out, "X-MS-Has-Attach: %s\r\nX-MS-TNEF-Correlator:\r\nX-MS-Exchange-Organization-SCL: -1\r\nX-MS-Exchange-CrossTenant-Network-Message-Id:\r\n\t%s\r\n", map[bool]string{true: "yes"}[bytes.Contains(body, []byte("attachment"))], id)
	}
	for _, f := range fields {
		if !slices.Contains(headOrder, f.name) && !strings.HasPrefix(f.name, "content-") && f.name != "mime-version" {
			out.Write(f.raw)
		}
	}
	content(out, fields, body, id, depth)
}

// regenerate writes a field anew where its meaning is certain to stay.
func regenerate(f field) []byte {
	value := f.value()
	if !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return r > '~' }) {
		return f.raw
	}
	switch f.name {
	case "date":
		// The names of zones are read in more than one way.
		if date, err := mail.ParseDate(value); err == nil && numericZone.MatchString(value) {
			return fmt.Appendf(nil, "Date: %s\r\n", date.UTC().Format("Mon, 2 Jan 2006 15:04:05 -0700"))
		}
	case "from", "to", "cc", "bcc", "sender", "reply-to":
		if list, err := mail.ParseAddressList(value); err == nil && !strings.Contains(value, "(") {
			texts := make([]string, len(list))
			for i, a := range list {
				if !certain(a.Name) || strings.Trim(a.Address, plainAddress) != "" {
					return f.raw
				}
				texts[i] = address(a)
			}
			return []byte(properName(f.name) + ": " + strings.Join(texts, ",\r\n\t") + "\r\n")
		}
	case "subject":
		text, err := new(mime.WordDecoder).DecodeHeader(value)
		if err == nil && text != value && certain(text) {
			return []byte("Subject: " + strings.ReplaceAll(mime.BEncoding.Encode("utf-8", text), "?= =?", "?=\r\n =?") + "\r\n")
		}
	case "message-id":
		return []byte("Message-ID: " + value + "\r\n")
	}
	return f.raw
}

// plainAddress is what an address without quoting is made of.
const plainAddress = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~.@"

// certain reports whether decoded text is free of what decoders disagree on:
// octets that are no character, and the C1 controls, which some take for
// windows-1252.
func certain(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r == utf8.RuneError || r < ' ' || r >= 0x7f && r < 0xa0 })
}

var numericZone = regexp.MustCompile(`[0-9] [+-][0-9]{4}$`)

func properName(name string) string {
	return strings.ToUpper(name[:1]) + strings.ReplaceAll(name[1:], "-t", "-T")
}

func address(a *mail.Address) string {
	spec := "<" + a.Address + ">"
	switch {
	case a.Name == "":
		return spec
	case strings.ContainsFunc(a.Name, func(r rune) bool { return r > '~' || r < ' ' }):
		return strings.ReplaceAll(mime.BEncoding.Encode("utf-8", a.Name), "?= =?", "?=\r\n\t=?") + " " + spec
	default:
		return quote(a.Name) + " " + spec
	}
}

// content writes the MIME fields, the blank line and the body.
func content(out *bytes.Buffer, fields []field, body []byte, id string, depth int) {
	keep := func() {
		for _, f := range fields {
			if strings.HasPrefix(f.name, "content-") || f.name == "mime-version" {
				out.Write(f.raw)
			}
		}
		out.WriteString("\r\n")
		out.Write(body)
	}
	value, typed := find(fields, "content-type")
	if !typed {
		value = "text/plain"
	}
	kind, params, err := mime.ParseMediaType(value)
	encoding, _ := find(fields, "content-transfer-encoding")
	encoding = strings.ToLower(encoding)
	switch {
	case err != nil, depth > 20, kind == "multipart/signed", kind == "multipart/encrypted", kind == "multipart/digest":
		keep()
	case strings.HasPrefix(kind, "multipart/"):
		multipart(out, fields, body, kind, params, id, depth, keep)
	case kind == "message/rfc822":
		forwarded(out, fields, body, encoding, id, depth, keep)
	case strings.HasPrefix(kind, "text/"):
		text, ok := textOf(body, encoding, params["charset"])
		if !ok {
			keep()
			return
		}
		params["charset"] = "utf-8"
		delete(params, "format")
		leaf(out, fields, text, kind, params, depth)
	default:
		octets, ok := decode(body, encoding)
		if !ok || encoding != "base64" && encoding != "quoted-printable" {
			keep() // line ends would take on another meaning
			return
		}
		leaf(out, fields, octets, kind, params, depth)
	}
}

func mimeVersion(out *bytes.Buffer, depth int) {
	if depth == 0 {
		out.WriteString("MIME-Version: 1.0\r\n")
	}
}

// others writes the content fields that describe a part beside its encoding.
func others(out *bytes.Buffer, fields []field) {
	for _, f := range fields {
		if strings.HasPrefix(f.name, "content-") && f.name != "content-type" && f.name != "content-transfer-encoding" && f.name != "content-length" {
			out.Write(f.raw)
		}
	}
}

func mediaType(kind string, params map[string]string) string {
	value := mime.FormatMediaType(kind, params)
	if value == "" {
		return kind
	}
	return strings.ReplaceAll(value, "; ", ";\r\n\t")
}

func leaf(out *bytes.Buffer, fields []field, octets []byte, kind string, params map[string]string, depth int) {
	fmt.Fprintf(out, "Content-Type: %s\r\n", mediaType(kind, params))
	others(out, fields)
	out.WriteString("Content-Transfer-Encoding: base64\r\n")
	mimeVersion(out, depth)
	out.WriteString("\r\n")
	encoded := base64.StdEncoding.EncodeToString(octets)
	for line := range slices.Chunk([]byte(encoded), 76) {
		out.Write(line)
		out.WriteString("\r\n")
	}
}

func multipart(out *bytes.Buffer, fields []field, body []byte, kind string, params map[string]string, id string, depth int, keep func()) {
	parts, preamble, epilogue, ok := splitParts(body, params["boundary"])
	if !ok {
		keep()
		return
	}
	boundary := fmt.Sprintf("_%03d_%s_", depth, strings.ToUpper(id))
	if bytes.Contains(body, []byte(boundary)) {
		keep()
		return
	}
	params["boundary"] = boundary
	fmt.Fprintf(out, "Content-Type: %s\r\n", mediaType(kind, params))
	others(out, fields)
	mimeVersion(out, depth)
	out.WriteString("\r\n")
	out.Write(preamble)
	for i, part := range parts {
		if i > 0 {
			out.WriteString("\r\n")
		}
		fmt.Fprintf(out, "--%s\r\n", boundary)
		header, inner := splitHeader(part)
		own, ok := splitFields(header)
		if !ok {
			out.Write(part)
			continue
		}
		for _, f := range own { // fields of a part beside the content fields have no meaning, and stay
			if !strings.HasPrefix(f.name, "content-") && f.name != "mime-version" {
				out.Write(f.raw)
			}
		}
		content(out, own, inner, below(id, i), depth+1)
	}
	fmt.Fprintf(out, "\r\n--%s--\r\n", boundary)
	out.Write(epilogue)
}

func forwarded(out *bytes.Buffer, fields []field, body []byte, encoding, id string, depth int, keep func()) {
	header, inner := splitHeader(body)
	own, ok := splitFields(header)
	if !ok || encoding == "base64" || encoding == "quoted-printable" {
		keep()
		return
	}
	for _, f := range fields {
		if strings.HasPrefix(f.name, "content-") {
			out.Write(f.raw)
		}
	}
	mimeVersion(out, depth)
	out.WriteString("\r\n")
	rebuild(out, own, inner, below(id, 0), depth+1)
}

// below derives the id of a part from that of the whole.
func below(id string, part int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", id, part))
	return hex.EncodeToString(sum[:8])
}

// splitParts parts the body of a multipart at its delimiters (RFC 2046 §5.1).
// It refuses a body without a closing delimiter or with other line ends than
// CRLF around its delimiters, and boundaries that readers disagree on.
func splitParts(body []byte, boundary string) (parts [][]byte, preamble, epilogue []byte, ok bool) {
	if boundary == "" || len(boundary) > 70 || !isASCII(boundary) || strings.HasSuffix(boundary, "--") {
		return nil, nil, nil, false
	}
	delimiter := []byte("--" + boundary)
	start := -1 // of the part at hand; -1 in the preamble
	for pos := 0; pos < len(body); {
		end := bytes.IndexByte(body[pos:], '\n')
		next := pos + end + 1
		if end < 0 {
			next = len(body)
		}
		line := body[pos:next]
		if bytes.HasPrefix(line, delimiter) {
			tail := strings.TrimRight(string(line[len(delimiter):]), " \t\r\n")
			if tail != "" && tail != "--" {
				return nil, nil, nil, false // another boundary that begins alike
			}
			if start < 0 {
				preamble = body[:pos]
			} else {
				parts = append(parts, bytes.TrimSuffix(body[start:max(start, pos)], []byte("\r\n")))
			}
			start = next
			if tail == "--" {
				return parts, preamble, body[next:], len(parts) > 0
			}
		}
		pos = next
	}
	return nil, nil, nil, false
}

// decode undoes a transfer encoding; false where that is not certain.
func decode(body []byte, encoding string) ([]byte, bool) {
	switch encoding {
	case "", "7bit", "8bit", "binary":
		return body, true
	case "quoted-printable":
		octets, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(body)))
		return octets, err == nil
	case "base64":
		compact := bytes.Map(func(r rune) rune {
			if r == '\r' || r == '\n' || r == ' ' || r == '\t' {
				return -1
			}
			return r
		}, body)
		octets, err := base64.StdEncoding.AppendDecode(nil, compact)
		return octets, err == nil
	}
	return nil, false
}

// textOf returns a text part in UTF-8; false where its charset is not certain.
func textOf(body []byte, encoding, charset string) ([]byte, bool) {
	octets, ok := decode(body, encoding)
	if !ok || bytes.IndexByte(octets, 0) >= 0 {
		return nil, false
	}
	charset = strings.ToLower(charset)
	if charset == "" || charset == "us-ascii" || charset == "utf-8" {
		return octets, utf8.Valid(octets)
	}
	// Where ISO-8859-1 and windows-1252 differ, readers do, too.
	if slices.ContainsFunc(octets, func(b byte) bool { return b >= 0x80 && b < 0xa0 }) && strings.HasPrefix(charset, "iso-8859") {
		return nil, false
	}
	e, err := htmlindex.Get(charset)
	if err != nil {
		return nil, false
	}
	text, err := e.NewDecoder().Bytes(octets)
	return text, err == nil && !bytes.ContainsRune(text, utf8.RuneError)
}
