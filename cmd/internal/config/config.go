// Package config reads an engagement's configuration: mailproof.toml and the
// list of accounts beside it, in mailproof's own form or one of three that
// others use. It may not touch the network, the ledger or the terminal, and
// resolves no credential: it looks only at whether a reference can lead
// anywhere.
//
// What is wrong with a file is reported all at once, with line and column, and
// then nothing of the file is used. No error repeats a cell of a list or a
// value of the configuration: it may be a password in the wrong place.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/mailproof/mailproof"
)

// Names of the two files that init writes.
const (
	FileName = "mailproof.toml"
	ListName = "mailboxes.csv"
)

// Config is what mailproof.toml says. Its zero value, or [Default], is what
// holds without one.
type Config struct {
	Path string `toml:"-"` // of the file; empty where there is none
	Dir  string `toml:"-"` // relative paths in the file start here

	Accounts    string     `toml:"accounts"` // list of accounts, as written
	Engagement  Engagement `toml:"engagement"`
	Source      Server     `toml:"source"`
	Destination Server     `toml:"destination"`
	Copy        Copy       `toml:"copy"`
	DNS         DNS        `toml:"dns"`
	Limits      Limits     `toml:"limits"`
	Rules       Rules      `toml:"rules"`
	Report      Report     `toml:"report"`
	// OAuth are the authorisation servers, by the NAME of oauth:NAME.
	OAuth map[string]OAuth `toml:"oauth"`
}

// Engagement is what the project is called and whose it is.
type Engagement struct {
	ID       string    `toml:"id"`       // short, of letters, digits, dots, dashes and underscores
	Name     string    `toml:"name"`     //
	Customer string    `toml:"customer"` // organisation
	Provider string    `toml:"provider"` // organisation
	Reviewer string    `toml:"reviewer"` // organisation that checks the proof
	Purpose  string    `toml:"purpose"`  // one sentence for the report
	Domains  []string  `toml:"domains"`  // mail domains that move
	CutOver  time.Time `toml:"cutover"`  // planned moment of the MX change; zero: not fixed
}

// Copy rules which folders go where, and what the destination may rewrite.
type Copy struct {
	Map     map[string]string `toml:"map"`     // source folder to destination folder
	Exclude []string          `toml:"exclude"` // source folders that stay behind
	Aliases string            `toml:"aliases"` // list of rewritten addresses, a file for [ReadAliases]
}

// DNS is what the DNS audit is held against.
type DNS struct {
	Domains    []string          `toml:"domains"`     // empty: the engagement's
	Profile    string            `toml:"profile"`     // of the destination: a name, or a file that ends in .toml
	OldProfile string            `toml:"old_profile"` // of the source
	Phase      mailproof.Phase   `toml:"phase"`       //
	Resolvers  []string          `toml:"resolvers"`   // IP[:PORT], asked for propagation
	Servers    map[string]string `toml:"servers"`     // name of a name server to IP:PORT, where it differs
}

// Limits bounds what is asked of the servers. Zero values mean the default of
// the command.
type Limits struct {
	Accounts       int           `toml:"accounts"`          // in flight at once
	Connections    int           `toml:"connections"`       // to one server at once
	ConnectTimeout time.Duration `toml:"connect_timeout"`   // until a server has answered
	StallTimeout   time.Duration `toml:"stall_timeout"`     // without an octet from a server
	MaxBytesPerDay string        `toml:"max_bytes_per_day"` // of each account, side and direction; "none": also where the provider has a limit
	Rate           string        `toml:"rate"`              // octets a second on each side
	RateMessages   string        `toml:"rate_messages"`     // messages a second on each side
}

// Report is what the report says beside the figures.
type Report struct {
	IntendedUsers string  `toml:"intended_users"`
	Customers     []Party `toml:"customers"` // who sign for the customer
	Providers     []Party `toml:"providers"`
	Reviewers     []Party `toml:"reviewers"`
	Logo          string  `toml:"logo"`   // PNG or JPEG, a file beside this one
	Accent        string  `toml:"accent"` // colour of headings and rules, #rrggbb
	// Language is the tag of the fixed texts, one of report.Languages; empty: English.
	Language string   `toml:"language"`
	PDFFonts []string `toml:"pdf_fonts"` // TrueType, files beside this one
}

// Party is one person who signs.
type Party struct {
	Organisation string `toml:"organisation"` // empty: that of [engagement]
	Name         string `toml:"name"`
	Role         string `toml:"role"`
}

// Default is the configuration where there is no file.
func Default() *Config { return &Config{Dir: "."} }

// Load reads DIR/mailproof.toml. Where there is none the error wraps
// [fs.ErrNotExist]. What the file says wrong is an [*Error].
func Load(dir string) (*Config, error) {
	path := filepath.Join(dir, FileName)
	data, err := readFile(path, 1<<20)
	if err != nil {
		return nil, err
	}
	return parse(path, dir, data)
}

// LoadOrDefault is Load, with [Default] where there is no file.
func LoadOrDefault(dir string) (*Config, error) {
	c, err := Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		c = Default()
		c.Dir = dir
		return c, nil
	}
	return c, err
}

func parse(path, dir string, data []byte) (*Config, error) {
	ps := &problems{file: path}
	text, err := decode(data)
	if err != nil {
		ps.addError(0, "", err)
		return nil, ps.err(0)
	}
	c := &Config{Path: path, Dir: dir}
	meta, err := toml.Decode(text, c)
	if err != nil {
		line, reason := tomlReason(err)
		ps.add(line, "", reason)
		return nil, ps.err(0)
	}
	for _, k := range meta.Undecoded() {
		if len(k) > 1 && slices.ContainsFunc(meta.Undecoded(), func(up toml.Key) bool { return len(up) < len(k) && slices.Equal(up, k[:len(up)]) }) {
			continue // its table was reported
		}
		ps.add(keyLine(text, k), key(k.String()), "not known"+didYouMean(k[len(k)-1], knownKeys(k[:len(k)-1])))
	}
	c.validate(func(name, reason string, hints ...string) {
		ps.add(keyLine(text, strings.Split(name, ".")), key(name), reason, hints...)
	})
	if err := ps.err(0); err != nil {
		return nil, err
	}
	if c.Copy.Aliases != "" {
		c.Copy.Aliases = inDir(dir, c.Copy.Aliases)
	}
	for _, profile := range []*string{&c.DNS.Profile, &c.DNS.OldProfile} {
		// A profile is a name or a file, and only a file lies in a place.
		if strings.HasSuffix(*profile, ".toml") {
			*profile = locate(dir, *profile)
		}
	}
	return c, nil
}

// tomlReason takes line and reason out of the library's error, without the
// context that it prints and without what it quotes.
func tomlReason(err error) (int, string) {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return 0, quotedPattern.ReplaceAllString(strings.TrimPrefix(err.Error(), "toml: "), "…")
	}
	reason := quotedPattern.ReplaceAllString(pe.Message, "…")
	for _, q := range []string{"'", "`"} {
		if i := strings.Index(reason, q); i >= 0 {
			reason = strings.TrimSpace(reason[:i]) + " …"
		}
	}
	if pe.LastKey != "" {
		reason += fmt.Sprintf(" (after key %q)", pe.LastKey)
	}
	return pe.Position.Line, reason
}

// validate reports whatever is wrong with the values.
func (c *Config) validate(bad func(key, reason string, hints ...string)) {
	if c.Engagement.ID != "" && (len(c.Engagement.ID) > 64 || !isIdentifier(c.Engagement.ID)) {
		bad("engagement.id", "holds more than 64 characters, or others than letters, digits, dots, dashes and underscores")
	}
	for _, side := range []struct {
		name   string
		server Server
	}{{"source", c.Source}, {"destination", c.Destination}} {
		report := func(err error) {
			var ke *keyError
			if errors.As(err, &ke) {
				bad(side.name+"."+ke.key, ke.reason, ke.hints...)
			}
		}
		_, _, err := side.server.template(c.Dir)
		report(err)
		_, err = side.server.reference(c.Dir)
		report(err)
	}
	for _, d := range c.Engagement.Domains {
		if !isDomain(d) {
			bad("engagement.domains", fmt.Sprintf("%q is no domain", d))
		}
	}
	for old, name := range c.Copy.Map {
		if old == "" || name == "" {
			bad("copy.map", "has an empty folder name")
		}
	}
	if slices.Contains(c.Copy.Exclude, "") {
		bad("copy.exclude", "has an empty folder name")
	}
	c.DNS.validate(bad)
	c.Limits.validate(bad)
	c.Limits.validatePace(bad)
	c.Rules.validate(bad)
	c.Report.validate(c.Dir, bad)
	c.validateOAuth(bad)
}

func (d DNS) validate(bad func(key, reason string, hints ...string)) {
	for _, domain := range d.Domains {
		if !isDomain(domain) {
			bad("dns.domains", fmt.Sprintf("%q is no domain", domain))
		}
	}
	for _, r := range d.Resolvers {
		if _, err := ResolverAddress(r); err != nil {
			bad("dns.resolvers", err.Error())
		}
	}
	for name, addr := range d.Servers {
		if name != "." && !isDomain(name) { // "." is the root
			bad("dns.servers", fmt.Sprintf("%q is no name of a server", name))
		}
		if _, err := ResolverAddress(addr); err != nil {
			bad("dns.servers", err.Error())
		}
	}
}

func (l Limits) validate(bad func(key, reason string, hints ...string)) {
	for _, n := range []struct {
		key   string
		value int
	}{{"accounts", l.Accounts}, {"connections", l.Connections}} {
		if n.value < 0 {
			bad("limits."+n.key, "not a number from 1")
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"connect_timeout", l.ConnectTimeout}, {"stall_timeout", l.StallTimeout}} {
		if d.value < 0 || d.value != 0 && d.value < 100*time.Millisecond {
			bad("limits."+d.key, `too short, or without its unit: write "30s" or "2m"`)
		}
	}
}

// ResolverAddress reads the address of a name server, IP or IP:PORT, and
// returns it with its port, 53 where there is none.
func ResolverAddress(s string) (string, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil && ap.Port() != 0 {
		return ap.String(), nil
	}
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return net.JoinHostPort(a.String(), "53"), nil
	}
	return "", fmt.Errorf("%q is no address: write IP or IP:PORT, as 9.9.9.9 or [2620:fe::fe]:53", s)
}

// Domains returns the domains to audit: those of [dns], or else those of the
// engagement.
func (c *Config) Domains() []string {
	if len(c.DNS.Domains) > 0 {
		return c.DNS.Domains
	}
	return c.Engagement.Domains
}

// ListPath returns the path of the list of accounts: the one that the file
// names, or mailboxes.csv beside it if that is there. It is empty where there
// is none.
func (c *Config) ListPath() string {
	if c.Accounts != "" {
		return inDir(c.Dir, c.Accounts)
	}
	path := inDir(c.Dir, ListName)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	return ""
}

func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// Defaults returns what a list of accounts is completed with.
func (c *Config) Defaults(sides ...mailproof.Side) Defaults {
	return Defaults{Source: c.Source, Destination: c.Destination, Dir: c.Dir, Sides: sides, OAuth: c.OAuth}
}

// Customers, Providers and Reviewers return who signs, with the organisation
// of [engagement] where a party names none. Where only an organisation is
// known it is returned without a person.
func (c *Config) Customers() []Party { return parties(c.Report.Customers, c.Engagement.Customer) }

// Providers: see [Config.Customers].
func (c *Config) Providers() []Party { return parties(c.Report.Providers, c.Engagement.Provider) }

// Reviewers: see [Config.Customers].
func (c *Config) Reviewers() []Party { return parties(c.Report.Reviewers, c.Engagement.Reviewer) }

func parties(list []Party, organisation string) []Party {
	if len(list) == 0 && organisation != "" {
		return []Party{{Organisation: organisation}}
	}
	out := slices.Clone(list)
	for i := range out {
		if out[i].Organisation == "" {
			out[i].Organisation = organisation
		}
	}
	return out
}

func isIdentifier(s string) bool {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return s != "" && s[0] != '.'
}

// isDomain accepts host names, internationalised ones included, and refuses
// what people paste in their place: addresses, URLs, lists.
func isDomain(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 || strings.ContainsAny(s, "@/:,; \t\r\n*") {
		return false
	}
	return !slices.Contains(strings.Split(s, "."), "")
}
