package imapconn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// BenchmarkBodies reads and hashes bodies, through Bodies and as a raw drain
// that parses nothing, from the same scripted server in the same run.
func BenchmarkBodies(b *testing.B) {
	for _, size := range []int{6_000, 225_000} {
		const n = 2000
		body := bytes.Repeat([]byte("0123456789abcde\r\n"), size/17)
		var answer bytes.Buffer
		for i := range n {
			fmt.Fprintf(&answer, "* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n", i+1, i+101, len(body), body)
		}
		f := newFake(b, func(c *fakeConn) {
			c.SetDeadline(time.Time{})
			c.mailbox(n, func(cmd commandLine, uids []int, _ bool) bool {
				per := answer.Len() / n
				at := func(u int) int { // where the response for UID u begins, near enough to look for
					i := bytes.Index(answer.Bytes()[max(0, (u-101)*per-n):], fmt.Appendf(nil, "* %d FETCH", u-100))
					return max(0, (u-101)*per-n) + i
				}
				end := answer.Len()
				if last := uids[len(uids)-1]; last < 100+n {
					end = at(last + 1)
				}
				_, _ = c.Write(answer.Bytes()[at(uids[0]):end])
				c.line("%s OK done", cmd.tag)
				return true
			})
		})
		b.Run(fmt.Sprintf("drain/%d", size), func(b *testing.B) {
			b.SetBytes(int64(n * len(body)))
			for b.Loop() {
				drain(b, f, n)
			}
		})
		b.Run(fmt.Sprintf("bodies/%d", size), func(b *testing.B) {
			b.SetBytes(int64(n * len(body)))
			r := f.reader()
			if _, err := r.Examine(context.Background(), "INBOX"); err != nil {
				b.Fatal(err)
			}
			var want []mailproof.Metadata
			for u := 101; u <= 100+n; u++ {
				want = append(want, mailproof.Metadata{UID: mailproof.UID(u), Size: int64(len(body))})
			}
			h, buf := sha256.New(), make([]byte, 64<<10)
			for b.Loop() {
				read := 0
				unread, err := r.Bodies(context.Background(), want, func(_ mailproof.UID, _ int64, body io.Reader) error {
					read++
					h.Reset()
					_, err := io.CopyBuffer(struct{ io.Writer }{h}, body, buf)
					return err
				})
				if err != nil || len(unread) > 0 || read != n {
					b.Fatal(read, unread, err)
				}
			}
		})
	}
}

// drain is the limit: whole answer through SHA-256, nothing understood.
func drain(b *testing.B, f *fakeServer, n int) {
	conn, err := net.Dial("tcp", f.listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "S1 LOGIN a b\r\nS2 EXAMINE INBOX\r\nS3 UID FETCH 101:%d (UID BODY.PEEK[])\r\nS4 LOGOUT\r\n", 100+n)
	h, buf := sha256.New(), make([]byte, 64<<10)
	if _, err := io.CopyBuffer(h, struct{ io.Reader }{conn}, buf); err != nil {
		b.Fatal(err)
	}
}
