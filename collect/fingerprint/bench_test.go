package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// attachmentMail is a message with a base64 attachment of about n octets.
func attachmentMail(n int) []byte {
	var b bytes.Buffer
	b.WriteString("From: a@b.example\r\nTo: c@d.example\r\nSubject: attachment\r\nMessage-ID: <1@b.example>\r\n" +
		"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_x\"\r\n\r\n" +
		"--=_x\r\nContent-Type: text/plain\r\n\r\nSee attached.\r\n--=_x\r\nContent-Type: application/zip; name=a.zip\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n")
	r := rand.New(rand.NewPCG(1, 2))
	line := make([]byte, 57)
	for b.Len() < n {
		for i := range line {
			line[i] = byte(r.Uint32())
		}
		b.WriteString(base64.StdEncoding.EncodeToString(line))
		b.WriteString("\r\n")
	}
	b.WriteString("--=_x--\r\n")
	return b.Bytes()
}

// smallMail is a text message as people write them.
func smallMail() []byte {
	return []byte("Received: from mx.example by store.example; Sat, 21 Nov 2026 10:00:01 +0000\r\n" +
		"From: =?utf-8?Q?Anna_M=C3=BCller?= <anna@example.org>\r\nTo: Bob <bob@example.com>, carol@example.com\r\n" +
		"Subject: =?utf-8?B?R3LDvMOfZSBhdXMgV2llbg==?=\r\nMessage-ID: <20261121.1@example.org>\r\n" +
		"Date: Sat, 21 Nov 2026 11:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n" +
		strings.Repeat("Hallo Bob,=20\r\ndas ist eine gew=C3=B6hnliche Nachricht mit etwas Text darin, wie sie j=\r\neden Tag kommt.\r\n", 20))
}

// plainMails are messages of 2 to 12 kB of plain English without a transfer
// encoding: most of what lies in most mailboxes.
func plainMails() (out [][]byte) {
	words := strings.Fields("the survey of north gate was sent on monday with drawings attached please confirm receipt before noon regards invoice " +
		"meeting agenda minutes contract revision site plan and we will call")
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 128 {
		b := fmt.Appendf(nil, "Received: from mx%d.example by mail.example; Mon, 02 Nov 2026 10:%02d:00 +0000\r\n"+
			"From: Sender %d <sender%d@old.example>\r\nTo: Owner <owner@old.example>\r\nSubject: Survey %d\r\n"+
			"Date: Mon, 02 Nov 2026 10:%02d:00 +0000\r\nMessage-ID: <%d@bench.example>\r\nMIME-Version: 1.0\r\n"+
			"Content-Type: text/plain; charset=utf-8\r\n\r\n", i%7, i%60, i%40, i%40, i, i%60, i)
		size, column := 2_000+r.IntN(10_000), 0
		for len(b) < size {
			w := words[r.IntN(len(words))]
			b = append(append(b, w...), ' ')
			if column += len(w) + 1; column > 70 {
				b, column = append(b, "\r\n"...), 0
			}
		}
		out = append(out, append(b, "\r\n"...))
	}
	return out
}

// attachmentMails are messages as those of plainMails that carry a PDF, from 10
// kB to a few MB, most of them small.
func attachmentMails() (out [][]byte) {
	for i, text := range plainMails()[:24] {
		out = append(out, append(bytes.TrimSuffix(attachmentMail(10_000<<(i/3)), []byte("--=_x--\r\n")),
			append([]byte("--=_x\r\nContent-Type: text/plain\r\n\r\n"), append(text[:1000], "\r\n--=_x--\r\n"...)...)...))
	}
	return out
}

// benchmark measures the fingerprints of messages, one after the other.
func benchmark(b *testing.B, mails ...[]byte) {
	h := New()
	r := bytes.NewReader(nil)
	measure(b, mails, func(raw []byte) error {
		r.Reset(raw)
		_, err := h.Compute(r)
		return err
	})
}

// measure runs work over messages and reports what one of them costs, beside
// what SHA-256 alone costs over the same octets in the same run: once over
// them all, with nothing allocated and in the largest pieces that there are.
func measure(b *testing.B, mails [][]byte, work func([]byte) error) {
	octets := 0
	for _, raw := range mails {
		octets += len(raw)
		if err := work(raw); err != nil { // once before, for buffers that are kept
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.SetBytes(int64(octets / len(mails)))
	b.ResetTimer()
	n := 0
	for b.Loop() {
		if err := work(mails[n%len(mails)]); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.StopTimer()
	own := float64(b.Elapsed()) / float64(b.N)

	start, rounds := time.Now(), 0
	for time.Since(start) < 300*time.Millisecond {
		for _, raw := range mails {
			bareSum = sha256.Sum256(raw)
		}
		rounds++
	}
	bare := float64(time.Since(start)) / float64(rounds*len(mails))
	b.ReportMetric(bare/own, "of-bare-sha256")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

var bareSum [sha256.Size]byte

func BenchmarkSmall(b *testing.B)       { benchmark(b, smallMail()) }
func BenchmarkPlain(b *testing.B)       { benchmark(b, plainMails()...) }
func BenchmarkAttachment(b *testing.B)  { benchmark(b, attachmentMail(10<<20)) }
func BenchmarkAttachments(b *testing.B) { benchmark(b, attachmentMails()...) }

func BenchmarkAttachmentDKIM(b *testing.B) {
	sig := fmt.Sprintf("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; bh=%s; b=x\r\n",
		base64.StdEncoding.EncodeToString(make([]byte, 32)))
	benchmark(b, append([]byte(sig), attachmentMail(10<<20)...))
}

// BenchmarkHead is what a preview reads: headers alone.
func BenchmarkHead(b *testing.B) {
	var heads [][]byte
	for _, raw := range plainMails() {
		head, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
		heads = append(heads, append(head, "\r\n\r\n"...))
	}
	h := New()
	r := bytes.NewReader(nil)
	measure(b, heads, func(raw []byte) error {
		r.Reset(raw)
		_, err := h.Head(r)
		return err
	})
}

// BenchmarkOctets is what a message costs that is known by its octets.
func BenchmarkOctets(b *testing.B) {
	r := bytes.NewReader(nil)
	measure(b, plainMails(), func(raw []byte) error {
		r.Reset(raw)
		_, _, err := Octets(struct{ io.Reader }{r})
		return err
	})
}
