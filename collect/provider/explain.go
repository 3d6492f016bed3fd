package provider

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// reply is a reply that is recognised.
type reply struct {
	ID       string   `toml:"id"`
	Provider []string `toml:"provider"`
	Kind     string   `toml:"kind"`
	Match    string   `toml:"match"`
	Means    string   `toml:"means"`
	Next     string   `toml:"next"`
	Menu     string   `toml:"menu"`
	Link     string   `toml:"link"`

	re *regexp.Regexp
}

func loadReplies(text string, known []*Provider) ([]*reply, error) {
	var file struct {
		Reply []*reply `toml:"reply"`
	}
	if err := decode(text, &file); err != nil {
		return nil, fmt.Errorf("replies: %w", err)
	}
	kinds := map[string]bool{"": true}
	for k := mailproof.ErrOther; k <= mailproof.ErrQuota; k++ {
		kinds[k.String()] = true
	}
	for _, r := range file.Reply {
		if r.ID == "" || r.Means == "" || r.Next == "" || !kinds[r.Kind] || r.Match == "" && r.Kind == "" {
			return nil, fmt.Errorf("replies: %q is not whole", r.ID)
		}
		for _, name := range r.Provider {
			if !slices.ContainsFunc(known, func(p *Provider) bool { return p.Name == name }) {
				return nil, fmt.Errorf("replies: %s: provider %q is not known", r.ID, name)
			}
		}
		var err error
		if r.re, err = regexp.Compile("(?i)" + r.Match); err != nil {
			return nil, fmt.Errorf("replies: %s: %w", r.ID, err)
		}
	}
	return file.Reply, nil
}

func (r *reply) fits(words, kind string, p *Provider) bool {
	if len(r.Provider) > 0 && (p == nil || !slices.Contains(r.Provider, p.Name)) {
		return false
	}
	return (r.Kind == "" || r.Kind == kind) && r.re.MatchString(words)
}

// Advice is what a refusal means and what to do about it.
type Advice struct {
	ID       string `json:"id"`                 // stable, for scripts: "sign-in.app-password"
	Provider string `json:"provider,omitempty"` // whose reply it was taken for
	Words    string `json:"words"`              // the server's own
	Means    string `json:"means"`
	Next     string `json:"next"`
	Menu     string `json:"menu,omitempty"` // where to click
	Link     string `json:"link,omitempty"`
}

// Remedy is what to do in one line: the next step, with menu or link.
func (a Advice) Remedy() string {
	switch {
	case a.Menu != "":
		return a.Next + " (" + a.Menu + ")"
	case a.Link != "":
		return a.Next + " (" + a.Link + ")"
	}
	return a.Next
}

// Explain says what a server's words mean. p is the server's provider, nil
// where it is not known; kind what the words were taken for. It is false for
// words that say nothing to us.
func Explain(words string, kind mailproof.ErrorKind, p *Provider) (Advice, bool) {
	if len(words) > 2000 {
		words = words[:2000]
	}
	for _, r := range replies {
		if r.fits(words, kind.String(), p) {
			return r.advice(words, p), true
		}
	}
	return Advice{Words: words}, false
}

func (r *reply) advice(words string, p *Provider) Advice {
	a := Advice{ID: r.ID, Words: words, Means: r.Means, Next: r.Next, Menu: r.Menu, Link: r.Link}
	if p != nil {
		a.Provider = p.Name
	}
	return a
}

// ExplainError is [Explain] for the server's error in err's chain. Without a
// provider the host that the error names is asked for one. It is false where
// err is of no server.
func ExplainError(err error, p *Provider) (Advice, bool) {
	var se *mailproof.ServerError
	if !errors.As(err, &se) {
		return Advice{}, false
	}
	if p == nil {
		if host, _, splitErr := net.SplitHostPort(se.Server); splitErr == nil {
			p = ByHost(host)
		}
	}
	words := se.Words()
	if se.Err != nil {
		words = strings.TrimSpace(words + " " + se.Err.Error())
	}
	return Explain(words, se.Kind, p)
}

// ExplainText is [Explain] for words that were kept as text, as a copy journal
// keeps a refusal.
func ExplainText(words string, p *Provider) (Advice, bool) {
	return Explain(words, mailproof.ErrRefused, p)
}

// ReplyIDs lists what [Advice.ID] may be, each once, in order.
func ReplyIDs() []string {
	var ids []string
	for _, r := range replies {
		if !slices.Contains(ids, r.ID) {
			ids = append(ids, r.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
