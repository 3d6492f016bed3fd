package fingerprint

import (
	"bytes"
	"encoding/base64"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mailproof/mailproof"
)

func addSamples(f *testing.F) {
	for _, m := range vectorMessages() {
		f.Add(m.raw)
	}
}

// FuzzSplitter: every octet in one region, however the octets arrive; adding CRs
// to line ends and blank lines to the end changes no tier but T0.
func FuzzSplitter(f *testing.F) {
	addSamples(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		whole := fingerprintOf(t, raw)
		single, err := Compute(&sizedReader{b: raw, next: func() int { return 1 }})
		if err != nil || !reflect.DeepEqual(whole, &single) {
			t.Fatalf("read octet by octet it is not the same: %v", err)
		}
		more := append(bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n")), "\r\n\n\r\r\n"...)
		if len(more) > lineBuffer {
			return
		}
		same := fingerprintOf(t, more)
		for _, tier := range mailproof.Tiers()[1:] {
			if whole.Hash(tier) != same.Hash(tier) {
				t.Errorf("line ends change %v", tier)
			}
		}
	})
}

// FuzzRuns: lines that are taken in runs have the fingerprint of the same lines
// one by one.
func FuzzRuns(f *testing.F) {
	addSamples(f)
	for _, raw := range plainMails()[:4] {
		f.Add(raw[:1000])
	}
	f.Add([]byte("Content-Transfer-Encoding: base64\r\n\r\nQUJD\r\n\r\nQUJ\r\rD\r\nQQ==\r\n--x\r\n"))
	f.Add([]byte("DKIM-Signature: a=rsa-sha256; c=relaxed/relaxed; bh=" + relaxedBody + "\r\n\r\n C \r\nD \t E\r\n\r\n>From x\r\ny\nz\r\n"))
	f.Add([]byte("Subject: a CR in place of another\r\n\r\nx\ry\nz\r\n"))
	f.Add([]byte("Subject: blank lines\r\n\r\nx\r\n" + strings.Repeat("\r\n", 40) + "y\r\n"))
	h := New()
	f.Fuzz(func(t *testing.T, raw []byte) {
		inRuns := fingerprintOf(t, raw)
		h.reset()
		h.top.singly = math.MaxInt
		h.t0.Write(raw)
		h.top.write(raw)
		h.top.close()
		singly := h.result()
		if !reflect.DeepEqual(*inRuns, singly) {
			t.Fatalf("in runs\n%+v\none by one\n%+v", *inRuns, singly)
		}
		n := len(raw)
		pieces, err := h.Compute(&sizedReader{b: raw, next: func() int { n = n*5/11 + 1; return n }})
		if err != nil || !reflect.DeepEqual(pieces, singly) {
			t.Fatalf("%v: in pieces\n%+v\none by one\n%+v", err, pieces, singly)
		}
	})
}

// FuzzTiers: equality at a tier implies equality at every coarser nested one,
// for any two messages.
func FuzzTiers(f *testing.F) {
	samples := vectorMessages()
	for i := range samples {
		f.Add(samples[i].raw, samples[(i+1)%len(samples)].raw)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		x, y := fingerprintOf(t, a), fingerprintOf(t, b)
		chain := []mailproof.Tier{mailproof.T0, mailproof.T1, mailproof.T2, mailproof.T2v, mailproof.T3, mailproof.T3b}
		equal := false
		for _, tier := range chain {
			now := x.Hash(tier) == y.Hash(tier)
			if equal && !now {
				t.Errorf("not equal at %v, though at a finer tier", tier)
			}
			equal = now
		}
		for _, d := range []*mailproof.Detail{&x.Detail, &y.Detail} {
			row, err := d.AppendBinary(nil)
			var back mailproof.Detail
			if err != nil || back.UnmarshalBinary(row) != nil {
				t.Errorf("the detail does not survive the ledger: %v", err)
			}
		}
	})
}

// FuzzHeaderText: whatever stands in a header becomes valid UTF-8 in canonical
// white space.
func FuzzHeaderText(f *testing.F) {
	for _, s := range []string{
		"=?utf-8?B?4oI=?= =?utf-8?B?rA==?=", "=?iso-8859-1?Q?=E9_?= x", "=?x?", "caf\xe9", "a (b (c) \"d\" <e@f>, g:h@i;", "<@a:b@c>",
		"Sat, 21 Nov 2026 10:00:00 +0100 (CET)", "21-Nov-26 1:2 EST", "text/plain; charset*0*=utf-8''%c3; charset*1*=%bc", "<a@b> <c d@e>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text := decodeText(s)
		if !utf8.ValidString(text) || collapse(text) != text {
			t.Errorf("text %q of %q is not canonical", text, s)
		}
		for _, m := range addresses([]string{s, s}) {
			if !utf8.ValidString(m.addr) || !utf8.ValidString(m.name) {
				t.Errorf("address %q or name %q of %q is not UTF-8", m.addr, m.name, s)
			}
		}
		if d := canonicalDate(s); d[0] != '?' {
			if again := canonicalDate(d[8:10] + " " + []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}[(d[5]-'0')*10+d[6]-'1'] + " " + d[:4] + " " + d[11:19] + " GMT"); again != d && len(d) == 20 && d[0] != '0' {
				t.Errorf("date %q of %q reads again as %q", d, s, again)
			}
		}
		m := parseMediaType(s)
		m.text("name")
		m.octets("boundary")
		parseTransferEncoding(s)
		if id := messageID(s); !strings.Contains(id, localPart(id)) {
			t.Errorf("local part %q is not in %q", localPart(id), id)
		}
		messageIDs(s)
		parseSignature(s)
	})
}

// FuzzBase64: what the standard library decodes, this decodes to the same; octet
// by octet it is the same whatever it is, and cutting the input changes nothing.
func FuzzBase64(f *testing.F) {
	f.Add([]byte("QUJDRA=="), 3)
	f.Add([]byte("QUJ!DRA==QUJD\r\nQQ"), 9)
	f.Add([]byte("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk\xffmdoaWprbG1ub3A=="), 17)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		var d base64Decoder
		whole, bad := d.decode(nil, b)
		whole, odd := d.end(whole)
		if std, err := base64.StdEncoding.DecodeString(string(b)); err == nil && (!bytes.Equal(std, whole) || bad || odd) {
			t.Errorf("%q, want %q (bad %v, odd %v)", whole, std, bad, odd)
		}
		var octets []byte // one by one, so that none is decoded with its neighbours
		wrong := false
		for i := range b {
			var bd bool
			octets, bd = d.decode(octets, b[i:i+1])
			wrong = wrong || bd
		}
		if octets, _ = d.end(octets); !bytes.Equal(octets, whole) || wrong != bad {
			t.Errorf("one by one: %q (bad %v), want %q (bad %v)", octets, wrong, whole, bad)
		}
		if at < 0 || at > len(b) {
			return
		}
		cut, _ := d.decode(nil, b[:at])
		cut, _ = d.decode(cut, b[at:])
		cut, _ = d.end(cut)
		if !bytes.Equal(cut, whole) {
			t.Errorf("cut at %d: %q, want %q", at, cut, whole)
		}
	})
}

// FuzzQuotedPrintable: a line in pieces decodes as the line as a whole.
func FuzzQuotedPrintable(f *testing.F) {
	f.Add([]byte("=C3=BC =\t "), 3)
	f.Add([]byte("a=4 =zz==41  "), 2)
	f.Add(append(bytes.Repeat([]byte{' '}, maxPadding+1), '='), maxPadding)
	f.Fuzz(func(t *testing.T, b []byte, at int) {
		if at < 0 || at > len(b) || bytes.ContainsAny(b, "\r\n") {
			return
		}
		whole, soft, bad := qpLine(nil, b)
		for _, step := range []int{1, at, len(b) + 1} {
			var d qpDecoder
			var out []byte
			var bd1, bd2, sf bool
			if step == 1 {
				first := true
				for i := range b {
					out, _, bd1 = d.line(out, b[i:i+1], first, false)
					bd2 = bd2 || bd1
					first = false
				}
				out, sf, bd1 = d.line(out, nil, first, true)
			} else if step == at && at > 0 {
				out, _, bd2 = d.line(out, b[:at], true, false)
				out, sf, bd1 = d.line(out, b[at:], false, true)
			} else {
				continue
			}
			if !bytes.Equal(out, whole) || sf != soft && len(b) > 0 || (bd1 || bd2) != bad && len(b) > 0 {
				t.Errorf("%q in pieces of %d: %q %v %v, want %q %v %v", b, step, out, sf, bd1 || bd2, whole, soft, bad)
			}
		}
	})
}

// FuzzVisible: visible text is valid, without white space, and what precedes the
// first "<" is never hidden.
func FuzzVisible(f *testing.F) {
	for _, s := range []string{"<p>a</p>", "<!-- x", "<!-->a<!--->b", "<style>x</style >y", "<script>no</scrip>yes", "a &lt; b &#x41; < c", "<head><title>t</title></HEAD>body<br>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		out := visibleText(nil, []byte(s))
		if !utf8.Valid(out) || bytes.IndexByte(out, 0) < 0 {
			t.Errorf("%q of %q", out, s)
		}
		text := visibleText(nil, []byte("x"+s))
		if text[0] != 'x' {
			t.Errorf("%q of x%q", text, s)
		}
	})
}

// FuzzCharset: any octets in any charset become valid UTF-8, and canonical
// lines are a fixed point of their rule.
func FuzzCharset(f *testing.F) {
	f.Add("utf-8", []byte("\xc3\xbc\xe9"))
	f.Add("iso-2022-jp", []byte("\x1b$B$3$s\x1b(B"))
	f.Add("gb18030", []byte("\x84\x31\xa4\x37"))
	f.Add("hz-gb-2312", []byte("~{VPND~}"))
	f.Add("utf-7", []byte("Hi Mom -+Jjo--! +AG8- 1 +- 1 +2D3cqQ x"))
	f.Add("utf-16", []byte("\xff\xfea\x00"))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		out, _ := toUTF8(nil, name, b)
		if !utf8.Valid(out) {
			t.Errorf("%q in %q gives %q", b, name, out)
		}
		lines := canonicalLines(make([]byte, len(out)), out)
		if again := canonicalLines(make([]byte, len(lines)), lines); !bytes.Equal(again, lines) && !bytes.Contains(out, []byte(">>>")) {
			t.Errorf("%q becomes %q", lines, again)
		}
	})
}
