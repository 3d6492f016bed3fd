package fingerprint

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"github.com/mailproof/mailproof"
)

// header parts a message behind its first blank line, as an IMAP server does.
func headerOf(raw []byte) []byte {
	for at := 0; at < len(raw); {
		line, _, found := bytes.Cut(raw[at:], []byte("\n"))
		if !found {
			break
		}
		at += len(line) + 1
		if len(bytes.TrimRight(line, "\r")) == 0 {
			return raw[:at]
		}
	}
	return raw
}

// checkHead holds a header's fingerprint against that of the whole message.
func checkHead(t *testing.T, raw []byte) {
	t.Helper()
	whole, err := Compute(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	head, err := Head(bytes.NewReader(headerOf(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if whole.Detail.Anomalies&mailproof.AnomalyUnaccounted != 0 {
		t.Fatal("octets unaccounted for")
	}
	for _, tier := range mailproof.Tiers() {
		want := mailproof.Hash{}
		if tier == mailproof.T3 || tier == mailproof.T3b {
			want = whole.Hash(tier)
		}
		if head.Hash(tier) != want {
			t.Fatalf("%v: %v, of the whole message %v", tier, head.Hash(tier), want)
		}
	}
	if head.Detail.MessageID != whole.Detail.MessageID || !reflect.DeepEqual(head.Detail.Fields, whole.Detail.Fields) {
		t.Fatalf("fields %+v, of the whole message %+v", head.Detail.Fields, whole.Detail.Fields)
	}
	// What is in the header of a part or of an embedded message shows too.
	const ofParts = mailproof.AnomalyBadHeader | mailproof.AnomalyEightBitHeader | mailproof.AnomalyHeaderLimit | mailproof.AnomalyEnvelopeFrom
	want := whole.Detail.Anomalies & ofHeader
	if head.Detail.Anomalies&^want != 0 || head.Detail.Anomalies|ofParts != want|ofParts {
		t.Fatalf("anomalies %v, of the whole message %v", head.Detail.Anomalies.Names(), want.Names())
	}
	if head.Detail.LeafCount != 0 || head.Detail.Stub || head.Detail.DKIM != mailproof.DKIMAbsent {
		t.Fatalf("a header says something of the body: %+v", head.Detail)
	}
}

// A header alone gives the identity and the fields that the whole message has.
func TestHeadIsThatOfTheMessage(t *testing.T) {
	for _, m := range []string{
		"", "\r\n", "body without header", "Subject: x", "Subject: x\r\n", "Message-ID: <a@b>\r\n\r\nbody",
		"From anna Sat Nov 21 10:00:00 2026\nSubject: =?utf-8?q?caf=C3=A9?=\nMessage-ID:\n <a@b>\n\nFrom: not a header\n",
		"Content-Type: multipart/mixed; boundary=x\r\nMessage-ID: <m@x>\r\n\r\n--x\r\n\r\na\r\n--x--\r\n",
		"junk line\r\nTo: a@x, b@y\r\n\r\nx", "Subject: a\r\njunk\r\nCc: c@z\r\n\r\n",
	} {
		checkHead(t, []byte(m))
	}
}

func TestHeadOverCorpora(t *testing.T) {
	files := corpusFiles(t)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		checkHead(t, raw)
	}
	if len(files) == 0 {
		t.Skip("MAILPROOF_CORPORA names no folder of messages")
	}
	t.Logf("%d messages", len(files))
}

func FuzzPreview(f *testing.F) {
	f.Add([]byte("Message-ID: <a@b>\r\nFrom: Anna <a@b>\r\n\r\nbody"))
	f.Fuzz(func(t *testing.T, raw []byte) { checkHead(t, raw) })
}
