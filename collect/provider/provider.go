package provider

import (
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/mailproof/mailproof"
)

// Auto is the name by which a provider is to be recognised from what its
// server says; None that by which nothing is to be concluded.
const (
	Auto = "auto"
	None = "none"
)

// Provider is what is known of one provider or server program.
type Provider struct {
	Name         string   `toml:"name" json:"name"`
	Title        string   `toml:"title" json:"title"`
	Hosts        []string `toml:"hosts" json:"hosts,omitempty"`               // patterns as of path.Match, in lower case
	Greeting     []string `toml:"greeting" json:"greeting,omitempty"`         // parts of the greeting, in lower case
	ID           []string `toml:"id" json:"id,omitempty"`                     // parts of the reply to ID, in lower case
	Capabilities []string `toml:"capabilities" json:"capabilities,omitempty"` // that no other server has

	Host     string   `toml:"host" json:"host,omitempty"` // empty: of every installation its own
	Port     int      `toml:"port" json:"port"`
	Security string   `toml:"security" json:"security"` // tls or starttls
	Auth     []string `toml:"auth" json:"auth"`         // the best first

	Separator    string   `toml:"separator" json:"separator"`
	Prefix       string   `toml:"prefix" json:"prefix,omitempty"`               // personal namespace
	SourcePrefix []string `toml:"source_prefix" json:"source_prefix,omitempty"` // containers whose special folders lose it on the way elsewhere

	Special []Special  `toml:"special" json:"special,omitempty"`
	Omit    []Omission `toml:"omit" json:"omit,omitempty"`
	Limits  Limits     `toml:"limits" json:"limits"`

	RefusedCharacters string   `toml:"refused_characters" json:"refused_characters,omitempty"` // in folder names
	Reserved          []string `toml:"reserved" json:"reserved,omitempty"`                     // folder names of the top level that cannot be created
	LevelOctets       int      `toml:"level_octets" json:"level_octets,omitempty"`             // longest level of a folder name; 0: not known
	NameOctets        int      `toml:"name_octets" json:"name_octets,omitempty"`               // longest folder name; 0: not known
	Refuses           []string `toml:"refuses" json:"refuses,omitempty"`                       // traits of messages that APPEND refuses, see Trait
	Changes           []string `toml:"changes" json:"changes,omitempty"`                       // traits of messages that are stored otherwise
	Lacks             []string `toml:"lacks" json:"lacks,omitempty"`                           // capabilities that one would miss
	Rewrites          []string `toml:"rewrites" json:"rewrites,omitempty"`
	Notes             []string `toml:"notes" json:"notes,omitempty"`
	Like              string   `toml:"like" json:"-"` // another preset that gives Special, Omit and Rewrites
	Sources           []Source `toml:"source" json:"sources"`
}

// Special is how a special folder is called where no special use is announced.
type Special struct {
	Use   mailproof.SpecialUse `toml:"use" json:"use"`
	Names []string             `toml:"names" json:"names"` // paths below the personal namespace, levels parted by "/"
}

// Omission is folders that stay behind.
type Omission struct {
	Use   mailproof.SpecialUse `toml:"use" json:"use,omitempty"`
	Names []string             `toml:"names" json:"names,omitempty"` // as of Special; what lies below them stays behind, too
	Why   string               `toml:"why" json:"why"`
	// Verified folders are left out only where each of their messages was seen
	// to lie in a folder that is not left out.
	Verified bool `toml:"verified" json:"verified,omitempty"`
}

// Limits are what a provider states in public; 0 is nothing stated.
type Limits struct {
	Connections      int   `toml:"connections" json:"connections,omitempty"`               // of one account at once
	ConnectionsPerIP int   `toml:"connections_per_ip" json:"connections_per_ip,omitempty"` // of all accounts at once, from one address
	Message          int64 `toml:"message" json:"message,omitempty"`                       // octets of one message
	DownloadPerDay   int64 `toml:"download_per_day" json:"download_per_day,omitempty"`     // octets, of one account
	UploadPerDay     int64 `toml:"upload_per_day" json:"upload_per_day,omitempty"`
}

// Source is where a preset comes from.
type Source struct {
	URL     string    `toml:"url" json:"url"`
	Checked time.Time `toml:"checked" json:"checked,omitzero"` // zero: known of old, and not looked at for this preset
	About   string    `toml:"about" json:"about"`
}

//go:embed presets.toml
var presetsText string

//go:embed replies.toml
var repliesText string

var presets, replies = mustLoad(presetsText, repliesText)

func mustLoad(presetsText, repliesText string) ([]*Provider, []*reply) {
	ps, err := loadPresets(presetsText)
	if err != nil {
		panic(err) // our own embedded files: a mistake of the build
	}
	rs, err := loadReplies(repliesText, ps)
	if err != nil {
		panic(err)
	}
	return ps, rs
}

func loadPresets(text string) ([]*Provider, error) {
	var file struct {
		Provider []*Provider `toml:"provider"`
	}
	if err := decode(text, &file); err != nil {
		return nil, fmt.Errorf("presets: %w", err)
	}
	byName := map[string]*Provider{}
	for _, p := range file.Provider {
		if p.Name == "" || byName[p.Name] != nil || len(p.Sources) == 0 {
			return nil, fmt.Errorf("presets: %q has no name, is there twice, or has no source", p.Name)
		}
		for _, h := range p.Hosts {
			if _, err := path.Match(h, ""); err != nil {
				return nil, fmt.Errorf("presets: %s: host %q: %w", p.Name, h, err)
			}
		}
		for _, t := range append(slices.Clone(p.Refuses), p.Changes...) {
			if _, known := traitMeanings[Trait(t)]; !known {
				return nil, fmt.Errorf("presets: %s: trait %q is not known", p.Name, t)
			}
		}
		if p.Like != "" {
			other := byName[p.Like]
			if other == nil {
				return nil, fmt.Errorf("presets: %s is like %q, which is not above it", p.Name, p.Like)
			}
			p.Special, p.Omit, p.Rewrites = other.Special, other.Omit, other.Rewrites
		}
		byName[p.Name] = p
	}
	return file.Provider, nil
}

func decode(text string, into any) error {
	meta, err := toml.Decode(text, into)
	if err != nil {
		return err
	}
	if left := meta.Undecoded(); len(left) > 0 {
		return fmt.Errorf("key %s is not known", left[0])
	}
	return nil
}

// All returns every preset, in the order in which they are tried. They are
// shared: change nothing.
func All() []*Provider { return slices.Clone(presets) }

// Names returns the names of all presets.
func Names() []string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.Name
	}
	return names
}

// aliases are other names that people try.
var aliases = map[string]string{
	"google": "gmail", "googlemail": "gmail", "workspace": "gmail", "gsuite": "gmail", "google-workspace": "gmail",
	"m365": "microsoft365", "o365": "microsoft365", "office365": "microsoft365", "exchange-online": "microsoft365", "outlook": "microsoft365", "microsoft": "microsoft365",
	"aol": "yahoo", "apple": "icloud", "me": "icloud",
}

// Lookup finds a preset by its name.
func Lookup(name string) (*Provider, bool) {
	name = strings.ToLower(strings.TrimSpace(name))
	if other, ok := aliases[name]; ok {
		name = other
	}
	i := slices.IndexFunc(presets, func(p *Provider) bool { return p.Name == name })
	if i < 0 {
		return nil, false
	}
	return presets[i], true
}

// ByHost recognises a provider by the name of its server alone; nil where the
// name tells nothing.
func ByHost(host string) *Provider {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, p := range presets {
		for _, pattern := range p.Hosts {
			if ok, _ := path.Match(pattern, host); ok {
				return p
			}
		}
	}
	return nil
}

// Recognise finds the provider of a server by what it said at sign-in: its
// host, then its own capabilities, its greeting and its reply to ID. why says
// by what; p is nil where nothing is known.
func Recognise(info mailproof.ServerInfo) (p *Provider, why string) {
	host := info.Address
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	if p := ByHost(strings.Trim(host, "[]")); p != nil {
		return p, "host " + host
	}
	for _, p := range presets {
		for _, c := range p.Capabilities {
			if slices.ContainsFunc(info.Capabilities, func(have string) bool { return strings.EqualFold(have, c) }) {
				return p, "capability " + c
			}
		}
	}
	id, greeting := strings.ToLower(info.ID), strings.ToLower(info.Greeting)
	for _, p := range presets {
		for _, part := range p.ID {
			if id != "" && strings.Contains(id, part) {
				return p, "ID"
			}
		}
		for _, part := range p.Greeting {
			if strings.Contains(greeting, part) {
				return p, "greeting"
			}
		}
	}
	return nil, ""
}

// Choose returns the provider that a setting names: a preset by its name, none
// for [None], and for [Auto] or nothing the one that the server is recognised
// as.
func Choose(setting string, info mailproof.ServerInfo) *Provider {
	switch setting {
	case None:
		return nil
	case "", Auto:
		p, _ := Recognise(info)
		return p
	}
	p, _ := Lookup(setting)
	return p
}

// CheckName reports whether a setting names a preset, auto or none.
func CheckName(name string) error {
	if _, ok := Lookup(name); ok || name == "" || name == Auto || name == None {
		return nil
	}
	return fmt.Errorf("provider %q is not known: there are auto, none, %s", name, strings.Join(Names(), ", "))
}

// MessageLimit is the greatest message that a server takes, in octets: what it
// says itself, else what is known of its provider; 0 where nothing is.
func MessageLimit(info mailproof.ServerInfo, p *Provider) int64 {
	if info.AppendLimit > 0 || p == nil {
		return info.AppendLimit
	}
	return p.Limits.Message
}

// tight is the greatest message that some mail is likely to exceed.
const tight = 64 << 20

// Metered reports whether a provider's limits are such that a migration is to
// be planned around them.
func (p *Provider) Metered(info mailproof.ServerInfo) bool {
	limit := MessageLimit(info, p)
	return p.Limits.DownloadPerDay > 0 || p.Limits.UploadPerDay > 0 || limit > 0 && limit < tight
}
