package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// side is where an account lives.
type side struct{ addr, user, password string }

func (s side) dial(ctx context.Context) (*raw, error) { return dial(ctx, s.addr, s.user, s.password) }

// drain reads every body of an account with one connection, takes the SHA-256
// of each, and hands it to each, where there is one.
func drain(ctx context.Context, from side, each func(mailbox string, body []byte) error) (messages, octets int64, err error) {
	c, err := from.dial(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	all, err := c.mailboxes()
	if err != nil {
		return 0, 0, err
	}
	hash := sha256.New()
	var buffer []byte
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] == 0 {
			continue
		}
		if err := c.do("EXAMINE "+quote(name), nil); err != nil {
			return 0, 0, fmt.Errorf("examine %s: %w", name, err)
		}
		tag, err := c.send("FETCH 1:* (UID BODY.PEEK[])")
		if err != nil {
			return 0, 0, err
		}
		err = c.await(tag, nil, func(size int64, r io.Reader) error {
			if int64(cap(buffer)) < size {
				buffer = make([]byte, size)
			}
			body := buffer[:size]
			if _, err := io.ReadFull(r, body); err != nil {
				return err
			}
			hash.Reset()
			hash.Write(body)
			messages++
			octets += size
			if each == nil {
				return nil
			}
			return each(name, body)
		})
		if err != nil {
			return 0, 0, fmt.Errorf("fetch %s: %w", name, err)
		}
	}
	return messages, octets, nil
}

// limitCopy is the fastest copy that two sockets allow: one connection reads
// everything, another writes it with MULTIAPPEND, SHA-256 of every body on the
// way, and nothing is checked.
func limitCopy(ctx context.Context, from, to side) (err error) {
	w, err := to.dial(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	type item struct {
		mailbox string
		body    []byte
	}
	items := make(chan item, 64)
	written := make(chan error, 1)
	go func() {
		written <- func() error {
			b := &batch{c: w}
			current := ""
			for it := range items {
				if it.mailbox != current {
					if err := errors.Join(b.end(), b.settle(0)); err != nil {
						return err
					}
					current = it.mailbox
					if err := w.do("CREATE "+quote(current), nil); err != nil && !strings.Contains(err.Error(), "exists") {
						return err
					}
				}
				if err := b.add(it.mailbox, it.body); err != nil {
					return err
				}
			}
			return errors.Join(b.end(), b.settle(0))
		}()
	}()
	failed := make(chan struct{})
	var writeErr error
	go func() {
		writeErr = <-written
		close(failed)
	}()
	_, _, err = drain(ctx, from, func(mailbox string, body []byte) error {
		select {
		case items <- item{mailbox, slices.Clone(body)}:
			return nil
		case <-failed:
			return writeErr
		}
	})
	close(items)
	<-failed
	return errors.Join(err, writeErr)
}
