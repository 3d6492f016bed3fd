package evidence

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"

	"golang.org/x/text/unicode/norm"
)

// Profile says how much a bundle tells of the people whose mail it is about.
type Profile uint8

// The profiles. There is no zero profile: how much leaves the house is decided
// in so many words.
const (
	// Full holds every value in plain text.
	Full Profile = iota + 1
	// Redacted holds one line for every message, with pseudonyms for whatever
	// names a person, a folder or a server.
	Redacted
	// Summary holds the signed roots over the lines of Redacted and no line.
	Summary
)

var profileNames = map[Profile]string{Full: "full", Redacted: "redacted", Summary: "summary"}

// String returns the profile's name, as --privacy and bag-info.txt write it.
func (p Profile) String() string { return profileNames[p] }

// ParseProfile is the inverse of [Profile.String].
func ParseProfile(name string) (Profile, error) {
	for p, n := range profileNames {
		if n == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("privacy profile %q is not known: write full, redacted or summary", name)
}

// HasLines reports whether a bundle of this profile holds the lines of the
// three trees.
func (p Profile) HasLines() bool { return p != Summary }

// The fields that a pseudonym may stand for. The field is part of what is
// hashed: an account and a folder of one name have nothing in common.
const (
	FieldAccount = "account"
	FieldFolder  = "folder"
	FieldSubject = "subject"
	FieldFlag    = "flag"
	FieldDomain  = "domain"
	FieldPerson  = "person"
	FieldT0      = "t0" // the hash of a message's octets, in hexadecimal
)

// PseudonymKeySize is the size of the key of an engagement's pseudonyms in
// octets.
const PseudonymKeySize = 32

// NewPseudonymKey makes the key of an engagement's pseudonyms.
func NewPseudonymKey() ([]byte, error) {
	key := make([]byte, PseudonymKeySize)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("key of the pseudonyms: %w", err)
	}
	return key, nil
}

// Pseudonyms replaces values by keyed hashes: HMAC-SHA-256 under a key that
// never enters a bundle, over field‖0x00‖NFC(value), in lower-case hexadecimal.
// A plain hash of an address can be guessed back in minutes. A keyed one cannot
// without the key; it still tells which lines belong to one person, and remains
// personal data. It is not safe for concurrent use.
type Pseudonyms struct {
	mac   hash.Hash
	known map[[2]string]string
	sum   [sha256.Size]byte
}

// maxKnown bounds how many pseudonyms are remembered. Those of accounts and
// folders come again with every message.
const maxKnown = 4096

// NewPseudonyms returns the pseudonyms under a key.
func NewPseudonyms(key []byte) (*Pseudonyms, error) {
	if len(key) != PseudonymKeySize {
		return nil, fmt.Errorf("the key of the pseudonyms has %d octets, want %d", len(key), PseudonymKeySize)
	}
	return &Pseudonyms{mac: hmac.New(sha256.New, key), known: map[[2]string]string{}}, nil
}

// Of returns the pseudonym of a value. Nothing has no pseudonym: an empty value
// stays empty.
func (p *Pseudonyms) Of(field, value string) string {
	if value == "" {
		return ""
	}
	at := [2]string{field, value}
	if s, ok := p.known[at]; ok {
		return s
	}
	s := p.hmac(field, norm.NFC.String(value))
	if field == FieldAccount || field == FieldFolder || field == FieldFlag {
		if len(p.known) >= maxKnown {
			clear(p.known)
		}
		p.known[at] = s
	}
	return s
}

// Salt makes a leaf unguessable for who sees its hash alone, as the neighbour
// of a proven one: HMAC over "salt"‖0x00‖index, where the index is the tree's
// name, a slash and the decimal number of the leaf from 0.
func (p *Pseudonyms) Salt(tree string, index int64) string {
	return p.hmac("salt", tree+"/"+strconv.FormatInt(index, 10))
}

func (p *Pseudonyms) hmac(field, value string) string {
	p.mac.Reset()
	p.mac.Write([]byte(field))
	p.mac.Write([]byte{0})
	p.mac.Write([]byte(value))
	return hex.EncodeToString(p.mac.Sum(p.sum[:0]))
}
