package engagement

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/mailproof/mailproof/report/evidence"
)

// revealSchema names the form of the reveal map: one JSON object a line, the
// key first.
const revealSchema = "mailproof/reveal/1"

// revealHead is the first line of a reveal map.
type revealHead struct {
	Schema  string   `json:"schema"`
	Note    string   `json:"note"`
	Key     string   `json:"key"`     // base64
	Bundles []string `json:"bundles"` // that were made with it
}

const revealNote = "who has this file can tell whose mail a redacted bundle is about; it stays with who made the bundle"

// revealed is every other line: what a pseudonym stands for.
type revealed struct {
	Field     string `json:"field"`
	Value     string `json:"value"`
	Pseudonym string `json:"pseudonym"`
}

// revealMap is the key of an engagement's pseudonyms, and what they stand for:
// accounts, folders, domains and persons. Subjects are not listed, as there is
// one for each message; the key tells whether a given one is meant. A nil map
// takes nothing.
type revealMap struct {
	path    string
	key     []byte
	bundles []string

	mu     sync.Mutex // both sides of a bundle are read at the same time
	values map[[2]string]bool
}

// ErrReveal says that a reveal map cannot be used.
var ErrReveal = errors.New("no reveal map")

// openReveal reads the reveal map, or begins a new one with a new key where
// there is none.
func openReveal(path string) (*revealMap, error) {
	m, err := readReveal(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	key, err := evidence.NewPseudonymKey()
	if err != nil {
		return nil, err
	}
	return &revealMap{path: path, key: key, values: map[[2]string]bool{}}, nil
}

func readReveal(path string) (*revealMap, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReveal, err)
	}
	m := &revealMap{path: path, values: map[[2]string]bool{}}
	in := bufio.NewScanner(bytes.NewReader(data))
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		if n == 1 {
			var head revealHead
			if err := json.Unmarshal(in.Bytes(), &head); err != nil || head.Schema != revealSchema {
				return nil, fmt.Errorf("%w: %s:1: want an object with the schema %s", ErrReveal, path, revealSchema)
			}
			if m.key, err = base64.StdEncoding.DecodeString(head.Key); err != nil || len(m.key) != evidence.PseudonymKeySize {
				return nil, fmt.Errorf("%w: %s:1: the key has not %d octets", ErrReveal, path, evidence.PseudonymKeySize)
			}
			m.bundles = head.Bundles
			continue
		}
		var r revealed
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%w: %s:%d: %w", ErrReveal, path, n, err)
		}
		m.values[[2]string{r.Field, r.Value}] = true
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrReveal, path, err)
	}
	if len(m.key) == 0 {
		return nil, fmt.Errorf("%w: %s is empty", ErrReveal, path)
	}
	return m, nil
}

func (m *revealMap) add(field, value string) {
	if m != nil && value != "" {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.values[[2]string{field, value}] = true
	}
}

// save writes the map, for its owner's eyes only.
func (m *revealMap) save(p *evidence.Pseudonyms, bundle string) error {
	head := revealHead{revealSchema, revealNote, base64.StdEncoding.EncodeToString(m.key), append(slices.Clone(m.bundles), bundle)}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(head); err != nil {
		return fmt.Errorf("reveal map: %w", err)
	}
	keys := make([][2]string, 0, len(m.values))
	for k := range m.values {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	for _, k := range keys {
		if err := enc.Encode(revealed{k[0], k[1], p.Of(k[0], k[1])}); err != nil {
			return fmt.Errorf("reveal map: %w", err)
		}
	}
	if err := replaceFile(m.path, out.Bytes(), 0o600); err != nil {
		return fmt.Errorf("reveal map: %w", err)
	}
	return nil
}

// Reveal is a reveal map for reading bundles with.
type Reveal struct {
	names map[[2]string]string // field and pseudonym → value
	*evidence.Pseudonyms
}

// ReadReveal reads a reveal map.
func ReadReveal(path string) (*Reveal, error) {
	m, err := readReveal(path)
	if err != nil {
		return nil, err
	}
	p, err := evidence.NewPseudonyms(m.key)
	if err != nil {
		return nil, err
	}
	r := &Reveal{map[[2]string]string{}, p}
	for k := range m.values {
		// By the key and not by what the file says: the map cannot lie.
		r.names[[2]string{k[0], p.Of(k[0], k[1])}] = k[1]
	}
	return r, nil
}

// Name is what a pseudonym stands for; the pseudonym itself where that is not
// known.
func (r *Reveal) Name(field, pseudonym string) string {
	if r == nil {
		return pseudonym
	}
	if name, ok := r.names[[2]string{field, pseudonym}]; ok {
		return name
	}
	return pseudonym
}
