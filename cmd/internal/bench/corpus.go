package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
)

// corpus is a mailbox tree to measure with. The same name and scale always give
// the same octets.
type corpus struct {
	name             string
	what             string
	messages         int
	folders          int
	smallest, widest int  // octets of a message
	attachment       bool // one base64 part in place of text
}

// The corpora. A is many small messages, B few with large attachments, C one
// folder that grows.
func corpusA(scale float64) corpus {
	return corpus{name: "a", what: "messages of 2 to 12 kB in 20 folders", messages: scaled(10_000, scale), folders: 20, smallest: 2_000, widest: 12_000}
}

func corpusB(scale float64) corpus {
	return corpus{name: "b", what: "messages with attachments up to 8 MB", messages: scaled(2_000, scale), folders: 4, smallest: 10_000, widest: 8_000_000, attachment: true}
}

func corpusC(messages int) corpus {
	return corpus{name: fmt.Sprintf("c%d", messages), what: "messages of 1 to 5 kB in one folder", messages: messages, folders: 1, smallest: 1_000, widest: 5_000}
}

// corpusNamed is the corpus of a name with so many messages.
func corpusNamed(name string, messages int) corpus {
	c := corpusC(messages)
	switch name {
	case "a":
		c = corpusA(1)
	case "b":
		c = corpusB(1)
	}
	c.name, c.messages = name, messages
	return c
}

func scaled(n int, scale float64) int { return max(20, int(float64(n)*scale)) }

func (c corpus) folder(i int) string { return fmt.Sprintf("Folder-%02d", i%c.folders) }

// words make a text that compresses about as mail does.
var words = []string{"the", "survey", "of", "north", "gate", "was", "sent", "on", "monday", "with", "drawings", "attached", "please", "confirm", "receipt",
	"before", "noon", "regards", "invoice", "meeting", "agenda", "minutes", "contract", "revision", "site", "plan", "and", "we", "will", "call"}

// message writes the octets of message i.
func (c corpus) message(i int) []byte {
	r := rand.New(rand.NewPCG(uint64(i), uint64(len(c.name))))
	size := c.smallest + r.IntN(c.widest-c.smallest)
	if c.attachment { // most are small, a few are very large: the mean is about 225 kB
		size = c.smallest + int(float64(c.widest-c.smallest)*pow(r.Float64(), 36))
	}
	b := fmt.Appendf(make([]byte, 0, size+1024), "Received: from mx%d.example by mail.example; Mon, 02 Nov 2026 10:%02d:%02d +0000\r\n"+
		"From: Sender %d <sender%d@old.example>\r\nTo: Owner <owner@old.example>\r\nSubject: Survey %s %d\r\n"+
		"Date: Mon, 02 Nov 2026 10:%02d:%02d +0000\r\nMessage-ID: <%s.%d@bench.example>\r\nMIME-Version: 1.0\r\n",
		i%7, i/60%60, i%60, i%40, i%40, c.name, i, i/60%60, i%60, c.name, i)
	if !c.attachment {
		b = append(b, "Content-Type: text/plain; charset=utf-8\r\n\r\n"...)
		return text(b, r, size)
	}
	b = append(b, "Content-Type: multipart/mixed; boundary=\"=_bench\"\r\n\r\n--=_bench\r\nContent-Type: text/plain\r\n\r\n"...)
	b = text(b, r, len(b)+1_000)
	b = fmt.Appendf(b, "--=_bench\r\nContent-Type: application/pdf; name=\"plan-%d.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n", i)
	var octets [57]byte
	for len(b) < size {
		for k := range octets {
			octets[k] = byte(r.Uint32())
		}
		b = base64.StdEncoding.AppendEncode(b, octets[:])
		b = append(b, "\r\n"...)
	}
	return append(b, "--=_bench--\r\n"...)
}

func text(b []byte, r *rand.Rand, size int) []byte {
	column := 0
	for len(b) < size {
		w := words[r.IntN(len(words))]
		b = append(append(b, w...), ' ')
		if column += len(w) + 1; column > 70 {
			b, column = append(b, "\r\n"...), 0
		}
	}
	return append(b, "\r\n"...)
}

func pow(x float64, n int) float64 {
	p := 1.0
	for range n {
		p *= x
	}
	return p
}

// fill writes the corpus into an empty account and returns its octets.
func (c corpus) fill(ctx context.Context, addr, user, password string) (octets int64, err error) {
	conn, err := dial(ctx, addr, user, password)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.close()) }()
	for f := range c.folders {
		name := c.folder(f)
		if err := conn.do("CREATE "+quote(name), nil); err != nil {
			return 0, fmt.Errorf("create %s: %w", name, err)
		}
		b := &batch{c: conn}
		for i := f; i < c.messages; i += c.folders {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			m := c.message(i)
			octets += int64(len(m))
			if err := b.add(name, m); err != nil {
				return 0, err
			}
		}
		if err := errors.Join(b.end(), b.settle(0)); err != nil {
			return 0, err
		}
	}
	return octets, nil
}
