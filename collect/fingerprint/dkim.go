package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/mailproof/mailproof"
)

// maxSignatures bounds the DKIM-Signature fields that are looked at.
const maxSignatures = 16

// dkimWitness recomputes the body hash of DKIM signatures (RFC 6376 §3.7) that
// use sha256 and sign the whole body. Nothing is verified: no key is asked for.
type dkimWitness struct {
	active          bool
	simple, relaxed *bodyHash
	want            []bodyClaim
}

type bodyClaim struct {
	relaxed bool
	bh      string
}

// begin reads the signatures; none that can be recomputed leaves the witness
// inactive.
func (w *dkimWitness) begin(signatures []string) {
	w.want, w.active = w.want[:0], false
	useSimple, useRelaxed := false, false
	for _, s := range signatures[:min(len(signatures), maxSignatures)] {
		c, ok := parseSignature(s)
		if !ok {
			continue
		}
		w.want = append(w.want, c)
		useRelaxed = useRelaxed || c.relaxed
		useSimple = useSimple || !c.relaxed
	}
	w.active = len(w.want) > 0
	w.simple = resetBody(w.simple, false, useSimple)
	w.relaxed = resetBody(w.relaxed, true, useRelaxed)
}

// parseSignature reads the tags of a signature (RFC 6376 §3.2, §3.5).
func parseSignature(s string) (c bodyClaim, ok bool) {
	tags := make(map[string]string)
	for len(tags) < 64 {
		var tag string
		tag, s, ok = strings.Cut(s, ";")
		if name, value, found := strings.Cut(tag, "="); found {
			tags[removeSpace(name)] = removeSpace(value)
		}
		if !ok {
			break
		}
	}
	if _, part := tags["l"]; part || !strings.HasSuffix(strings.ToLower(tags["a"]), "-sha256") {
		return c, false
	}
	if bh, err := base64.StdEncoding.DecodeString(tags["bh"]); err != nil || len(bh) != sha256.Size {
		return c, false
	}
	_, body, _ := strings.Cut(tags["c"], "/")
	switch strings.ToLower(body) {
	case "relaxed":
		c.relaxed = true
	case "simple", "":
	default:
		return c, false
	}
	c.bh = tags["bh"]
	return c, true
}

// piece takes a piece of a line of the body, with the CRs of its line end.
func (w *dkimWitness) piece(b []byte, lf bool) {
	if w.simple.used {
		w.simple.piece(b, lf)
	}
	if w.relaxed.used {
		w.relaxed.piece(b, lf)
	}
}

func (w *dkimWitness) end() mailproof.DKIMWitness {
	if !w.active {
		return mailproof.DKIMAbsent
	}
	simple, relaxed := w.simple.sum(), w.relaxed.sum()
	for _, c := range w.want {
		if c.relaxed && c.bh == relaxed || !c.relaxed && c.bh == simple {
			return mailproof.DKIMBodyGood
		}
	}
	return mailproof.DKIMBodyBad
}

// bodyHash is one of the two canonicalisations of a body (RFC 6376 §3.4.3,
// §3.4.4). A line that ends in LF alone is taken as one that ends in CRLF.
type bodyHash struct {
	used, relax bool
	sum256      *digest
	crs         int64 // CRs that may belong to the line end
	blanks      int64 // empty lines that may be at the end
	content     bool  // the line has had content
	space       bool  // relaxed: white space that may be at the end of the line
	any         bool  // the body has a line that is not empty
}

func resetBody(h *bodyHash, relax, used bool) *bodyHash {
	if h == nil {
		h = &bodyHash{}
	}
	*h = bodyHash{used: used, relax: relax, sum256: h.sum256}
	if used {
		h.sum256 = resetDigest(h.sum256)
	}
	return h
}

func (h *bodyHash) piece(b []byte, lf bool) {
	n := len(b)
	for n > 0 && b[n-1] == '\r' {
		n--
	}
	if n > 0 {
		h.heldCRs()
		h.text(b[:n])
	}
	h.crs += int64(len(b) - n)
	if lf {
		h.endLine()
	}
}

func (h *bodyHash) heldCRs() {
	for ; h.crs > 0; h.crs-- {
		h.text([]byte{'\r'})
	}
}

func (h *bodyHash) text(b []byte) {
	if !h.relax {
		h.put(b)
		return
	}
	if isTidy(b) {
		h.tidyText(b)
		return
	}
	for len(b) > 0 {
		n := 0
		for n < len(b) && b[n] != ' ' && b[n] != '\t' {
			n++
		}
		if n > 0 {
			if h.space {
				h.put(oneSpace)
				h.space = false
			}
			h.put(b[:n])
		}
		for n < len(b) && (b[n] == ' ' || b[n] == '\t') {
			h.space = true
			n++
		}
		b = b[n:]
	}
}

// tidyText is text for what is tidy, as nearly all lines are.
func (h *bodyHash) tidyText(b []byte) {
	if len(b) > 0 && b[0] == ' ' {
		h.space = true
		b = b[1:]
	}
	if len(b) == 0 {
		return
	}
	if h.space {
		h.put(oneSpace)
	}
	if h.space = b[len(b)-1] == ' '; h.space {
		b = b[:len(b)-1]
	}
	h.put(b)
}

func (h *bodyHash) put(b []byte) {
	for ; h.blanks > 0; h.blanks-- {
		h.sum256.write(crlf)
	}
	h.sum256.write(b)
	h.content, h.any = true, true
}

func (h *bodyHash) endLine() {
	if h.crs > 1 { // CR CR LF: the first is content
		h.crs--
		h.heldCRs()
	}
	h.crs, h.space = 0, false
	if h.content {
		h.sum256.write(crlf)
	} else {
		h.blanks++
	}
	h.content = false
}

func (h *bodyHash) sum() string {
	if !h.used {
		return ""
	}
	if h.content || h.crs > 0 {
		h.endLine()
	}
	if !h.any && !h.relax {
		h.sum256.write(crlf) // an empty body is one line (§3.4.3)
	}
	sum := h.sum256.sum()
	return base64.StdEncoding.EncodeToString(bytes.Clone(sum[:]))
}
