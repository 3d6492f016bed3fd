package fingerprint

import (
	"bytes"
	"strings"

	"github.com/mailproof/mailproof"
)

// Limits of the structure. What lies beyond them is one opaque leaf.
const (
	maxDepth    = 64     // of multiparts and embedded messages within each other
	maxParts    = 20_000 // of one message, embedded ones included
	maxEncoded  = 4      // embedded messages in base64 or quoted-printable within each other
	maxBoundary = 998    // octets of a boundary
)

// region is a place in a message. Every octet is in exactly one.
type region uint8

const (
	regionHeader region = iota // fields, and the lines between them that are none
	regionBlank                // the blank line that ends a header
	regionDelimiter
	regionPreamble
	regionPart
	regionEpilogue
	regionTrailing // blank lines at the very end
	numRegions
)

// sink says where the next line goes.
type sink uint8

const (
	sinkHeader sink = iota
	sinkLeaf
	sinkPreamble
	sinkEpilogue
	sinkSniff  // an embedded message in base64, of which no line was seen
	sinkNested // an embedded message behind a transfer encoding
)

// frame is an open container: a multipart, or an embedded message.
type frame struct {
	message   bool
	boundary  string
	mediaType string
	digest    bool // multipart/digest: parts are messages unless they say otherwise
	signed    bool // multipart/signed
	state     frameState
}

type frameState uint8

const (
	framePreamble frameState = iota
	framePart
	frameEpilogue
)

// splitter gives every line of an entity to the place where it belongs
// (RFC 2045, RFC 2046). It is total: it takes any lines at all.
type splitter struct {
	m         *Hasher
	sink      sink
	topHeader bool // in the header with which the stream begins
	partHead  bool // the header is that of a body part
	isDigest  bool // in multipart/digest
	frames    []frame
	depth     int // of the containers outside this stream
	encoded   int // embedded messages in a transfer encoding outside this stream
	opaque    bool
	leaf      leaf
	nested    *stream // the embedded message behind the transfer encoding
	octets    [numRegions]int64

	signing int // index of the frame whose first part is being hashed; -1: none
	signEOL bool
}

func (s *splitter) init(m *Hasher, depth, encoded int) {
	s.m, s.depth, s.encoded = m, depth, encoded
	s.frames, s.opaque, s.signing = s.frames[:0], false, -1
	s.octets = [numRegions]int64{}
	s.sink, s.topHeader, s.partHead, s.isDigest = sinkHeader, true, false, false
	var t1 *digest
	if encoded == 0 {
		t1 = m.t1
	}
	m.head.begin(m, t1, false)
}

// accounted is the sum of all regions.
func (s *splitter) accounted() (n int64) {
	for _, o := range s.octets {
		n += o
	}
	return n
}

// line takes a canonical line or a part of one; raw is the number of octets it
// had. It reports whether the line is of the body of the stream's message.
func (s *splitter) line(b []byte, first, last bool, quoted int, raw int64) (body bool) {
	if first && last && len(b) > 2 && b[0] == '-' && b[1] == '-' {
		if level, closes, ok := s.delimits(b); ok {
			s.octets[regionDelimiter] += raw
			if s.signing >= 0 && level > s.signing {
				s.sign(b, first, quoted)
			}
			s.delimiter(level, closes)
			return true
		}
	}
	if s.signing >= 0 {
		s.sign(b, first, quoted)
	}
	return s.dispatch(b, first, last, raw)
}

// dispatch gives a line that is no delimiter to what is open.
func (s *splitter) dispatch(b []byte, first, last bool, raw int64) (body bool) {
	body = !s.topHeader
	if s.sink == sinkHeader {
		return s.headerLine(b, first, last, raw) || body
	}
	s.count(raw)
	switch s.sink {
	case sinkSniff:
		s.sniff(b, first, last)
	case sinkNested:
		s.leaf.decode(b, first, last)
		s.feedNested(false)
	default:
		s.leaf.line(b, first, last)
	}
	return body
}

// count says that raw octets belong to what is open, which is no header.
func (s *splitter) count(raw int64) {
	switch s.sink {
	case sinkPreamble:
		s.octets[regionPreamble] += raw
	case sinkEpilogue:
		s.octets[regionEpilogue] += raw
	default:
		s.octets[regionPart] += raw
	}
}

// close ends everything that is open. raw octets were left off at the end.
func (s *splitter) close(raw int64) {
	s.octets[regionTrailing] += raw
	s.endSink(-1)
	s.popTo(0)
}

// headerLine reports whether the line turned out to be of the body.
func (s *splitter) headerLine(b []byte, first, last bool, raw int64) bool {
	switch s.m.head.line(b, first, last) {
	case headerMore:
		s.octets[regionHeader] += raw
		return false
	case headerEnd:
		s.octets[regionBlank] += raw
		s.endHeader()
		return false
	default: // there is no header: the line is of the body
		s.endHeader()
		s.dispatch(b, first, last, raw)
		return true
	}
}

// delimits finds the open multipart whose delimiter the line is (RFC 2046
// §5.1.1), the innermost first: "--", the boundary, perhaps "--", perhaps
// white space, and nothing else. White space in it is compared as one SP.
func (s *splitter) delimits(b []byte) (level int, closes, ok bool) {
	if s.opaque || len(s.frames) == 0 {
		return 0, false, false
	}
	b = bytes.TrimRight(b[2:], " \t")
	if bytes.Contains(b, twoSpaces) || bytes.IndexByte(b, '\t') >= 0 {
		b = []byte(collapse(string(b))) // as the boundary is in the canonical header
	}
	for i := len(s.frames) - 1; i >= 0; i-- {
		f := &s.frames[i]
		if f.message || f.state == frameEpilogue {
			continue
		}
		n := len(f.boundary)
		switch {
		case len(b) == n && string(b) == f.boundary:
			return i, false, true
		case len(b) == n+2 && b[n] == '-' && b[n+1] == '-' && string(b[:n]) == f.boundary:
			return i, true, true
		}
	}
	return 0, false, false
}

var twoSpaces = []byte("  ")

// delimiter ends what is open inside the multipart at that level and begins its
// next part or its epilogue.
func (s *splitter) delimiter(level int, closes bool) {
	if s.signing >= 0 && level <= s.signing {
		s.endSigned()
	}
	s.endSink(level)
	s.popTo(level + 1)
	f := &s.frames[level]
	wasPreamble := f.state == framePreamble
	if closes {
		f.state = frameEpilogue
		s.begin(sinkEpilogue, kindData, identity)
		return
	}
	f.state = framePart
	s.m.parts++
	if s.m.parts > maxParts {
		s.m.anomalies |= mailproof.AnomalyPartLimit
		s.opaque = true
		s.begin(sinkLeaf, kindData, identity)
		s.leaf.mediaType = "application/octet-stream"
		return
	}
	if f.signed && wasPreamble && !s.m.signing {
		s.m.signing, s.signing, s.signEOL = true, level, false
		s.m.signedOne = resetDigest(s.m.signedOne)
	}
	s.sink, s.partHead, s.isDigest = sinkHeader, true, f.digest
	s.m.head.begin(s.m, nil, true)
}

// sign hashes the octets of the first part of a multipart/signed.
func (s *splitter) sign(b []byte, first bool, quoted int) {
	d := s.m.signedOne
	if first && s.signEOL {
		d.write(crlf)
	}
	s.signEOL = true
	for ; quoted > 0; quoted-- {
		d.writeByte('>')
	}
	d.write(b)
}

func (s *splitter) endSigned() {
	s.m.signed.writeHash(s.m.signedOne.sum())
	s.m.hasSigned, s.m.signing, s.signing = true, false, -1
}

func (s *splitter) begin(to sink, k kind, enc transferEncoding) {
	s.sink = to
	s.leaf.begin(s.m, k, enc)
}

// endSink ends the header, leaf or region that is open, before the delimiter
// of the frame at that level, or (-1) at the end.
func (s *splitter) endSink(level int) {
	for s.sink == sinkHeader {
		s.endHeader() // an entity without a body, perhaps a message in a message
	}
	switch s.sink {
	case sinkLeaf:
		s.endLeaf()
	case sinkPreamble:
		if level == len(s.frames)-1 {
			s.endRegion('P')
			return
		}
		// The boundary never came: the body is one leaf.
		s.m.anomalies |= mailproof.AnomalyMissingBoundary
		s.leaf.mediaType = s.frames[len(s.frames)-1].mediaType
		s.endLeaf()
	case sinkEpilogue:
		s.endRegion('E')
	case sinkSniff:
		s.beginNested()
		s.feedNested(true)
	case sinkNested:
		s.feedNested(true)
	}
}

// endRegion keeps a preamble or epilogue that is not blank beside the tiers.
func (s *splitter) endRegion(which byte) {
	c, _ := s.leaf.end()
	if s.leaf.blank {
		return
	}
	s.m.extra.writeByte(which)
	s.m.extra.writeHash(c.content)
	s.m.hasExtra = true
}

func (s *splitter) endLeaf() {
	c, d := s.leaf.end()
	s.m.addLeaf(s.leaf.kind, c, d)
}

// popTo closes the frames from the innermost to the n-th.
func (s *splitter) popTo(n int) {
	if s.signing >= n {
		s.endSigned()
	}
	for len(s.frames) > n {
		f := s.frames[len(s.frames)-1]
		s.frames = s.frames[:len(s.frames)-1]
		switch {
		case f.message:
			s.m.closeMessage()
		case f.state == framePart:
			s.m.anomalies |= mailproof.AnomalyUnterminated
		}
	}
}

// endHeader decides what the body of the entity is.
func (s *splitter) endHeader() {
	h := &s.m.head
	h.end()
	if s.topHeader && h.t1 != nil {
		h.t1.writeByte('\n')
	}
	if !s.partHead {
		s.m.endMessageHeader(s.topHeader && s.encoded == 0)
	}
	s.topHeader = false
	if s.partHead && h.hasJunk {
		s.m.addJunk(h.junk.sum())
	}
	typ, _ := h.first(fieldContentType)
	cte, _ := h.first(fieldTransferEncoding)
	disposition, _ := h.first(fieldDisposition)
	s.beginBody(s.m.types.parse(typ), parseTransferEncoding(cte), disposition)
}

func (s *splitter) beginBody(t mediaType, enc transferEncoding, disposition string) {
	top, sub, ok := strings.Cut(t.value, "/")
	if !ok || top == "" || sub == "" {
		t.value = "text/plain"
		if s.isDigest && s.partHead {
			t.value = "message/rfc822"
		}
		top, sub, _ = strings.Cut(t.value, "/")
	}
	deep := s.depth+len(s.frames) >= maxDepth
	switch {
	case top == "multipart":
		boundary := strings.TrimRight(t.octets("boundary"), " \t")
		if boundary == "" || len(boundary) > maxBoundary {
			s.m.anomalies |= mailproof.AnomalyMissingBoundary
			break
		}
		if deep {
			s.m.anomalies |= mailproof.AnomalyDepthLimit
			break
		}
		s.frames = append(s.frames, frame{
			boundary: boundary, mediaType: t.value, digest: sub == "digest", signed: sub == "signed",
		})
		s.begin(sinkPreamble, kindData, identity)
		return
	case t.value == "message/rfc822" || t.value == "message/global" || t.value == "message/news":
		if deep || enc != identity && s.encoded >= maxEncoded {
			s.m.anomalies |= mailproof.AnomalyDepthLimit
			break
		}
		s.leaf.mediaType = t.value
		s.beginMessage(t, enc)
		return
	}
	k := kindData
	if top == "text" {
		k = kindText
		if sub == "html" {
			k = kindHTML
		}
	}
	if top == "multipart" {
		enc = identity
	}
	s.begin(sinkLeaf, k, enc)
	s.leaf.mediaType, s.leaf.charset = t.value, t.octets("charset")
	if disposition != "" {
		s.leaf.fileName = parseMediaType(disposition).text("filename")
	}
	if s.leaf.fileName == "" {
		s.leaf.fileName = t.text("name")
	}
}

// beginMessage begins an embedded message. Its header follows at once, or
// behind its transfer encoding.
func (s *splitter) beginMessage(t mediaType, enc transferEncoding) {
	s.frames = append(s.frames, frame{message: true, mediaType: t.value})
	s.m.openMessage(t.value)
	switch enc {
	case identity:
		s.plainMessage()
	case base64Encoding:
		s.sink = sinkSniff
	default:
		s.beginNested()
	}
}

func (s *splitter) plainMessage() {
	s.sink, s.partHead, s.isDigest = sinkHeader, false, false
	s.m.head.begin(s.m, nil, false)
}

// sniff looks at the first line of an embedded message that is said to be in
// base64, which RFC 2046 §5.2.1 forbids: often it is not. A header field has a
// colon, base64 has none.
func (s *splitter) sniff(b []byte, first, last bool) {
	if first && last && len(bytes.TrimLeft(b, " \t")) == 0 {
		return
	}
	if colon, _ := fieldName(b); first && (colon >= 0 || isEnvelopeFrom(b)) {
		s.plainMessage()
		s.m.head.line(b, first, last)
		return
	}
	s.beginNested()
	s.leaf.decode(b, first, last)
	s.feedNested(false)
}

// beginNested begins an embedded message behind the transfer encoding that its
// header gave: base64 if the sink is sinkSniff.
func (s *splitter) beginNested() {
	enc := quotedPrintable
	if s.sink == sinkSniff {
		enc = base64Encoding
	}
	s.begin(sinkNested, kindData, enc)
	if s.nested == nil {
		s.nested = &stream{}
	}
	s.nested.init(s.m, s.depth+len(s.frames), s.encoded+1)
}

// feedNested gives what was decoded to the embedded message.
func (s *splitter) feedNested(end bool) {
	l := &s.leaf
	if end && l.enc == base64Encoding {
		l.out, _ = l.b64.end(l.out)
	}
	if len(l.out) >= decodeBuffer || end {
		s.nested.write(l.out)
		l.out = l.out[:0]
	}
	if end {
		s.nested.close()
	}
}
