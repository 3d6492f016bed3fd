package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// raw is the least that can be called an IMAP client: what it does is the
// limit that everything else is measured against. It shares no code with the
// product, trusts its server, and is fit for nothing else.
type raw struct {
	conn net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	tag  int
}

// wait is how long any answer may take before a measurement is given up.
const wait = 5 * time.Minute

// dial connects to a server without TLS on loopback and signs in.
func dial(ctx context.Context, addr, user, password string) (*raw, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &raw{conn: conn, r: bufio.NewReaderSize(conn, 256<<10), w: bufio.NewWriterSize(conn, 256<<10)}
	if _, err := c.line(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if err := c.do(fmt.Sprintf("LOGIN %s %s", quote(user), quote(password)), nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

func (c *raw) close() error {
	err := c.do("LOGOUT", nil)
	return errors.Join(err, c.conn.Close())
}

// quote writes a quoted string (RFC 9051 §4.3) of a text without CR, LF or NUL.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func (c *raw) line() ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// literal is the length of the literal that a line ends in, or -1.
func literal(line []byte) int64 {
	open := bytes.LastIndexByte(line, '{')
	if open < 0 || !bytes.HasSuffix(line, []byte("}")) {
		return -1
	}
	n, err := strconv.ParseInt(string(line[open+1:len(line)-1]), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// send writes a command and returns its tag; the answer is read by await.
func (c *raw) send(command string) (string, error) {
	c.tag++
	tag := "B" + strconv.Itoa(c.tag)
	if _, err := fmt.Fprintf(c.w, "%s %s\r\n", tag, command); err != nil {
		return "", err
	}
	return tag, c.w.Flush()
}

// await reads until the tagged answer. Literals go to body, where there is one;
// lines without a literal go to untagged.
func (c *raw) await(tag string, untagged func(string), body func(size int64, r io.Reader) error) error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		if n := literal(line); n >= 0 {
			r := io.LimitReader(c.r, n)
			if body == nil {
				_, err = io.Copy(io.Discard, r)
			} else {
				err = body(n, r)
			}
			if err != nil {
				return err
			}
			continue
		}
		if rest, ok := strings.CutPrefix(string(line), tag+" "); ok {
			if !strings.HasPrefix(rest, "OK") {
				return fmt.Errorf("server: %s", rest)
			}
			return nil
		}
		if untagged != nil {
			untagged(string(line))
		}
	}
}

func (c *raw) do(command string, untagged func(string)) error {
	tag, err := c.send(command)
	if err != nil {
		return err
	}
	return c.await(tag, untagged, nil)
}

// mailboxes lists every mailbox that can be selected, and what it holds.
func (c *raw) mailboxes() (map[string]int64, error) {
	var names []string
	err := c.do(`LIST "" "*"`, func(line string) {
		if i := strings.LastIndexByte(line, ' '); strings.HasPrefix(line, "* LIST") && !strings.Contains(line, `\Noselect`) {
			names = append(names, strings.Trim(line[i+1:], `"`))
		}
	})
	if err != nil {
		return nil, err
	}
	found := map[string]int64{}
	for _, name := range names {
		err := c.do("STATUS "+quote(name)+" (MESSAGES)", func(line string) {
			if _, n, ok := strings.Cut(line, "(MESSAGES "); ok {
				found[name], err = strconv.ParseInt(strings.TrimRight(n, ") "), 10, 64)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return found, nil
}

// wipe deletes every message and every mailbox of an account.
func wipe(ctx context.Context, addr, user, password string) (err error) {
	c, err := dial(ctx, addr, user, password)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	all, err := c.mailboxes()
	if err != nil {
		return err
	}
	for name, n := range all {
		if name != "INBOX" {
			if err := c.do("DELETE "+quote(name), nil); err != nil {
				return fmt.Errorf("delete %s: %w", name, err)
			}
			continue
		}
		if n == 0 {
			continue
		}
		for _, command := range []string{"SELECT INBOX", `STORE 1:* +FLAGS.SILENT (\Deleted)`, "EXPUNGE", "CLOSE"} {
			if err := c.do(command, nil); err != nil {
				return fmt.Errorf("%s: %w", command, err)
			}
		}
	}
	return nil
}

// batch is the messages of one MULTIAPPEND (RFC 3502) with non-synchronising
// literals (RFC 7888).
type batch struct {
	c      *raw
	open   bool
	tag    string
	count  int
	octets int64
	flying []string // tags whose answers are awaited
}

const (
	batchMessages = 100
	batchOctets   = 8 << 20
	batchesFlying = 2
)

// add sends one message into mailbox; the batch ends when it is full.
func (b *batch) add(mailbox string, message []byte) error {
	if !b.open {
		b.c.tag++
		b.tag = "B" + strconv.Itoa(b.c.tag)
		if _, err := fmt.Fprintf(b.c.w, "%s APPEND %s", b.tag, quote(mailbox)); err != nil {
			return err
		}
		b.open = true
	}
	if _, err := fmt.Fprintf(b.c.w, " (\\Seen) {%d+}\r\n", len(message)); err != nil {
		return err
	}
	if _, err := b.c.w.Write(message); err != nil {
		return err
	}
	b.count++
	b.octets += int64(len(message))
	if b.count >= batchMessages || b.octets >= batchOctets {
		return b.end()
	}
	return nil
}

// end closes the batch and lets at most batchesFlying go unanswered.
func (b *batch) end() error {
	if b.open {
		if _, err := b.c.w.WriteString("\r\n"); err != nil {
			return err
		}
		if err := b.c.w.Flush(); err != nil {
			return err
		}
		b.flying = append(b.flying, b.tag)
		b.open, b.count, b.octets = false, 0, 0
	}
	return b.settle(batchesFlying - 1)
}

func (b *batch) settle(left int) error {
	for len(b.flying) > left {
		if err := b.c.await(b.flying[0], nil, nil); err != nil {
			return fmt.Errorf("append: %w", err)
		}
		b.flying = b.flying[1:]
	}
	return nil
}
