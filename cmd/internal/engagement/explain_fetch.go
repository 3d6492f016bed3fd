package engagement

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // so that texts are shown in their charset
	textdiff "github.com/rogpeppe/go-internal/diff"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/fingerprint"
)

// Fetched is what both servers deliver of a message now.
type Fetched struct {
	Source      *FetchedBody `json:"source"`
	Destination *FetchedBody `json:"destination"`
	// Headers and Texts are unified diffs, source to destination; empty where
	// there is no difference. Line ends are not compared.
	Headers string     `json:"headers"`
	Texts   []TextDiff `json:"texts"`
	// Note says why texts could not be compared.
	Note string `json:"note,omitempty"`
}

// FetchedBody is one of the two.
type FetchedBody struct {
	Error    string `json:"error,omitempty"` // why it could not be read
	Octets   int64  `json:"octets"`
	Recorded bool   `json:"recorded"` // whether the ledger has a fingerprint to hold it against
	// AsRecorded says that every octet is as the ledger has it; Changed names
	// the tiers that are not.
	AsRecorded bool     `json:"as_recorded"`
	Changed    []string `json:"changed"`
	File       string   `json:"file,omitempty"` // that it was written to

	head firstOctets
}

// TextDiff is the difference of one text part.
type TextDiff struct {
	Part string `json:"part"` // "text/plain 1"
	Diff string `json:"diff"`
}

// AsRecorded reports whether what was fetched is what the ledger has, as far
// as it has any of it.
func (f *Fetched) AsRecorded() bool {
	for _, b := range []*FetchedBody{f.Source, f.Destination} {
		if b != nil && b.Error == "" && b.Recorded && !b.AsRecorded {
			return false
		}
	}
	return true
}

// Failed reports whether something could not be fetched.
func (f *Fetched) Failed() bool {
	for _, b := range []*FetchedBody{f.Source, f.Destination} {
		if b != nil && b.Error != "" {
			return true
		}
	}
	return false
}

// The bounds of what is compared as text: octets kept of a message, octets of
// a part, lines of a difference.
const (
	maxFetched  = 16 << 20
	maxText     = 1 << 20
	maxDiffLine = 400
)

// Fetch reads the message that was explained from the servers, each opened
// read-only, and puts what they deliver now beside what the ledger has. Each
// side for which logins has a server is read. With save, both are written to
// that directory as they are, readable by their owner only; no file is
// replaced.
func (e *Engagement) Fetch(ctx context.Context, x *Explanation, logins []Account, save string) error {
	login, err := loginOf(logins, x.Account)
	if err != nil {
		return err
	}
	x.Fetched = &Fetched{Texts: []TextDiff{}}
	for _, s := range []struct {
		m    *mailproof.Message
		keep **FetchedBody
	}{{x.source, &x.Fetched.Source}, {x.destination, &x.Fetched.Destination}} {
		if s.m == nil || login.Endpoint(s.m.Side).Host == "" {
			continue
		}
		var file string
		if save != "" {
			file = filepath.Join(save, fileName(x, s.m))
		}
		b, err := e.fetchBody(ctx, login, s.m, file)
		if err != nil {
			return err
		}
		*s.keep = b
	}
	x.Fetched.compare()
	return nil
}

// loginOf finds the login of an account: by its name, or the only one that was
// given.
func loginOf(logins []Account, name string) (Account, error) {
	for _, a := range logins {
		if strings.EqualFold(a.Name, name) {
			return a, nil
		}
	}
	if len(logins) == 1 {
		return logins[0], nil
	}
	return Account{}, fmt.Errorf("account %s is not in the list of accounts, so nobody can sign in to it", name)
}

// fileName is such as E-003.source.eml.
func fileName(x *Explanation, m *mailproof.Message) string {
	id := x.Exception
	if id == "" {
		id = fmt.Sprintf("uid-%d", m.MessageKey.UID)
	}
	return id + "." + m.Side.String() + ".eml"
}

// fetchBody reads one message. What concerns the message is in the result; the
// error is one of a file, or the context's.
func (e *Engagement) fetchBody(ctx context.Context, login Account, m *mailproof.Message, file string) (*FetchedBody, error) {
	b := &FetchedBody{Recorded: m.State == mailproof.Read, Changed: []string{}}
	r, done, err := e.dialReader(ctx, login, m.Side)
	if err != nil {
		b.Error = err.Error()
		return b, ctx.Err()
	}
	defer done()
	state, err := r.Examine(ctx, m.Mailbox)
	switch {
	case err != nil:
		b.Error = err.Error()
		return b, ctx.Err()
	case state.UIDValidity != m.UIDValidity:
		b.Error = fmt.Sprintf("UIDVALIDITY is %d and was %d: the folder was made anew, and its uids name other messages", state.UIDValidity, m.UIDValidity)
		return b, nil
	}
	out, err := newSaved(file)
	if err != nil {
		return nil, err
	}
	var fp mailproof.Fingerprint
	got := false
	unread, err := r.Bodies(ctx, []mailproof.Metadata{m.Metadata}, func(_ mailproof.UID, size int64, body io.Reader) error {
		b.head = firstOctets{most: maxFetched}
		if err := out.reset(); err != nil {
			return err
		}
		var err error
		fp, err = fingerprint.New().Compute(io.TeeReader(body, io.MultiWriter(&b.head, out)))
		if err == nil && fp.Octets != size {
			err = fmt.Errorf("%d of %d octets: %w", fp.Octets, size, io.ErrUnexpectedEOF)
		}
		got = err == nil
		return err
	})
	switch reason, failed := unread[m.MessageKey.UID]; {
	case out.err != nil:
		err = out.err
	case err == nil && failed:
		err = errors.New(reason)
	case err == nil && !got:
		err = errors.New("the server sent no body and no error")
	}
	if cerr := out.close(err == nil); cerr != nil {
		return nil, cerr
	}
	if err != nil {
		if out.err != nil || ctx.Err() != nil {
			return nil, err
		}
		b.Error = err.Error()
		return b, nil
	}
	b.Octets, b.File = fp.Octets, file
	if b.Recorded {
		for _, t := range mailproof.Tiers() {
			if fp.Hash(t) != m.Fingerprint.Hash(t) {
				b.Changed = append(b.Changed, t.String())
			}
		}
		b.AsRecorded = len(b.Changed) == 0
	}
	return b, nil
}

// firstOctets keeps the first octets of what is written to it.
type firstOctets struct {
	bytes.Buffer
	most int
	cut  bool
}

func (s *firstOctets) Write(p []byte) (int, error) {
	room := max(0, s.most-s.Len())
	if len(p) > room {
		s.cut = true
	}
	_, _ = s.Buffer.Write(p[:min(len(p), room)]) // a Buffer never fails
	return len(p), nil
}

// saved is the file that a message is written to; with an empty name none.
type saved struct {
	f   *os.File
	err error // of writing
}

func newSaved(name string) (*saved, error) {
	if name == "" {
		return &saved{}, nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	return &saved{f: f}, err
}

func (s *saved) Write(p []byte) (int, error) {
	if s.f == nil {
		return len(p), nil
	}
	n, err := s.f.Write(p)
	s.err = errors.Join(s.err, err)
	return n, err
}

// reset begins anew: a message whose connection was lost is read again.
func (s *saved) reset() error {
	if s.f == nil {
		return nil
	}
	_, err := s.f.Seek(0, io.SeekStart)
	return errors.Join(err, s.f.Truncate(0))
}

// close leaves a whole file behind, or none.
func (s *saved) close(whole bool) error {
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	if !whole || err != nil {
		err = errors.Join(err, os.Remove(s.f.Name()))
	}
	return err
}

// compare fills in the differences of header and texts.
func (f *Fetched) compare() {
	a, b := f.Source, f.Destination
	if a == nil || b == nil || a.Error != "" || b.Error != "" {
		return
	}
	f.Headers = unified("header", headerOf(a.head.Bytes()), headerOf(b.head.Bytes()))
	src, errA := textsOf(a.head.Bytes())
	dst, errB := textsOf(b.head.Bytes())
	switch {
	case errA != nil || errB != nil:
		f.Note = "the texts cannot be taken apart: " + errors.Join(errA, errB).Error()
	case a.head.cut || b.head.cut:
		f.Note = fmt.Sprintf("texts are compared within the first %d octets only", maxFetched)
	}
	for _, name := range union(src, dst) {
		if d := unified(name, src.text[name], dst.text[name]); d != "" {
			f.Texts = append(f.Texts, TextDiff{Part: name, Diff: d})
		}
	}
}

// headerOf is everything before the first blank line.
func headerOf(raw []byte) string {
	text := lf(raw[:min(len(raw), maxText)])
	header, _, _ := strings.Cut(text, "\n\n")
	return header + "\n"
}

func lf(b []byte) string { return strings.ReplaceAll(string(b), "\r\n", "\n") }

// unified is the difference of two texts, bounded.
func unified(name, a, b string) string {
	out := string(textdiff.Diff("source/"+name, []byte(a), "destination/"+name, []byte(b)))
	_, out, _ = strings.Cut(out, "\n") // "diff source destination"
	lines := strings.SplitAfterN(out, "\n", maxDiffLine+1)
	if len(lines) > maxDiffLine && lines[maxDiffLine] != "" {
		more := strings.Count(lines[maxDiffLine], "\n")
		out = strings.Join(lines[:maxDiffLine], "") + fmt.Sprintf("… %d more lines\n", more)
	}
	return out
}

// texts are the text parts of a message, "text/plain 1", "text/html 1", …
type texts struct {
	names []string
	text  map[string]string
	count map[string]int
}

func union(a, b texts) []string {
	out := append([]string{}, a.names...)
	for _, name := range b.names {
		if _, ok := a.text[name]; !ok {
			out = append(out, name)
		}
	}
	return out
}

func textsOf(raw []byte) (texts, error) {
	t := texts{text: map[string]string{}, count: map[string]int{}}
	err := t.add(bytes.NewReader(raw), 0)
	return t, err
}

func (t *texts) add(r io.Reader, depth int) error {
	entity, err := message.Read(r)
	if entity == nil {
		return err
	}
	return t.entity(entity, depth)
}

// entity walks a message. What cannot be decoded is left out: the ledger's
// comparison does not rest on this one.
func (t *texts) entity(e *message.Entity, depth int) error {
	const deepest, most = 20, 200
	if depth > deepest || len(t.names) >= most {
		return nil
	}
	media, _, err := e.Header.ContentType()
	media = strings.ToLower(media)
	switch {
	case err != nil && media == "":
		media = "text/plain"
	case media == "message/rfc822":
		return t.add(e.Body, depth+1)
	}
	if parts := e.MultipartReader(); parts != nil {
		for {
			p, err := parts.NextPart()
			if p == nil {
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}
			if err := t.entity(p, depth+1); err != nil {
				return err
			}
		}
	}
	if !strings.HasPrefix(media, "text/") {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(e.Body, maxText))
	if err != nil && len(body) == 0 {
		return nil // undecodable
	}
	t.count[media]++
	name := fmt.Sprintf("%s %d", media, t.count[media])
	t.names = append(t.names, name)
	text := lf(body)
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	t.text[name] = text
	return nil
}
