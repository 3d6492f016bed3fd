package dnsaudit

import (
	"bytes"
	_ "embed" // the built-in profiles
	"errors"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/miekg/dns"
	"golang.org/x/net/idna"

	"github.com/mailproof/mailproof/dnsaudit/spf"
)

//go:embed profiles.toml
var builtinTOML []byte

// maxProfile bounds a profile file.
const maxProfile = 1 << 20

// Profile is what a provider asks its customers to publish. The zero Profile
// expects nothing.
type Profile struct {
	ID           string       `toml:"id"`
	Name         string       `toml:"name"`
	Extends      string       `toml:"extends"` // id of the profile whose values stand where this one has none
	Filter       bool         `toml:"filter"`  // a filtering service in front of a mailbox provider
	MX           [][]string   `toml:"mx"`      // alternatives; each the full set of "HOST [PREFERENCE]"
	SPF          []string     `toml:"spf"`     // alternatives, as include targets or "a:HOST", "ip4:NET"; * as in a host
	Autodiscover Autodiscover `toml:"autodiscover"`
	DKIM         []Selector   `toml:"dkim"`
	Domains      []string     `toml:"domains"` // suffixes that tell a host of the provider
	Source       string       `toml:"source"`  // where the values were read
	Date         string       `toml:"date"`    // and when

	// MXOwner is "filter" where a filtering service named by FilterProfile
	// keeps the MX through the migration.
	MXOwner        string `toml:"mx_owner"`
	FilterProfile  string `toml:"filter_profile"`
	FilterOutbound bool   `toml:"filter_outbound"` // outbound mail passes through the filter too

	filter *Profile // FilterProfile, resolved
}

// Autodiscover is where a provider wants Autodiscover to lead. Any of the
// three ways is right.
type Autodiscover struct {
	CNAME    []string `toml:"cname"`
	SRV      []string `toml:"srv"`
	Address  []string `toml:"address"`  // IP addresses
	None     bool     `toml:"none"`     // the provider has no Autodiscover
	Redirect bool     `toml:"redirect"` // answered over plain HTTP with a 302: no certificate for the name is expected
}

// stated reports whether the profile says anything about Autodiscover.
func (a Autodiscover) stated() bool {
	return a.None || len(a.CNAME)+len(a.SRV)+len(a.Address) > 0
}

// Selector is a DKIM selector: an alias to the provider, or a key.
type Selector struct {
	Selector string   `toml:"selector"`
	CNAME    []string `toml:"cname"` // patterns, any of which is right
	TXT      bool     `toml:"txt"`
}

// IsZero reports whether no profile was given.
func (p Profile) IsZero() bool { return p.ID == "" }

// Title is the name of the provider for people.
func (p Profile) Title() string {
	if p.Name != "" {
		return p.Name
	}
	return p.ID
}

type profileFile struct {
	Provider []Profile `toml:"provider"`
}

// Profiles returns the built-in profiles in the order of their table.
func Profiles() ([]Profile, error) { return parseProfiles(builtinTOML, nil) }

// LoadProfile returns a profile by the id of a built-in one, or from a TOML
// file written like the built-in table: NAME, FILE, or FILE#ID where the file
// holds several. A file may override or extend built-in profiles.
func LoadProfile(ref string) (Profile, error) {
	builtin, err := Profiles()
	if err != nil {
		return Profile{}, err
	}
	if p, ok := profileByID(builtin, ref); ok {
		return p, nil
	}
	path, id, _ := strings.Cut(ref, "#")
	if !strings.HasSuffix(path, ".toml") && !strings.ContainsAny(path, `/\`) {
		return Profile{}, fmt.Errorf("no provider profile is called %q: there are %s; or name a TOML file", ref, strings.Join(profileIDs(builtin), ", "))
	}
	info, err := os.Stat(path)
	if err != nil {
		return Profile{}, fmt.Errorf("provider profile: %w", err)
	}
	if info.Size() > maxProfile {
		return Profile{}, fmt.Errorf("provider profile %s: larger than %d octets", path, maxProfile)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return Profile{}, fmt.Errorf("provider profile: %w", err)
	}
	own, err := parseProfiles(raw, builtin)
	if err != nil {
		return Profile{}, fmt.Errorf("provider profile %s: %w", path, err)
	}
	switch p, ok := profileByID(own, id); {
	case id != "" && !ok:
		return Profile{}, fmt.Errorf("provider profile %s: no provider %q in it", path, id)
	case id != "":
		return p, nil
	case len(own) == 1:
		return own[0], nil
	default:
		return Profile{}, fmt.Errorf("provider profile %s: it holds %d providers: name one as %s#ID", path, len(own), path)
	}
}

// ParseProfile reads one profile from TOML text written like a row of the
// built-in table.
func ParseProfile(text string) (Profile, error) {
	builtin, err := Profiles()
	if err != nil {
		return Profile{}, err
	}
	own, err := parseProfiles([]byte(text), builtin)
	if err != nil {
		return Profile{}, fmt.Errorf("provider profile: %w", err)
	}
	if len(own) != 1 {
		return Profile{}, fmt.Errorf("provider profile: %d providers where one is wanted", len(own))
	}
	return own[0], nil
}

func parseProfiles(raw []byte, known []Profile) ([]Profile, error) {
	var f profileFile
	meta, err := toml.NewDecoder(bytes.NewReader(raw)).Decode(&f)
	if err != nil {
		return nil, err
	}
	if extra := meta.Undecoded(); len(extra) > 0 {
		return nil, fmt.Errorf("unknown key %s", extra[0])
	}
	if len(f.Provider) == 0 {
		return nil, errors.New("no [[provider]] in it")
	}
	all := append([]Profile(nil), known...)
	for i := range f.Provider {
		p := f.Provider[i]
		if err := p.complete(all); err != nil {
			return nil, fmt.Errorf("provider %q: %w", p.ID, err)
		}
		f.Provider[i] = p
		all = append(all, p)
	}
	return f.Provider, nil
}

// complete fills in what the profile extends, and checks it.
func (p *Profile) complete(known []Profile) error {
	if p.ID == "" {
		return errors.New("it has no id")
	}
	if p.Extends != "" {
		base, ok := profileByID(known, p.Extends)
		if !ok {
			return fmt.Errorf("it extends %q, which is not known", p.Extends)
		}
		p.inherit(base)
	}
	if p.FilterProfile != "" {
		filter, ok := profileByID(known, p.FilterProfile)
		if !ok {
			return fmt.Errorf("filter_profile %q is not known", p.FilterProfile)
		}
		p.filter = &filter
	}
	if p.MXOwner != "" && p.MXOwner != "destination" && p.MXOwner != "filter" {
		return fmt.Errorf("mx_owner is %q: write destination or filter", p.MXOwner)
	}
	if p.MXOwner == "filter" && p.filter == nil {
		return errors.New("mx_owner is filter, but no filter_profile is named")
	}
	if err := p.encode(); err != nil {
		return err
	}
	return p.check()
}

func (p *Profile) inherit(base Profile) {
	if p.Name == "" {
		p.Name = base.Name
	}
	if len(p.MX) == 0 {
		p.MX = base.MX
	}
	if len(p.SPF) == 0 {
		p.SPF = base.SPF
	}
	if !p.Autodiscover.stated() {
		p.Autodiscover = base.Autodiscover
	}
	if len(p.DKIM) == 0 {
		p.DKIM = base.DKIM
	}
	p.Domains = union(append([]string(nil), p.Domains...), base.Domains)
	if p.Source == "" {
		p.Source, p.Date = base.Source, base.Date
	}
	p.Filter = p.Filter || base.Filter
}

// check refuses what could never match or would match everything.
func (p *Profile) check() error {
	for _, set := range p.MX {
		for _, entry := range set {
			if _, err := parseMXEntry(entry); err != nil {
				return err
			}
		}
	}
	patterns := append([]string(nil), p.Domains...)
	patterns = append(patterns, p.Autodiscover.CNAME...)
	patterns = append(patterns, p.Autodiscover.SRV...)
	for _, s := range p.DKIM {
		if s.Selector == "" {
			return errors.New("a DKIM selector has no name")
		}
		patterns = append(patterns, s.CNAME...)
	}
	for _, pattern := range patterns {
		if err := checkPattern(pattern); err != nil {
			return err
		}
	}
	for _, s := range p.SPF {
		if _, host, _ := strings.Cut(spfTerm(s), ":"); strings.Contains(host, "*") {
			if err := checkPattern(host); err != nil {
				return fmt.Errorf("spf: %w", err)
			}
		}
		if _, err := spf.Parse(spf.Version + " " + strings.ReplaceAll(spfTerm(s), "*", "x")); err != nil {
			return fmt.Errorf("spf %q: %w", s, err)
		}
	}
	return nil
}

// spfTerm writes an entry of Profile.SPF as the term to publish.
func spfTerm(entry string) string {
	if strings.Contains(entry, ":") {
		return entry
	}
	return "include:" + entry
}

func profileByID(all []Profile, id string) (Profile, bool) {
	for i := len(all) - 1; i >= 0; i-- { // the last one overrides
		if strings.EqualFold(all[i].ID, id) {
			return all[i], true
		}
	}
	return Profile{}, false
}

func profileIDs(all []Profile) []string {
	var out []string
	for _, p := range all {
		out = append(out, p.ID)
	}
	sort.Strings(out)
	return out
}

// mxEntry is one exchange that a profile expects.
type mxEntry struct {
	pattern string
	pref    int // -1 where the profile does not say
}

func parseMXEntry(s string) (mxEntry, error) {
	fields := strings.Fields(s)
	e := mxEntry{pref: -1}
	if len(fields) < 1 || len(fields) > 2 {
		return e, fmt.Errorf("mx %q: write HOST or HOST PREFERENCE", s)
	}
	e.pattern = fields[0]
	if len(fields) == 2 {
		n, err := strconv.ParseUint(fields[1], 10, 16)
		if err != nil {
			return e, fmt.Errorf("mx %q: the preference is no number from 0 to 65535", s)
		}
		e.pref = int(n)
	}
	return e, checkPattern(e.pattern)
}

// checkPattern refuses a pattern without a fixed end of two labels: "*.com"
// would call half the world the right provider.
func checkPattern(pattern string) error {
	if pattern == "" || strings.ContainsAny(pattern, " \t") {
		return fmt.Errorf("host pattern %q is no host name", pattern)
	}
	labels := strings.Split(strings.TrimSuffix(pattern, "."), ".")
	fixed := 0
	for i := len(labels) - 1; i >= 0 && !strings.Contains(labels[i], "*"); i-- {
		fixed++
	}
	if strings.Contains(pattern, "*") && fixed < 2 {
		return fmt.Errorf("host pattern %q must end in at least two labels without *", pattern)
	}
	return nil
}

// expand fills in the audited domain.
func expand(pattern, domain string) string {
	d := display(domain)
	return strings.NewReplacer("{domain}", d, "{dashed}", strings.ReplaceAll(d, ".", "-")).Replace(pattern)
}

// matchHost reports whether a host name fits a pattern, whatever the case. A
// leading "*." stands for one or more labels, another * for a part of a label.
func matchHost(pattern, host, domain string) bool {
	pattern = foldName(expand(pattern, domain))
	host = foldName(host)
	want, got := strings.Split(pattern, "."), strings.Split(host, ".")
	if want[0] == "*" {
		if len(got) < len(want) {
			return false
		}
		want, got = want[1:], got[len(got)-len(want)+1:]
	}
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if !matchLabel(want[i], got[i]) {
			return false
		}
	}
	return true
}

func matchLabel(pattern, label string) bool {
	pre, post, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == label
	}
	if strings.Contains(post, "*") {
		// several stars in one label: match the first at its shortest
		for i := len(pre); strings.HasPrefix(label, pre) && i <= len(label); i++ {
			if matchLabel(post, label[i:]) {
				return true
			}
		}
		return false
	}
	return len(label) >= len(pre)+len(post) && strings.HasPrefix(label, pre) && strings.HasSuffix(label, post)
}

func foldName(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }

// owns reports whether a host belongs to the provider: it lies under one of
// its domains, or fits one of its exchanges.
func (p Profile) owns(host, domain string) bool {
	host = foldName(host)
	for _, d := range p.Domains {
		d = foldName(d)
		if matchHost(d, host, domain) || strings.HasSuffix(host, "."+strings.TrimPrefix(d, "*.")) {
			return true
		}
	}
	return p.isMX(host, domain)
}

// isMX reports whether a host fits any exchange of the profile.
func (p Profile) isMX(host, domain string) bool {
	for _, set := range p.MX {
		for _, entry := range set {
			if e, err := parseMXEntry(entry); err == nil && matchHost(e.pattern, host, domain) {
				return true
			}
		}
	}
	return false
}

// keepsMX returns the profile that the MX is judged against: the filter's,
// where a filter keeps the MX.
func (p Profile) keepsMX() Profile {
	if p.MXOwner == "filter" && p.filter != nil {
		return *p.filter
	}
	return p
}

// WithFilter returns the profile with a filtering service in front that keeps
// the MX.
func (p Profile) WithFilter(filter Profile, outbound bool) Profile {
	p.MXOwner, p.FilterProfile, p.FilterOutbound, p.filter = "filter", filter.ID, outbound, &filter
	return p
}

// asciiName turns a domain as people write it into the name that DNS holds
// (RFC 5891), canonical and with the final dot.
func asciiName(domain string) (string, error) {
	domain = strings.TrimSuffix(strings.TrimSpace(domain), ".")
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return "", fmt.Errorf("domain %q: %w", domain, err)
	}
	if _, ok := dns.IsDomainName(ascii); !ok {
		return "", fmt.Errorf("domain %q: a label is empty or longer than 63 octets, or the name is too long", domain)
	}
	if !strings.Contains(ascii, ".") {
		return "", fmt.Errorf("domain %q: a domain needs at least two labels", domain)
	}
	return strings.ToLower(ascii) + ".", nil
}
