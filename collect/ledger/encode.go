package ledger

import (
	"database/sql"
	"encoding"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
)

// timeText writes a time as the ledger does; the zero time is empty.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func now() string { return timeText(time.Now()) }

// textTime is the scanner that reads what timeText wrote.
type textTime struct{ t *time.Time }

func (s textTime) Scan(v any) error {
	text, err := text(v)
	if err != nil || text == "" {
		*s.t = time.Time{}
		return err
	}
	*s.t, err = time.Parse(time.RFC3339Nano, text)
	return err
}

// enum is the scanner that reads the name of an enumeration's value; empty is
// its zero value.
type enum struct{ v encoding.TextUnmarshaler }

func (s enum) Scan(v any) error {
	text, err := text(v)
	if err != nil || text == "" {
		return err
	}
	return s.v.UnmarshalText([]byte(text))
}

// document is the scanner that reads JSON.
type document struct{ v any }

func (s document) Scan(v any) error {
	text, err := text(v)
	if err != nil || text == "" {
		return err
	}
	return json.Unmarshal([]byte(text), s.v)
}

func text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	case nil:
		return "", nil
	default:
		return "", fmt.Errorf("ledger: %T where text is expected", v)
	}
}

func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// sideText writes a side that may be none.
func sideText(s mailproof.Side) string {
	if s == 0 {
		return ""
	}
	return s.String()
}

// keyText writes a message key as a JSON array, and the zero key as nothing.
func keyText(k mailproof.MessageKey) (string, error) {
	if k == (mailproof.MessageKey{}) {
		return "", nil
	}
	return jsonText([]any{sideText(k.Side), k.Account, k.Mailbox, k.UIDValidity, k.UID})
}

// keyScan is the scanner that reads what keyText wrote.
type keyScan struct{ k *mailproof.MessageKey }

func (s keyScan) Scan(v any) error {
	*s.k = mailproof.MessageKey{}
	var side string
	if err := (document{&[]any{&side, &s.k.Account, &s.k.Mailbox, &s.k.UIDValidity, &s.k.UID}}).Scan(v); err != nil || side == "" {
		return err
	}
	var err error
	s.k.Side, err = mailproof.ParseSide(side)
	return err
}

// dateColumns writes an INTERNALDATE: the instant, and the zone it was given
// in. A year that no RFC can write is no date; a zone of more than a day is kept
// as UTC.
func dateColumns(t time.Time) (seconds any, zone int64) {
	if t.IsZero() || t.Year() < -9999 || t.Year() > 9999 {
		return nil, 0
	}
	_, offset := t.Zone()
	if offset < -86400 || offset > 86400 {
		offset = 0
	}
	return t.Unix(), int64(offset)
}

func dateOf(seconds sql.NullInt64, zone int64) time.Time {
	if !seconds.Valid {
		return time.Time{}
	}
	return time.Unix(seconds.Int64, 0).In(location(zone))
}

// zones keeps one location for each offset: a mailbox has a million dates and
// a handful of offsets.
var zones sync.Map

func location(offset int64) *time.Location {
	if offset == 0 {
		return time.UTC
	}
	if l, ok := zones.Load(offset); ok {
		return l.(*time.Location)
	}
	l, _ := zones.LoadOrStore(offset, time.FixedZone("", int(offset)))
	return l.(*time.Location)
}

const hashSize = len(mailproof.Hash{})

// hashColumn writes the hashes of a message that was read; null otherwise.
func hashColumn(m *mailproof.Message) any {
	if m.State != mailproof.Read {
		return nil
	}
	b := make([]byte, 0, mailproof.NumTiers*hashSize)
	for i := range m.Fingerprint.Hashes {
		b = append(b, m.Fingerprint.Hashes[i][:]...)
	}
	return b
}

func hashesOf(b []byte, into *[mailproof.NumTiers]mailproof.Hash) error {
	if len(b) != mailproof.NumTiers*hashSize {
		return fmt.Errorf("%w: %d octets of hashes", ErrDamaged, len(b))
	}
	for i := range into {
		copy(into[i][:], b[i*hashSize:])
	}
	return nil
}

// detailColumn writes the description of a message that was read; null
// otherwise.
func detailColumn(m *mailproof.Message) (any, error) {
	if m.State != mailproof.Read {
		return nil, nil
	}
	return m.Fingerprint.Detail.MarshalBinary()
}

// reasonColumn writes why a message was not read; null otherwise.
func reasonColumn(m *mailproof.Message) any {
	if m.Reason == "" || m.State == mailproof.Read {
		return nil
	}
	return m.Reason
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
