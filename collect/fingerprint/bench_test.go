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

func benchmark(b *testing.B, raw []byte) {
	h := New()
	r := bytes.NewReader(raw)
	compute := func() {
		r.Reset(raw)
		if _, err := h.Compute(r); err != nil {
			b.Fatal(err)
		}
	}
	compute()
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	b.ResetTimer()
	for b.Loop() {
		compute()
	}
	b.StopTimer()
	own := b.Elapsed() / time.Duration(b.N)

	// The same octets through nothing but SHA-256, in the same run.
	sum := sha256.New()
	start := time.Now()
	rounds := 0
	for ; time.Since(start) < 300*time.Millisecond; rounds++ {
		sum.Reset()
		r.Reset(raw)
		if _, err := io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{r}, make([]byte, lineBuffer)); err != nil {
			b.Fatal(err)
		}
	}
	bare := time.Since(start) / time.Duration(rounds)
	b.ReportMetric(float64(bare)/float64(own), "of-bare-sha256")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkSmall(b *testing.B)      { benchmark(b, smallMail()) }
func BenchmarkAttachment(b *testing.B) { benchmark(b, attachmentMail(10<<20)) }

func BenchmarkAttachmentDKIM(b *testing.B) {
	sig := fmt.Sprintf("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; bh=%s; b=x\r\n",
		base64.StdEncoding.EncodeToString(make([]byte, 32)))
	benchmark(b, append([]byte(sig), attachmentMail(10<<20)...))
}
