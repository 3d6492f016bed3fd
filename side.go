package mailproof

import (
	"encoding"
	"fmt"
)

// Side says which of the two servers of a migration is meant.
type Side uint8

// The two sides. The zero Side is neither of them and is never valid.
const (
	Source      Side = 1 // the server that the mail leaves; never written to
	Destination Side = 2 // the server that the mail moves to
)

var sideNames = map[Side]string{Source: "source", Destination: "destination"}

// String returns "source" or "destination", the words of the command line,
// the JSON and the ledger.
func (s Side) String() string {
	if n, ok := sideNames[s]; ok {
		return n
	}
	return fmt.Sprintf("Side(%d)", uint8(s))
}

// Other returns the opposite side.
func (s Side) Other() Side {
	if s == Source {
		return Destination
	}
	return Source
}

// ParseSide is the inverse of [Side.String].
func ParseSide(name string) (Side, error) { return parseName(sideNames, "side", name) }

// MarshalText implements [encoding.TextMarshaler].
func (s Side) MarshalText() ([]byte, error) { return marshalName(sideNames, "side", s) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Side) UnmarshalText(text []byte) (err error) { *s, err = ParseSide(string(text)); return err }

var (
	_ encoding.TextMarshaler   = Side(0)
	_ encoding.TextUnmarshaler = (*Side)(nil)
)

// parseName and marshalName serve every enumeration of the package, so that a
// name is written once and reads back as the same value.
func parseName[T comparable](names map[T]string, kind, name string) (T, error) {
	for v, n := range names {
		if n == name {
			return v, nil
		}
	}
	var zero T
	return zero, fmt.Errorf("mailproof: %q is no %s", name, kind)
}

func marshalName[T comparable](names map[T]string, kind string, v T) ([]byte, error) {
	n, ok := names[v]
	if !ok {
		return nil, fmt.Errorf("mailproof: %v is no %s", v, kind)
	}
	return []byte(n), nil
}
