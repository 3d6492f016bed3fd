package oracle

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof/collect/mailgen"
)

// Outgoing is a message to be stored.
type Outgoing struct {
	Raw   []byte
	Flags []string
	Date  time.Time
}

// FillAccount stores a generated account: its folders, created and subscribed
// where they are not there yet, and every message.
func FillAccount(ctx context.Context, l Login, a *mailgen.Account) error {
	c, err := Dial(ctx, l)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, f := range a.Folders {
		name := c.Name(f.Path...)
		if err := c.CreateFolder(name); err != nil {
			return err
		}
		messages := make([]Outgoing, len(f.Messages))
		for i, m := range f.Messages {
			messages[i] = Outgoing{Raw: m.Raw, Flags: m.Flags, Date: m.Date}
		}
		if err := c.Append(name, messages...); err != nil {
			return err
		}
	}
	return nil
}

// CreateFolder creates and subscribes a folder; one that is there is left.
func (c *Conn) CreateFolder(name string) error {
	wire := quoted(toWire(name))
	if folders, err := c.Folders(); err != nil {
		return err
	} else if !slices.Contains(folders, name) {
		if _, err := c.do("CREATE %s", wire); err != nil {
			return fmt.Errorf("oracle: create %q: %w", name, err)
		}
	}
	if _, err := c.do("SUBSCRIBE %s", wire); err != nil {
		return fmt.Errorf("oracle: subscribe %q: %w", name, err)
	}
	return nil
}

// DeleteFolder deletes a folder with all it holds.
func (c *Conn) DeleteFolder(name string) error {
	if _, err := c.do("DELETE %s", quoted(toWire(name))); err != nil {
		return fmt.Errorf("oracle: delete %q: %w", name, err)
	}
	return nil
}

// Append stores messages, without waiting for each where the server offers
// LITERAL+ (RFC 7888).
func (c *Conn) Append(name string, messages ...Outgoing) error {
	fail := func(i int, err error) error {
		return fmt.Errorf("oracle: append message %d to %q: %w", i, name, err)
	}
	if !c.offers("LITERAL+") {
		for i, m := range messages {
			if err := c.appendOne(name, m); err != nil {
				return fail(i, err)
			}
		}
		return nil
	}
	first := c.tag + 1
	c.tag += len(messages)
	written := make(chan error, 1)
	go func() { written <- c.pipeline(first, name, messages) }()
	var failed error
	for i := range messages {
		if _, err := c.until(fmt.Sprintf("o%d", first+i)); err != nil && failed == nil {
			failed = fail(i, err)
			if !strings.HasPrefix(err.Error(), "server said") {
				_ = c.nc.Close() // ends the writer, too
				break
			}
		}
	}
	if err := <-written; err != nil && failed == nil {
		failed = fail(len(messages), err)
	}
	return failed
}

func (c *Conn) pipeline(first int, name string, messages []Outgoing) error {
	for i, m := range messages {
		if err := c.nc.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		head := fmt.Sprintf("o%d %s {%d+}\r\n", first+i, appendCommand(name, m), len(m.Raw))
		if _, err := io.WriteString(c.nc, head); err != nil {
			return err
		}
		if _, err := c.nc.Write(append(m.Raw[:len(m.Raw):len(m.Raw)], "\r\n"...)); err != nil {
			return err
		}
	}
	return nil
}

func appendCommand(name string, m Outgoing) string {
	return fmt.Sprintf("APPEND %s (%s) %s", quoted(toWire(name)), strings.Join(m.Flags, " "), quoted(m.Date.Format("02-Jan-2006 15:04:05 -0700")))
}

func (c *Conn) appendOne(name string, m Outgoing) error {
	tag, err := c.send("%s {%d}", appendCommand(name, m), len(m.Raw))
	if err != nil {
		return err
	}
	for {
		r, err := c.read()
		if err != nil {
			return err
		}
		if strings.HasPrefix(r.text, "+") {
			break
		}
		if result, tagged := strings.CutPrefix(r.text, tag+" "); tagged {
			return fmt.Errorf("server said %s", result)
		}
	}
	if _, err := c.nc.Write(append(m.Raw[:len(m.Raw):len(m.Raw)], "\r\n"...)); err != nil {
		return err
	}
	_, err = c.until(tag)
	return err
}

// SetFlags changes flags; change is FLAGS, +FLAGS or -FLAGS.
func (c *Conn) SetFlags(name, change string, flags []string, uids ...uint32) error {
	if len(uids) == 0 {
		return nil
	}
	if _, err := c.do("SELECT %s", quoted(toWire(name))); err != nil {
		return fmt.Errorf("oracle: select %q: %w", name, err)
	}
	if _, err := c.do("UID STORE %s %s (%s)", set(uids), change, strings.Join(flags, " ")); err != nil {
		return fmt.Errorf("oracle: store in %q: %w", name, err)
	}
	return nil
}

func set(uids []uint32) string {
	var out []string
	for _, u := range uids {
		out = append(out, fmt.Sprint(u))
	}
	return strings.Join(out, ",")
}

// Remove expunges messages, and with them all others marked \Deleted.
func (c *Conn) Remove(name string, uids ...uint32) error {
	if err := c.SetFlags(name, "+FLAGS", []string{`\Deleted`}, uids...); err != nil || len(uids) == 0 {
		return err
	}
	command := "EXPUNGE"
	if c.offers("UIDPLUS") {
		command = "UID EXPUNGE " + set(uids)
	}
	if _, err := c.do("%s", command); err != nil {
		return fmt.Errorf("oracle: expunge in %q: %w", name, err)
	}
	return nil
}

// fetch returns one message as it could be appended again.
func (c *Conn) fetch(name string, uid uint32) (Outgoing, error) {
	f, err := c.Read(name, Options{KeepBodies: true})
	if err != nil {
		return Outgoing{}, err
	}
	for _, m := range f.Messages {
		if m.UID == uid {
			return Outgoing{Raw: m.Raw, Flags: m.Flags, Date: m.Date}, nil
		}
	}
	return Outgoing{}, fmt.Errorf("oracle: no uid %d in %q", uid, name)
}

// Alter replaces a message by a changed copy with the same flags and date.
func (c *Conn) Alter(name string, uid uint32, change func(raw []byte) []byte) error {
	m, err := c.fetch(name, uid)
	if err != nil {
		return err
	}
	m.Raw = change(slices.Clone(m.Raw))
	if err := c.Append(name, m); err != nil {
		return err
	}
	return c.Remove(name, uid)
}

// Duplicate stores a second copy of a message beside it.
func (c *Conn) Duplicate(name string, uid uint32) error {
	m, err := c.fetch(name, uid)
	if err != nil {
		return err
	}
	return c.Append(name, m)
}

// Move moves a message into another folder, which it creates if need be.
func (c *Conn) Move(name string, uid uint32, to string) error {
	m, err := c.fetch(name, uid)
	if err != nil {
		return err
	}
	if err := c.CreateFolder(to); err != nil {
		return err
	}
	if err := c.Append(to, m); err != nil {
		return err
	}
	return c.Remove(name, uid)
}
