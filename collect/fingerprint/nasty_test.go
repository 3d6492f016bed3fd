package fingerprint

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mailproof/mailproof"
)

// sample is a message by hand: for the test vectors, as seed of the fuzz
// targets, and with what is to be seen in its detail.
type sample struct {
	name, about string
	raw         []byte
	anomalies   mailproof.Anomaly // that must be set
	types       []string          // of the leaves
}

// mailOf joins lines with CRLF.
func mailOf(lines ...string) []byte { return []byte(strings.Join(lines, "\r\n") + "\r\n") }

// The example of RFC 6376 §3.4.5, hashed with openssl.
const (
	relaxedBody = "unak6JHq0wL+Q1HP7dW1tjBx9FLA6DffoZ0qrLwbbpo="
	simpleBody  = "NOeivbQlDH9TmNKJUw7D53wZfsk8YMZ/hTuVVwTgi8s="
)

func vectorMessages() []sample {
	head := []string{"From: Anna <anna@old.example>", "To: bob@old.example", "Subject: test", "Date: Sat, 21 Nov 2026 11:00:00 +0100", "Message-ID: <1@old.example>"}
	with := func(lines ...string) []byte { return mailOf(append(append([]string(nil), head...), lines...)...) }
	nested := func(n int) []byte {
		var b strings.Builder
		b.WriteString("Subject: nested\r\n")
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
		}
		b.WriteString("Content-Type: text/plain\r\n\r\ninnermost\r\n")
		return []byte(b.String())
	}
	messages := func(n int) []byte {
		return []byte(strings.Repeat("Subject: m\r\nContent-Type: message/rfc822\r\n\r\n", n) + "Subject: last\r\n\r\nbody\r\n")
	}
	return []sample{
		{name: "plain", about: "a text message", raw: with("", "Hello Bob,", "", "this is a test of more than sixty-four octets, so that there is a T4.", "", ""), types: []string{"text/plain"}},
		{name: "plain-lf", about: "the same with LF, folded differently, with bookkeeping: equal to plain.eml from T1 on",
			raw:       []byte("From old Sat Nov 21 10:00:00 2026\nFROM:  Anna\n <anna@old.example>\nTo: bob@old.example\nSubject: test\nStatus: RO\nDate: Sat, 21 Nov 2026 11:00:00 +0100\nMessage-ID: <1@old.example>\n\nHello Bob,\n\nthis is a test of more than sixty-four octets, so that there is a T4."),
			anomalies: mailproof.AnomalyBareLF | mailproof.AnomalyEnvelopeFrom},
		{name: "plain-rebuilt", about: "the same rebuilt: equal to plain.eml from T2 on",
			raw: mailOf("Received: from x by y", "Message-ID: <1@old.example>", "Date: Sat, 21 Nov 2026 10:00:00 GMT", "Subject: =?utf-8?B?dGVz?= =?utf-8?Q?t?=", "To: <BOB@OLD.example>",
				"From: \"Mueller, Anna\" <anna@old.example>", "Content-Type: text/plain; charset=utf-16le", "Content-Transfer-Encoding: base64", "", utf16Base64("Hello Bob,  \r\n\r\nthis is a test of more than sixty-four octets, so that there is a T4.\r\n"))},
		{name: "alternative", about: "text and HTML", raw: with("MIME-Version: 1.0", `Content-Type: multipart/alternative; boundary="=_a"`, "", "preamble", "--=_a", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable", "",
			"Gr=C3=BC=C3=9Fe =E2=82=AC, soft=", "ly broken", "--=_a", "Content-Type: text/html; charset=windows-1252", "Content-Transfer-Encoding: 8bit", "",
			"<html><head><title>x</title></head><body><!-- c --><p>Gr\xfc\xdfe &euro;&nbsp;&lt;1</p><script>no()</script></body></html>", "--=_a--", ""), types: []string{"text/plain", "text/html"}},
		{name: "attachment", about: "a base64 attachment with garbage and padding in the middle, RFC 2231 name", raw: with(`Content-Type: multipart/mixed; boundary="a b"`, "", "--a b  ", "", "see attached", "--a b",
			"Content-Type: application/octet-stream", "Content-Transfer-Encoding: BASE64", "Content-Disposition: attachment;", " filename*0*=utf-8''%e2%82%ac%20;", " filename*1=rates.bin", "", "AAEC", "!!AwQ=", "BQYHCAkKCwwNDg8Q", "--a b--"),
			anomalies: mailproof.AnomalyBadEncoding, types: []string{"text/plain", "application/octet-stream"}},
		{name: "signed", about: "multipart/signed", raw: with(`Content-Type: multipart/signed; boundary=s; protocol="application/pgp-signature"`, "", "--s", "Content-Type: text/plain", "", ">From the signed part", "", "--s", "Content-Type: application/pgp-signature", "", "-----BEGIN PGP SIGNATURE-----", "--s--"),
			types: []string{"text/plain", "application/pgp-signature"}},
		{name: "embedded", about: "an attached message, and one in base64 as it must not be", raw: with("Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: message/rfc822", "", "Subject: inner", "Message-ID: <inner@x>", "Content-Type: multipart/mixed; boundary=i", "", "--i", "", "inner text", "--i--", "--o",
			"Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "", base64.StdEncoding.EncodeToString([]byte("Subject: coded\r\n\r\ncoded text\r\n")), "--o", "Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "", "Subject: not coded", "", "plain text", "--o--"),
			types: []string{"message/rfc822", "text/plain", "message/rfc822", "text/plain", "message/rfc822", "text/plain"}},
		{name: "header", about: "addresses, words, dates and lines that are no field", raw: mailOf("From: =?iso-8859-1?Q?J=F6rg?= (comment (nested)) <@route.example:\"joerg\"@Old . Example.>,", " sales@b\xfccher.example (Sales)", "To: undisclosed: a@b, \"C, D\" <c@d>;, e@[IPv6:2001:db8::1]", "Cc: root; plain text",
			"this line is no field", " and this is its continuation", "Subject: =?UTF-8?B?4oI=?= =?utf-8*de?b?rCBh?= =?utf-8?q?_b=5F?=\t c =?x?= =?nope?Q?=E9?=", "Date: Sat, 21-Nov-26 10:00 (noon) EST", "In-Reply-To: word <a@b> <c", "References: <1@x>", " <2@x>", "Message-ID: junk <mixed.Case @Host> tail", "Sender: <>", "Bcc: hidden@old.example"),
			anomalies: mailproof.AnomalyBadHeader | mailproof.AnomalyEightBitHeader},
		{name: "latin1-header", about: "8-bit header in an unknown charset, unreadable date", raw: mailOf("Subject: caf\xe9", "Date: yesterday", "", "x"), anomalies: mailproof.AnomalyBadDate | mailproof.AnomalyNoMessageID},
		{name: "no-header", about: "text without a header", raw: mailOf("no header here", "Subject: is text"), anomalies: mailproof.AnomalyNoHeader},
		{name: "blank-first", about: "a blank line first: an empty header", raw: mailOf("", "Subject: is text"), anomalies: mailproof.AnomalyNoHeader},
		{name: "empty", about: "no octet at all", raw: nil, anomalies: mailproof.AnomalyNoHeader},
		{name: "header-only", about: "a header and nothing else, cut inside a line end", raw: []byte("Subject: x\r\nFrom: a@b\r")},
		{name: "missing-boundary", about: "a boundary that never comes", raw: with("Content-Type: multipart/mixed; boundary=never", "", "the text is a leaf", "--other"), anomalies: mailproof.AnomalyMissingBoundary, types: []string{"multipart/mixed"}},
		{name: "no-boundary", about: "a multipart without boundary", raw: with("Content-Type: multipart/mixed", "", "--x", "", "text"), anomalies: mailproof.AnomalyMissingBoundary, types: []string{"multipart/mixed"}},
		{name: "boundary-prefix", about: "boundaries that are the beginning of one another, and \"--\" at the end of one", raw: with("Content-Type: multipart/mixed; boundary=a", "", "--a", "Content-Type: multipart/mixed; boundary=ab", "", "--ab", "", "one", "--abc", "--a b", "--ab--", "--a", "Content-Type: multipart/mixed; boundary=a--", "", "--a--", "", "two", "--a----", "--a--", "epilogue"),
			types: []string{"text/plain", "text/plain"}},
		{name: "boundary-equal", about: "the same boundary inside", raw: with("Content-Type: multipart/mixed; boundary=a", "", "--a", "Content-Type: multipart/mixed; boundary=a", "", "--a", "", "inner", "--a--", "--a", "", "outer", "--a--"), types: []string{"text/plain", "text/plain"}},
		{name: "unterminated", about: "an inner multipart that the outer delimiter ends", raw: with("Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: multipart/mixed; boundary=i", "", "--i", "", "text", "--o", "", "more"), anomalies: mailproof.AnomalyUnterminated, types: []string{"text/plain", "text/plain"}},
		{name: "part-junk", about: "a part without its blank line", raw: with("Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: text/plain", "this is text", "", "more text", "--o", "no header", "--o--"), anomalies: mailproof.AnomalyBadHeader},
		{name: "digest", about: "multipart/digest: parts are messages", raw: with("Content-Type: multipart/digest; boundary=d", "", "--d", "", "Subject: one", "", "text", "--d", "Content-Type: text/plain", "", "no message", "--d--"), types: []string{"message/rfc822", "text/plain", "text/plain"}},
		{name: "line-ends", about: "CR, LF, CRLF, CR CR LF, NUL and From_ quoting", raw: []byte("Subject: x\r\r\nFrom: a@b\n\nlone\rCR\r\r\n>From quoted\n>>>From more\nNUL\x00\r\n\r\n\n\r\r\n"), anomalies: mailproof.AnomalyBareLF | mailproof.AnomalyBareCR | mailproof.AnomalyNUL},
		{name: "bom", about: "a BOM before the text", raw: with("Content-Type: text/plain; charset=utf-8", "", "\ufefftext e\u0301")},
		{name: "charset-damage", about: "text that is not in its declared charset", raw: with("Content-Type: text/plain; charset=us-ascii", "", "na\xefve"), anomalies: mailproof.AnomalyBadCharset},
		{name: "iso-2022-jp", about: "a charset with escape sequences", raw: with("Content-Type: text/plain; charset=iso-2022-jp", "", "\x1b$B$3$s$K$A$O\x1b(B ASCII")},
		{name: "utf-7", about: "UTF-7", raw: with("Content-Type: text/plain; charset=utf-7", "", "Hi Mom -+Jjo--! 1 +- 1 +2D3cqQ +AOQ")},
		{name: "flowed", about: "format=flowed, uuencoded text untouched", raw: with("Content-Type: text/plain; format=flowed", "", "a flowed ", "line ", "begin 644 x", "#0V%T", "`", "end")},
		{name: "tnef", about: "TNEF is an opaque leaf", raw: with("Content-Type: application/ms-tnef; name=\"winmail.dat\"", "Content-Transfer-Encoding: base64", "", "eJ8+IgAAAAAAAAAAAAAAAAAAAAAAAAAA"), types: []string{"application/ms-tnef"}},
		{name: "qp-binary", about: "binary data in quoted-printable", raw: with("Content-Type: application/octet-stream", "Content-Transfer-Encoding: quoted-printable", "", "=00=01 line", "=0D=0Aend=  ", "=zz =4")},
		{name: "data-identity", about: "the same data as text-like base64, once with CRLF and once not", raw: with("Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: application/json", "", "{", "}", "--o", "Content-Type: application/json", "Content-Transfer-Encoding: base64", "", base64.StdEncoding.EncodeToString([]byte("{\r\n}\r\n")), "--o--")},
		{name: "dkim", about: "a body hash that agrees (relaxed) beside one that does not", raw: mailOf("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; bh="+relaxedBody+"; b=x", "DKIM-Signature: a=ed25519-sha256; bh="+strings.Repeat("A", 43)+"=; b=x", "Subject: x", "", " C ", "D \t E", "", "")},
		{name: "stub", about: "a server's notice in the place of a message", raw: mailOf("From: Microsoft Exchange Server 2010", "To: a@b.example", "Subject: Retrieval using the IMAP4 protocol failed for the following", " message: 20004", "Content-Transfer-Encoding: quoted-printable", "", "The server couldn't retrieve the following message:", "", "Subject: \"x\"")},
		{name: "depth-messages", about: "embedded messages beyond the limit of depth", raw: messages(80), anomalies: mailproof.AnomalyDepthLimit},
		{name: "depth-multiparts", about: "multiparts beyond the limit of depth", raw: nested(80), anomalies: mailproof.AnomalyDepthLimit},
	}
}

func utf16Base64(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r), byte(r>>8))
	}
	return wrap(base64.StdEncoding.EncodeToString(b), 76)
}

func TestSamples(t *testing.T) {
	byName := make(map[string]*mailproof.Fingerprint)
	for _, m := range vectorMessages() {
		fp := fingerprintOf(t, m.raw)
		byName[m.name] = fp
		if missing := m.anomalies &^ fp.Detail.Anomalies; missing != 0 {
			t.Errorf("%s: anomalies %v, want also %v", m.name, fp.Detail.Anomalies.Names(), missing.Names())
		}
		var types []string
		for _, l := range fp.Detail.Leaves {
			types = append(types, l.Type)
		}
		if m.types != nil && !reflect.DeepEqual(types, m.types) {
			t.Errorf("%s: leaves %q, want %q", m.name, types, m.types)
		}
	}
	if got := finest(byName["plain"], byName["plain-lf"]); got != mailproof.T1 {
		t.Errorf("plain and plain-lf: equal at %v, want T1", got)
	}
	if got := finest(byName["plain"], byName["plain-rebuilt"]); got != mailproof.T2 {
		t.Errorf("plain and plain-rebuilt: equal at %v, want T2", got)
	}
	if d := byName["dkim"].Detail; d.DKIM != mailproof.DKIMBodyGood {
		t.Errorf("dkim: %v, want good", d.DKIM)
	}
	if !byName["stub"].Detail.Stub || byName["plain"].Detail.Stub {
		t.Error("stub: a notice is none, or a message is one")
	}
	if l := byName["data-identity"].Detail.Leaves; l[0].Content != l[1].Content || l[0].Octets == l[1].Octets {
		t.Errorf("data-identity: content must be equal and octets must not: %+v", l)
	}
	if l := byName["tnef"].Detail.Leaves[0]; l.FileName != "winmail.dat" || l.Size != 24 {
		t.Errorf("tnef: %+v", l)
	}
	if l := byName["attachment"].Detail.Leaves[1]; l.FileName != "€ rates.bin" || l.Size != 17 {
		t.Errorf("attachment: %+v", l)
	}
	for text, want := range map[string]string{
		"Hi Mom -+Jjo--! 1 +- 1": "Hi Mom -\u263a-! 1 + 1", "+2D3cqQ x": "\U0001f4a9 x", "+AOQ": "ä", "+AOR": "", "+2D0-": "", "+!": "", "+3KnYPQ-": "", "\xe4": "",
	} {
		got, ok := decodeUTF7(nil, []byte(text))
		if string(got) != want || ok != (want != "") {
			t.Errorf("UTF-7 %q: %q, %v, want %q", text, got, ok, want)
		}
	}
	if d := byName["header"].Detail; d.MessageID != "<mixed.Case@Host>" {
		t.Errorf("header: Message-ID %q", d.MessageID)
	}
	for name, want := range map[string]string{
		"date": "2026-11-21T15:00:00Z", "from": "joerg@old.example, sales@xn--bcher-kva.example",
		"to": "a@b, c@d, e@[ipv6:2001:db8::1]", "cc": "plain text, root", "subject": "€ a b_ c =?x?= é",
		"in-reply-to": "<a@b>", "references": "<1@x> <2@x>", "bcc": "hidden@old.example",
		"names": "C, D <c@d>, Jörg <joerg@old.example>, Sales <sales@xn--bcher-kva.example>",
	} {
		if f, _ := byName["header"].Detail.Digest(name); f.Value != want {
			t.Errorf("header: %s is %q, want %q", name, f.Value, want)
		}
	}
}

// The witness agrees with the example of RFC 6376 in both canonicalisations,
// whatever the line ends, and does not where one octet differs.
func TestDKIMWitness(t *testing.T) {
	for _, tt := range []struct {
		sig, body string
		want      mailproof.DKIMWitness
	}{
		{"a=rsa-sha256; c=relaxed/relaxed; bh=" + relaxedBody, " C \r\nD \t E\r\n\r\n\r\n", mailproof.DKIMBodyGood},
		{"a=rsa-sha256; c=simple/relaxed; bh=" + relaxedBody, " C\r\nD E", mailproof.DKIMBodyGood},
		{"a=rsa-sha256; c=relaxed/simple; bh=" + simpleBody, " C \r\nD \t E\r\n\r\n\r\n", mailproof.DKIMBodyGood},
		{"a=ed25519-sha256; bh=" + simpleBody, " C \nD \t E\n", mailproof.DKIMBodyGood},
		{"a=rsa-sha256; c=relaxed; bh=" + simpleBody, " C \r\nD \t E\r\n", mailproof.DKIMBodyGood},
		{"a=rsa-sha256; bh=" + simpleBody, " C \r\nD \t e\r\n", mailproof.DKIMBodyBad},
		{"a=rsa-sha256; bh=" + simpleBody, " C \r\r\nD \t E\r\n", mailproof.DKIMBodyBad},
		{"a=rsa-sha256; c=simple/simple; bh=" + relaxedBody, " C \r\nD \t E\r\n", mailproof.DKIMBodyBad},
		{"a=rsa-sha256; l=5; bh=" + simpleBody, "x", mailproof.DKIMAbsent},
		{"a=rsa-sha1; bh=" + simpleBody, "x", mailproof.DKIMAbsent},
		{"a=rsa-sha256; bh=short", "x", mailproof.DKIMAbsent},
		// An empty body is CRLF when simple and nothing when relaxed.
		{"a=rsa-sha256; bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=", "", mailproof.DKIMBodyGood},
		{"a=rsa-sha256; c=relaxed/relaxed; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "\r\n", mailproof.DKIMBodyGood},
	} {
		for _, size := range []int{1, 1 << 20} {
			raw := "DKIM-Signature: v=1; " + tt.sig + "\r\nSubject: x\r\n\r\n" + tt.body
			fp, err := Compute(&sizedReader{b: []byte(raw), next: func() int { return size }})
			if err != nil || fp.Detail.DKIM != tt.want {
				t.Errorf("%q: %v, %v, want %v", raw, fp.Detail.DKIM, err, tt.want)
			}
		}
	}
}

func TestMIH(t *testing.T) {
	if got := fmt.Sprintf("%x", MIH("<CALckR-a8UDkRjO4xJyjd_s0GPxQWw@mail.gmail.com>")); got != "1de319c276884bd0c9e2f1621ada26cc" {
		t.Error(got)
	}
}

// The fingerprint does not depend on how the octets arrive, nor on where the
// pieces of a long line begin.
func TestChunking(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	samples := vectorMessages()
	for _, m := range longLines() {
		samples = append(samples, sample{name: m.name, raw: m.raw})
	}
	h := New()
	for _, m := range samples {
		want := fingerprintOf(t, m.raw)
		for _, size := range []int{1, 7, 1000, 65535, 65537} {
			got, err := h.Compute(&sizedReader{b: m.raw, next: func() int { return size }})
			if err != nil || !reflect.DeepEqual(&got, want) {
				t.Errorf("%s in pieces of %d: not the same", m.name, size)
			}
		}
		got, err := h.Compute(&sizedReader{b: m.raw, next: func() int { return 1 + r.IntN(200) }})
		if err != nil || !reflect.DeepEqual(&got, want) {
			t.Errorf("%s in random pieces: not the same", m.name)
		}
		if got, err = h.Compute(iotest.DataErrReader(bytes.NewReader(m.raw))); err != nil || !reflect.DeepEqual(&got, want) {
			t.Errorf("%s with EOF beside the data: not the same, %v", m.name, err)
		}
	}
}

type sizedReader struct {
	b    []byte
	next func() int
}

func (s *sizedReader) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), s.next())], s.b)
	s.b = s.b[n:]
	if n == 0 {
		return bytes.NewReader(nil).Read(p)
	}
	return n, nil
}
