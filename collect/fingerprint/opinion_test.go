package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"sort"
	"strings"
	"testing"
	"unicode/utf8"

	gomessage "github.com/emersion/go-message"
	"golang.org/x/text/unicode/norm"

	"github.com/mailproof/mailproof"
)

// opinion is a leaf as go-message sees it.
type opinion struct {
	mediaType string
	identity  bool
	content   []byte // transfer encoding decoded; of text also the charset
	err       error
}

// secondOpinion reads a message with go-message; an error says that it cannot.
func secondOpinion(r io.Reader, depth int) ([]opinion, error) {
	e, err := gomessage.Read(r)
	if e == nil || err != nil && !gomessage.IsUnknownCharset(err) && !gomessage.IsUnknownEncoding(err) {
		return nil, err
	}
	if err != nil {
		return []opinion{{err: err}}, nil
	}
	return entityOpinion(e, depth)
}

func entityOpinion(e *gomessage.Entity, depth int) (out []opinion, err error) {
	if depth > 30 {
		return nil, fmt.Errorf("too deep")
	}
	typ, _, err := e.Header.ContentType()
	if err != nil {
		return nil, fmt.Errorf("content type: %w", err)
	}
	if parts := e.MultipartReader(); parts != nil {
		for {
			p, err := parts.NextPart()
			if err == io.EOF {
				return out, nil
			}
			if err != nil && !gomessage.IsUnknownCharset(err) && !gomessage.IsUnknownEncoding(err) {
				return out, err
			}
			if err != nil {
				out = append(out, opinion{err: err})
				continue
			}
			inner, err := entityOpinion(p, depth+1)
			out = append(out, inner...)
			if err != nil {
				return out, err
			}
		}
	}
	if typ == "message/rfc822" {
		inner, err := secondOpinion(e.Body, depth+1)
		return append([]opinion{{mediaType: typ}}, inner...), err
	}
	cte := strings.ToLower(e.Header.Get("Content-Transfer-Encoding"))
	content, err := io.ReadAll(e.Body)
	return []opinion{{mediaType: typ, identity: cte != "base64" && cte != "quoted-printable", content: content, err: err}}, nil
}

// short makes the canonical content of the opinion by the words of the norm, in
// the plainest way.
func (o opinion) short() mailproof.Short {
	b := o.content
	text := strings.HasPrefix(o.mediaType, "text/")
	if text && utf8.Valid(b) {
		b = norm.NFC.Bytes(bytes.TrimPrefix(b, bom))
	}
	if text || o.identity || textLike(b) {
		lines := strings.Split(string(b), "\n")
		for i, l := range lines {
			l = strings.TrimRight(l, "\r")
			if text {
				l = strings.TrimRight(l, " \t\r")
			}
			if unquoted := strings.TrimLeft(l, ">"); (text || o.identity) && unquoted != l && strings.HasPrefix(unquoted, "From ") {
				l = unquoted
			}
			lines[i] = l
		}
		b = []byte(strings.TrimRight(strings.Join(lines, "\n"), "\n"))
	}
	if len(b) == 0 {
		return mailproof.Short{}
	}
	sum := sha256.Sum256(b)
	return short(sum)
}

// compareOpinions names the class of the first disagreement; "" if there is
// none.
func compareOpinions(raw []byte, d *mailproof.Detail) string {
	opinions, err := secondOpinion(bytes.NewReader(raw), 0)
	switch {
	case err != nil && len(opinions) == 0:
		return "go-message reads nothing: a From_ line, a line without a colon, a media type it does not accept"
	case err != nil:
		return "go-message stops early: a multipart that is not terminated, a part's header that it refuses"
	case len(opinions) != d.LeafCount && d.LeafCount <= mailproof.MaxLeaves:
		switch {
		case endsInSpace.Match(raw):
			return "a boundary that ends in white space, which RFC 2046 forbids"
		case d.Anomalies&mailproof.AnomalyMissingBoundary != 0:
			return "go-message has no parts where the boundary is missing; here the whole is a leaf"
		case bytes.Contains(raw, []byte("multipart/digest")) || bytes.Contains(raw, []byte("message/")):
			return "go-message knows neither the default of multipart/digest nor message/global, and reads no embedded message in which it finds an error"
		case d.Anomalies&mailproof.AnomalyBareLF != 0 && bytes.Contains(raw, crlf):
			return "go-message loses parts where line ends are mixed"
		}
		return "another number of leaves"
	}
	for i, o := range opinions {
		if i >= len(d.Leaves) {
			break
		}
		l := d.Leaves[i]
		switch {
		case o.mediaType == "message/rfc822" && l.Type == o.mediaType:
			continue
		case o.err != nil && (gomessage.IsUnknownCharset(o.err) || gomessage.IsUnknownEncoding(o.err)):
			return "go-message does not know the charset or the encoding"
		case o.err != nil:
			return "go-message cannot decode: garbage in base64, a bad =XX, a line that is too long"
		case o.short() == l.Content:
			continue
		case d.Anomalies&mailproof.AnomalyBadEncoding != 0:
			return "go-message stops at padding or garbage, here decoding goes on"
		case d.Anomalies&(mailproof.AnomalyBadCharset) != 0 || bytes.ContainsRune(o.content, utf8.RuneError):
			return "go-message has U+FFFD, or passes octets through, where text is not in its charset"
		case d.Anomalies&(mailproof.AnomalyNUL|mailproof.AnomalyBareCR|mailproof.AnomalyTextLimit) != 0:
			return "NUL, CR without LF or a text beyond the limit"
		}
		return fmt.Sprintf("other content of a leaf %s", l.Type)
	}
	return ""
}

var endsInSpace = regexp.MustCompile(`(?i)boundary="[^"\r\n]*[ \t]"`)

// unexplained are the classes that must stay empty.
func unexplained(class string) bool {
	return strings.HasPrefix(class, "another") || strings.HasPrefix(class, "other")
}

func TestSecondOpinionGenerated(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(11, 4))}
	for range 300 * scale() {
		raw := g.message(0).raw()
		if class := compareOpinions(raw, &fingerprintOf(t, raw).Detail); class != "" && bytes.IndexByte(raw, 0) < 0 {
			t.Errorf("%s:\n%s", class, raw[:min(len(raw), 2000)])
		}
	}
}

func TestSecondOpinionCorpora(t *testing.T) {
	classes := make(map[string]int)
	files := corpusFiles(t)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		class := compareOpinions(raw, &fingerprintOf(t, raw).Detail)
		classes[class]++
		if unexplained(class) {
			t.Errorf("%s: %s", f, class)
		}
	}
	if len(files) == 0 {
		t.Skip("MAILPROOF_CORPORA names no folder of messages")
	}
	var lines []string
	for class, n := range classes {
		if class == "" {
			class = "agreement on every leaf"
		}
		lines = append(lines, fmt.Sprintf("%5d  %s", n, class))
	}
	sort.Sort(sort.Reverse(sort.StringSlice(lines)))
	t.Logf("%d messages:\n%s", len(files), strings.Join(lines, "\n"))
}
