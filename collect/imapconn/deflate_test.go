package imapconn

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/mailproof/mailproof"
)

// COMPRESS=DEFLATE with real servers: everything goes both ways as without it,
// in a fraction of the octets. Dovecot of testdata/servers offers it, as Cyrus
// does by itself.
func TestCompressRealServers(t *testing.T) {
	for name, config := range realServers(t) {
		t.Run(name, func(t *testing.T) {
			config.Endpoint.Compress = true
			w, err := DialWriter(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if !capabilities(w.Server().Capabilities).has("COMPRESS=DEFLATE") {
				switch {
				case name != "dovecot":
					t.Logf("%s does not offer COMPRESS=DEFLATE", name)
					return
				case os.Getenv("CI") != "":
					t.Fatal("Dovecot does not offer COMPRESS=DEFLATE")
				}
				t.Skip("Dovecot does not offer COMPRESS=DEFLATE: restart it, if it was started before its configuration had it")
			}
			compressed(t, w, config)
			config.Endpoint.User = user(name) + "z"
			roundTrip(t, config, name)
		})
	}
}

// compressed appends and reads back more than a buffer's worth, in both
// directions, over connections that compress.
func compressed(t *testing.T, w *Writer, config Config) {
	var total int64
	want := map[mailproof.UID][]byte{}
	batch := make([]mailproof.Outgoing, 40)
	raw := make([][]byte, len(batch))
	for i := range batch {
		raw[i] = fmt.Appendf(nil, "From: a@example.com\r\nSubject: %d\r\n\r\n%s", i, bytes.Repeat([]byte("as compressible as it gets\r\n"), i*400))
		batch[i] = mailproof.Outgoing{Size: int64(len(raw[i])), Body: bytes.NewReader(raw[i])}
		total += int64(len(raw[i]))
	}
	boxes, err := w.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	folder := boxes[0].Prefix + "Compressed"
	if err := w.Create(t.Context(), folder, ""); err != nil {
		t.Fatal(err)
	}
	wait, err := w.StartAppend(t.Context(), folder, batch, false)
	if err != nil {
		t.Fatal(err)
	}
	receipts, err := wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range receipts {
		if r.Fate != mailproof.FateAdded || r.UID == 0 {
			t.Fatalf("message %d: %+v", i, r)
		}
		want[r.UID] = raw[i]
	}
	if _, written := w.Traffic(); written > total/10 {
		t.Errorf("%d octets were written for %d of mail: not compressed", written, total)
	}

	r, err := DialReader(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Examine(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	var list []mailproof.Metadata
	if err := r.Metadata(t.Context(), func(m mailproof.Metadata) error { list = append(list, m); return nil }); err != nil {
		t.Fatal(err)
	}
	n := 0
	unread, err := r.Bodies(t.Context(), list, func(uid mailproof.UID, _ int64, body io.Reader) error {
		got, err := io.ReadAll(body)
		if err == nil && !bytes.Equal(got, want[uid]) {
			t.Errorf("uid %d: %d octets came back as %d", uid, len(want[uid]), len(got))
		}
		n++
		return err
	})
	if err != nil || len(unread) > 0 || n != len(batch) {
		t.Errorf("%d read, unread %v, error %v", n, unread, err)
	}
	if read, _ := r.Traffic(); read > total/10 {
		t.Errorf("%d octets were read for %d of mail: not compressed", read, total)
	}
}
