package fingerprint

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"regexp"
	"strings"
)

// entity is a message or part as the tests see it: a tree that can be changed
// and written again. It is a parser of its own, slow, strict and recursive,
// and gives up on whatever is not plain, so that it can serve as a second
// opinion. Its line ends are LF.
type entity struct {
	fields  []string // "Name: value", folds included
	blank   bool     // a blank line follows the header
	body    string   // of a leaf: as encoded
	message *entity  // of a message/rfc822

	boundary           string // of a multipart
	preamble, epilogue []string
	parts              []*entity
	closed             bool
}

// parseEntity returns nil for what it does not write again octet for octet.
func parseEntity(raw []byte) *entity {
	text := strings.ReplaceAll(string(raw), "\r\n", "\n")
	if strings.ContainsAny(text, "\r\x00") {
		return nil
	}
	e := parseText(text, 0)
	if e == nil || e.text() != text {
		return nil
	}
	return e
}

func parseText(text string, depth int) *entity {
	if depth > 20 {
		return nil
	}
	e := &entity{}
	for {
		line, rest, found := strings.Cut(text, "\n")
		if line == "" {
			e.blank = found
			text = rest
			break
		}
		switch {
		case line[0] == ' ' || line[0] == '\t':
			if len(e.fields) == 0 {
				return nil
			}
			e.fields[len(e.fields)-1] += "\n" + line
		case !fieldPattern.MatchString(line):
			return nil
		default:
			e.fields = append(e.fields, line)
		}
		text = rest
		if !found {
			break
		}
	}
	return e.parseBody(text, depth)
}

var (
	fieldPattern    = regexp.MustCompile(`^[!-9;-~]+:`)
	boundaryPattern = regexp.MustCompile(`(?is);\s*boundary="?([^";\s]+)"?`)
	charsetPattern  = regexp.MustCompile(`(?is);\s*charset="?([^";\s]+)"?`)
)

func (e *entity) parseBody(text string, depth int) *entity {
	first, _, _ := strings.Cut(e.get("content-type"), ";")
	if strings.ContainsAny(strings.TrimSpace(first), " \t\n()") || e.mediaType() == "multipart/digest" {
		return nil // a semicolon is missing; parts have another default
	}
	switch typ := e.mediaType(); {
	case strings.HasPrefix(typ, "multipart/"):
		b := boundaryPattern.FindStringSubmatch(e.get("content-type"))
		if b == nil {
			return nil
		}
		e.boundary = b[1]
		return e.parseParts(text, depth)
	case typ == "message/rfc822":
		if cte := e.encoding(); cte == "base64" || cte == "quoted-printable" {
			return nil
		}
		e.message = parseText(text, depth+1)
		if e.message == nil {
			return nil
		}
	default:
		e.body = text
	}
	return e
}

func (e *entity) parseParts(text string, depth int) *entity {
	var part []string
	inPart := false
	end := func() bool {
		if !inPart {
			return true
		}
		p := parseText(strings.Join(part, "\n"), depth+1)
		e.parts = append(e.parts, p)
		part = nil
		return p != nil
	}
	for _, line := range strings.Split(text, "\n") {
		delimiter := strings.TrimRight(line, " \t")
		switch {
		case e.closed:
			e.epilogue = append(e.epilogue, line)
		case delimiter == "--"+e.boundary || delimiter == "--"+e.boundary+"--":
			if !end() {
				return nil
			}
			inPart, e.closed = true, delimiter != "--"+e.boundary
		case inPart:
			part = append(part, line)
		default:
			e.preamble = append(e.preamble, line)
		}
	}
	if !e.closed && !end() || len(e.parts) == 0 {
		return nil
	}
	return e
}

// text writes the entity again.
func (e *entity) text() string {
	var b strings.Builder
	for i, f := range e.fields {
		b.WriteString(f)
		if i < len(e.fields)-1 || e.blank {
			b.WriteByte('\n')
		}
	}
	if !e.blank {
		return b.String()
	}
	b.WriteByte('\n')
	switch {
	case e.message != nil:
		b.WriteString(e.message.text())
	case e.boundary != "":
		lines := append([]string(nil), e.preamble...)
		for _, p := range e.parts {
			lines = append(lines, "--"+e.boundary, p.text())
		}
		if e.closed {
			lines = append(lines, "--"+e.boundary+"--")
			lines = append(lines, e.epilogue...)
		}
		b.WriteString(strings.Join(lines, "\n"))
	default:
		b.WriteString(e.body)
	}
	return b.String()
}

// raw is the message as IMAP sends it.
func (e *entity) raw() []byte { return []byte(strings.ReplaceAll(e.text(), "\n", "\r\n")) }

func (e *entity) clone() *entity {
	c := *e
	c.fields = append([]string(nil), e.fields...)
	c.preamble = append([]string(nil), e.preamble...)
	c.epilogue = append([]string(nil), e.epilogue...)
	c.parts = nil
	for _, p := range e.parts {
		c.parts = append(c.parts, p.clone())
	}
	if e.message != nil {
		c.message = e.message.clone()
	}
	return &c
}

func fieldOf(f string) (name, value string) {
	name, value, _ = strings.Cut(f, ":")
	return strings.ToLower(name), strings.TrimSpace(value)
}

// get returns the first value of a field, folds and all.
func (e *entity) get(name string) string {
	for _, f := range e.fields {
		if n, v := fieldOf(f); n == name {
			return v
		}
	}
	return ""
}

func (e *entity) has(name string) bool {
	for _, f := range e.fields {
		if n, _ := fieldOf(f); n == name {
			return true
		}
	}
	return false
}

// set replaces every field of that name by one.
func (e *entity) set(name, value string) {
	done := false
	var out []string
	for _, f := range e.fields {
		if n, _ := fieldOf(f); n != strings.ToLower(name) {
			out = append(out, f)
		} else if !done {
			out = append(out, name+": "+value)
			done = true
		}
	}
	if !done {
		out = append(out, name+": "+value)
	}
	e.fields = out
}

func (e *entity) drop(match func(name string) bool) (dropped int) {
	var out []string
	for _, f := range e.fields {
		if n, _ := fieldOf(f); match(n) {
			dropped++
		} else {
			out = append(out, f)
		}
	}
	e.fields = out
	return dropped
}

func (e *entity) mediaType() string {
	t, _, _ := strings.Cut(e.get("content-type"), ";")
	t = strings.ToLower(strings.TrimSpace(t))
	if a, b, ok := strings.Cut(t, "/"); !ok || a == "" || b == "" || strings.ContainsAny(t, " \t\n()") {
		return "text/plain"
	}
	return t
}

func (e *entity) encoding() string {
	return strings.ToLower(strings.TrimSpace(e.get("content-transfer-encoding")))
}

func (e *entity) isText() bool { return strings.HasPrefix(e.mediaType(), "text/") }

// leaves lists the parts that are no container.
func (e *entity) leaves() (out []*entity) {
	switch {
	case e.message != nil:
		return e.message.leaves()
	case e.boundary != "":
		for _, p := range e.parts {
			out = append(out, p.leaves()...)
		}
		return out
	}
	return []*entity{e}
}

// multiparts lists the containers of parts.
func (e *entity) multiparts() (out []*entity) {
	if e.message != nil {
		return e.message.multiparts()
	}
	if e.boundary != "" {
		out = append(out, e)
	}
	for _, p := range e.parts {
		out = append(out, p.multiparts()...)
	}
	return out
}

// content decodes the leaf with the decoders of the standard library; ok is
// false where they find anything wrong.
func (e *entity) content() (b []byte, ok bool) {
	switch e.encoding() {
	case "base64":
		b, err := base64.StdEncoding.DecodeString(strings.Map(func(r rune) rune {
			if r == ' ' || r == '\t' || r == '\n' {
				return -1
			}
			return r
		}, e.body))
		return b, err == nil
	case "quoted-printable":
		body := e.body
		if !e.isText() {
			body = strings.ReplaceAll(body, "\n", "\r\n") // a hard line break is CRLF
		}
		b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
		return b, err == nil
	case "", "7bit", "8bit", "binary":
		return []byte(e.body), true
	}
	return nil, false
}

// setContent encodes new content.
func (e *entity) setContent(b []byte, encoding string) {
	text := e.isText()
	switch encoding {
	case "base64":
		if text {
			b = toCRLF(b)
		}
		e.body = wrap(base64.StdEncoding.EncodeToString(b), 76)
	case "quoted-printable":
		var out bytes.Buffer
		w := quotedprintable.NewWriter(&out)
		w.Binary = !text
		if text {
			b = toCRLF(b)
		}
		w.Write(b)
		w.Close()
		e.body = strings.ReplaceAll(out.String(), "\r\n", "\n")
		// A line of the content must not look like structure.
		e.body = strings.ReplaceAll("\n"+e.body, "\n--", "\n=2D-")[1:]
	default:
		e.body = string(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")))
	}
	if encoding != e.encoding() {
		e.set("Content-Transfer-Encoding", encoding)
	}
	e.blank = true
}

func toCRLF(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}

func wrap(s string, n int) string {
	var b strings.Builder
	for len(s) > n {
		b.WriteString(s[:n] + "\n")
		s = s[n:]
	}
	b.WriteString(s)
	return b.String()
}
