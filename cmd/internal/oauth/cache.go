package oauth

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cache keeps grants for the next process. Grants are named by section and key.
// Its errors hold no secret.
type Cache interface {
	// Lock keeps other processes from the grant until unlock is called.
	Lock(ctx context.Context, section, key string) (unlock func() error, err error)
	// Load returns the grant, or the zero Grant where there is none.
	Load(ctx context.Context, section, key string) (Grant, error)
	Store(ctx context.Context, section, key string, g Grant) error
	// Delete forgets a grant; found says that there was one.
	Delete(ctx context.Context, section, key string) (found bool, err error)
	// List returns what is kept, without the tokens.
	List(ctx context.Context) ([]Entry, error)
	// Place says where it is, for a person.
	Place() string
}

// Entry is a grant without its tokens.
type Entry struct {
	Section  string    `json:"section"`
	Key      string    `json:"account"`
	Expiry   time.Time `json:"expiry,omitzero"` // of the access token
	Obtained time.Time `json:"obtained,omitzero"`
	Refresh  bool      `json:"refresh"` // there is a refresh token
}

func entryOf(section, key string, g Grant) Entry {
	return Entry{section, key, g.Expiry, g.Obtained, g.Refresh != ""}
}

func sorted(list []Entry) []Entry {
	slices.SortFunc(list, func(a, b Entry) int {
		if c := strings.Compare(a.Section, b.Section); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	return list
}

// name is that of a grant within a cache.
type name struct{ section, key string }

// memory is a cache that ends with the process, for grants that can be had
// again at any time.
type memory struct {
	mu     sync.Mutex
	grants map[name]Grant
}

func newMemory() *memory { return &memory{grants: map[name]Grant{}} }

func (m *memory) Lock(context.Context, string, string) (func() error, error) {
	return func() error { return nil }, nil
}

func (m *memory) Load(_ context.Context, section, key string) (Grant, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.grants[name{section, key}], nil
}

func (m *memory) Store(_ context.Context, section, key string, g Grant) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.grants[name{section, key}] = g
	return nil
}

func (m *memory) Delete(_ context.Context, section, key string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, found := m.grants[name{section, key}]
	delete(m.grants, name{section, key})
	return found, nil
}

func (m *memory) List(context.Context) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Entry
	for n, g := range m.grants {
		out = append(out, entryOf(n.section, n.key, g))
	}
	return sorted(out), nil
}

func (m *memory) Place() string { return "memory" }
