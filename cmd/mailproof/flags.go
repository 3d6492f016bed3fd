package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/credential"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/collect"
)

// workFlags are the flags of every command that signs in somewhere: whose mail,
// under which rules.
type workFlags struct {
	source, destination                 string
	sourcePassword, destinationPassword string
	accounts                            string
	only                                []string
	mapped, exclude                     []string
	parallel                            int
	aliases                             string
	sourceProvider, destinationProvider string
	depth, sampleSize, seed             string
	reverify                            bool
	json                                bool
	dns                                 dnsFlags
	pace                                paceFlags
	scope                               scopeFlags
}

// dnsFlags are those of every command that audits DNS.
type dnsFlags struct {
	domains, servers, resolvers []string
	profile, oldProfile, phase  string
	coexistence, http, starttls bool
	endpoints                   []string
	probeCA                     string
}

func (f *workFlags) addAccounts(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.source, "source", "", "one account by itself: `URL` of the old server, imaps://USER@HOST[:PORT]; %40 for an @ in the user;\nwith --accounts: where the accounts of the list live, imaps://HOST[:PORT]")
	fs.StringVar(&f.destination, "destination", "", "the same for the new server")
	fs.StringVar(&f.sourcePassword, "source-password", "", "`reference` to the password: env:NAME, file:PATH, cmd:ARGV, keyring:NAME, age:FILE or prompt;\noauth:NAME for OAuth 2 by the section [oauth.NAME] of mailproof.toml")
	fs.StringVar(&f.destinationPassword, "destination-password", "", "the same for the new server")
	fs.StringVar(&f.accounts, "accounts", "", "list of accounts: a CSV `file` with the header name,source,source_password,destination,destination_password;\nalso Microsoft's, imapsync's, and plain lines of address, user, password")
	fs.StringSliceVar(&f.only, "account", nil, "work on this `account` of the list only (may be repeated)")
	fs.IntVar(&f.parallel, "parallel", 0, "accounts worked on at once (default 4)")
	_ = cmd.MarkFlagFilename("accounts", "csv", "txt")
}

func (f *workFlags) addRules(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.mapped, "map", nil, "map source folder OLD to destination folder NEW, as `OLD=NEW` (may be repeated)")
	cmd.Flags().StringArrayVar(&f.exclude, "exclude", nil, "leave out source folders: a `pattern` such as \"Archive/*\", or a special use such as '\\Junk' (may be repeated);\nthe report counts what was left out")
	cmd.Flags().StringVar(&f.aliases, "aliases", "", "addresses that the new server rewrites on purpose: a CSV `file`, one a line: old@old.example,new@new.example;\na message that differs in nothing else is equivalent, with the note recipient-aliased")
	_ = cmd.MarkFlagFilename("aliases", "csv", "txt")
	f.scope.add(cmd)
	f.addProviders(cmd)
}

func (f *workFlags) addDepth(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.depth, "depth", "full", "full reads every octet and is the only depth that can end in COMPLETE;\nsample reads a random part of the source, the destination in full, and states a bound for the rest;\npreview reads the headers and no bodies: which messages are listed, by identity, and which headers and sizes differ")
	cmd.Flags().StringVar(&f.sampleSize, "sample-size", "", "of --depth sample: so many messages of each account, or of all a share such as 2.5% (default 300)")
	cmd.Flags().StringVar(&f.seed, "seed", "", "of --depth sample: any text; the same seed chooses the same messages (default: that of the last sample, or one by chance)")
	cmd.Flags().BoolVar(&f.reverify, "reverify", false, "read every message again, also those that an earlier pass has read")
}

func (f *workFlags) addJSON(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.json, "json", false, "print the result as JSON, schema mailproof/report/1")
}

func (f *dnsFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringSliceVar(&f.domains, "domain", nil, "mail `domain` to audit (may be repeated)")
	fs.StringVar(&f.profile, "profile", "", "`profile` of the new provider: a name of mailproof dns --list-profiles, or a TOML file")
	fs.StringVar(&f.oldProfile, "old-profile", "", "`profile` of the old provider: what must be gone after the cut-over")
	fs.StringVar(&f.phase, "phase", "", "planning, readiness or confirmation (default confirmation); only confirmation takes part in the verdict")
	fs.StringSliceVar(&f.resolvers, "resolver", nil, "resolver to sample for propagation, `IP[:PORT]` (may be repeated)")
	fs.StringArrayVar(&f.servers, "dns-server", nil, "where a name server answers, `NAME=IP:PORT`, or resolver=IP:PORT (may be repeated)")
	fs.BoolVar(&f.coexistence, "coexistence", false, "old and new provider share the domain on purpose")
	fs.BoolVar(&f.http, "http", false, "probe Autodiscover, autoconfig and MTA-STS over HTTP as well")
	fs.BoolVar(&f.starttls, "starttls", false, "ask the mail exchanges for their certificates on port 25 as well, to hold against TLSA records")
	fs.StringArrayVar(&f.endpoints, "endpoint", nil, "with --http and --starttls: reach a host elsewhere, `HOST:PORT=IP:PORT`, as through a tunnel (may be repeated)")
	fs.StringVar(&f.probeCA, "probe-ca", "", "with --http and --starttls: trust the certificates of this PEM `file` too")
}

// config is the engagement's configuration, the default where there is no file.
func (a *app) config() (*config.Config, error) { return config.LoadOrDefault(a.dir) }

// options turns flags and configuration into the engagement's options. sides
// are those that the command signs in to.
func (a *app) options(cmd *cobra.Command, f *workFlags, cfg *config.Config, sides ...mailproof.Side) (engagement.Options, error) {
	o := engagement.Options{
		Tool: "mailproof " + version, Command: commandLine(os.Args), Reverify: f.reverify, Parallel: f.parallel,
		Rules:          engagement.Rules{Map: f.mapped, Exclude: f.exclude},
		ConnectTimeout: cfg.Limits.ConnectTimeout, ProgressTimeout: cfg.Limits.StallTimeout,
	}
	switch f.depth {
	case "", "full":
		o.Depth = mailproof.DepthFull
	case "preview":
		o.Depth = mailproof.DepthPreview
	case "sample":
		o.Depth = mailproof.DepthSample
		var err error
		if o.Sample, err = collect.ParseSample(f.sampleSize, f.seed); err != nil {
			return o, hinted{err, "write --sample-size 300 or --sample-size 2.5%"}
		}
	default:
		return o, hinted{fmt.Errorf("--depth %s is not known", f.depth), "write full, sample or preview"}
	}
	if o.Depth != mailproof.DepthSample && (f.sampleSize != "" || f.seed != "") {
		return o, hinted{errors.New("--sample-size and --seed go with --depth sample"), "add --depth sample"}
	}
	if o.Parallel == 0 {
		o.Parallel = cfg.Limits.Accounts
	}
	if o.Rules.IsZero() && f.scope.none() {
		o.Rules = rulesOf(cfg)
	}
	var err error
	if err = f.scope.apply(cfg, &o.Rules); err != nil {
		return o, err
	}
	if o.Pace, err = f.pace.options(cfg); err != nil {
		return o, err
	}
	o.Say = a.notef
	if path := cmp.Or(f.aliases, cfg.Copy.Aliases); path != "" {
		if o.Rules.Aliases, err = config.ReadAliases(path); err != nil {
			return o, fmt.Errorf("aliases: %w", err)
		}
	}
	if err := f.providers(cfg, &o.Rules); err != nil {
		return o, err
	}
	if o.DNS, err = f.dns.options(cfg); err != nil {
		return o, err
	}
	o.Connections = map[string]int{}
	for _, s := range []config.Server{cfg.Source, cfg.Destination} {
		if s.Host != "" && s.Connections > 0 {
			o.Connections[s.Host] = s.Connections
		}
	}
	o.MaxConnections = cfg.Limits.Connections
	if len(sides) > 0 {
		err = a.entries(cmd.Context(), f, cfg, sides, &o)
	}
	return o, err
}

func rulesOf(cfg *config.Config) engagement.Rules {
	r := engagement.Rules{Exclude: slices.Clone(cfg.Copy.Exclude)}
	for old, name := range cfg.Copy.Map {
		r.Map = append(r.Map, old+"="+name)
	}
	sort.Strings(r.Map)
	return r
}

func (f *dnsFlags) options(cfg *config.Config) (engagement.DNSOptions, error) {
	o := engagement.DNSOptions{
		Domains: cfg.Domains(), Profile: cfg.DNS.Profile, OldProfile: cfg.DNS.OldProfile, Phase: cfg.DNS.Phase,
		Servers: cfg.DNS.Servers, Resolvers: cfg.DNS.Resolvers, CutOver: cfg.Engagement.CutOver, Coexistence: f.coexistence, HTTP: f.http, STARTTLS: f.starttls,
	}
	if len(f.domains) > 0 {
		o.Domains = f.domains
	}
	if f.profile != "" {
		o.Profile = f.profile
	}
	if f.oldProfile != "" {
		o.OldProfile = f.oldProfile
	}
	if len(f.resolvers) > 0 {
		o.Resolvers = f.resolvers
	}
	if f.phase != "" {
		var err error
		if o.Phase, err = mailproof.ParsePhase(f.phase); err != nil {
			return o, err
		}
	}
	for _, s := range f.servers {
		if err := o.AddServer(s); err != nil {
			return o, err
		}
	}
	for _, s := range f.endpoints {
		if err := o.AddEndpoint(s); err != nil {
			return o, err
		}
	}
	o.CA = f.probeCA
	return o, nil
}

// entries finds the accounts to work on: one by flags, a list by flag, or the
// list of the configuration.
func (a *app) entries(ctx context.Context, f *workFlags, cfg *config.Config, sides []mailproof.Side, o *engagement.Options) error {
	single := f.source != "" || f.destination != ""
	defaults := cfg.Defaults(sides...)
	defaults.Source.Provider = cmp.Or(f.sourceProvider, defaults.Source.Provider)
	defaults.Destination.Provider = cmp.Or(f.destinationProvider, defaults.Destination.Provider)
	var entries []config.Entry
	switch {
	case single && f.accounts != "":
		// A list and where its accounts live: imaps://HOST without a user.
		if f.source != "" {
			defaults.Source = config.Server{URL: f.source, Password: f.sourcePassword}
		}
		if f.destination != "" {
			defaults.Destination = config.Server{URL: f.destination, Password: f.destinationPassword}
		}
	case single:
		e, err := f.single(sides)
		if err != nil {
			return err
		}
		entries = []config.Entry{e}
	}
	if entries == nil {
		path := f.accounts
		if path == "" {
			path = cfg.ListPath()
		}
		if path == "" {
			return hinted{errors.New("no accounts given"),
				"give one by --source URL --destination URL, a list by --accounts FILE, or write the files with mailproof init"}
		}
		list, preview, err := config.ReadAccounts(path, defaults)
		if err != nil {
			return err
		}
		if preview.CarriesPasswords() {
			a.notef("%s", preview)
		}
		for _, w := range preview.Warnings {
			a.warnf("%s", w)
		}
		entries, o.RosterWhole = list, true
		o.Rules.Accounts = rowRules(list)
	}
	for _, e := range entries {
		o.Roster = append(o.Roster, e.Name)
	}
	entries, err := only(entries, f.only)
	if err != nil {
		return err
	}
	o.Accounts, err = a.accounts(ctx, cfg, entries, sides)
	return err
}

func (f *workFlags) single(sides []mailproof.Side) (config.Entry, error) {
	for _, side := range sides {
		given := f.source
		if side == mailproof.Destination {
			given = f.destination
		}
		if given == "" {
			return config.Entry{}, hinted{fmt.Errorf("--%s is missing", side), fmt.Sprintf("give --%s imaps://USER@HOST and --%s-password env:NAME", side, side)}
		}
	}
	return config.Single(f.source, f.destination, f.sourcePassword, f.destinationPassword)
}

// only keeps the named accounts. A name that is not in the list is an error:
// working on nothing must not look like success.
func only(entries []config.Entry, names []string) ([]config.Entry, error) {
	if len(names) == 0 {
		return entries, nil
	}
	var out []config.Entry
	for _, name := range names {
		i := slices.IndexFunc(entries, func(e config.Entry) bool { return strings.EqualFold(e.Name, name) })
		if i < 0 {
			return nil, hinted{fmt.Errorf("account %q is not in the list", name), "the names are those of the list's first column"}
		}
		out = append(out, entries[i])
	}
	return out, nil
}

// accounts joins entries with the means to get their passwords. Each reference
// is resolved once, and those that ask somebody are asked now, before a
// progress display is in the way.
func (a *app) accounts(ctx context.Context, cfg *config.Config, entries []config.Entry, sides []mailproof.Side) ([]engagement.Account, error) {
	resolver := credential.NewResolver(credential.TerminalPrompter{})
	tokens := newBrokers(cfg, resolver)
	var refs []credential.Ref
	for _, e := range entries {
		for _, side := range sides {
			ref := e.Password(side)
			refs = append(append(refs, ref), tokens.references(ref.Section())...)
			if key, is := config.KeyReference(e.Endpoint(side)); is {
				refs = append(refs, key)
			}
		}
	}
	if err := resolver.Ask(ctx, refs...); err != nil {
		return nil, err
	}
	a.resolver, a.used = resolver, tokens.used
	out := make([]engagement.Account, len(entries))
	keys := clientKeys{resolver: resolver, known: map[credential.Ref]mailproof.Secret{}}
	for i, e := range entries {
		get := func(side mailproof.Side) engagement.Password {
			ref := e.Password(side)
			if ref.IsZero() || ref.Section() != "" {
				return nil
			}
			return func(ctx context.Context) (mailproof.Secret, error) { return resolver.Resolve(ctx, ref) }
		}
		out[i] = engagement.Account{Account: e.Account, SourcePassword: get(mailproof.Source), DestinationPassword: get(mailproof.Destination)}
		out[i].SourceKey, out[i].DestinationKey = keys.of(&out[i].Source), keys.of(&out[i].Destination)
		if err := tokens.join(&out[i], e); err != nil {
			return nil, err
		}
		for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
			a.warnAbout(e.Name, e.Endpoint(side))
		}
	}
	return out, nil
}

// clientKeys reads the keys of client certificates that are named by reference,
// each once: an account may make many connections.
type clientKeys struct {
	resolver *credential.Resolver
	mu       sync.Mutex
	known    map[credential.Ref]mailproof.Secret
}

// of returns nil where the endpoint names a file, or nothing. From then on the
// endpoint names the reference as it may be shown.
func (k *clientKeys) of(e *mailproof.Endpoint) engagement.Password {
	ref, is := config.KeyReference(*e)
	if !is {
		return nil
	}
	e.KeyFile = ref.String()
	return func(ctx context.Context) (mailproof.Secret, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if key, ok := k.known[ref]; ok {
			return key, nil
		}
		key, err := k.resolver.Document(ctx, ref)
		if err == nil {
			k.known[ref] = key
		}
		return key, err
	}
}

// warnAbout says aloud what the user asked for in so many words and may have
// forgotten.
func (a *app) warnAbout(account string, e mailproof.Endpoint) {
	switch {
	case e.Host == "":
	case e.Security == mailproof.Plaintext:
		a.warnOnce("tls=none "+e.Host, "no TLS to %s: password and mail of %s can be overheard", e.Host, account)
	case e.SkipVerify:
		a.warnOnce("skip-verify "+e.Host, "the certificate of %s is not verified: anybody in between can read the mail of %s", e.Host, account)
	}
}

// commandLine is what was typed, for the ledger and the report. Passwords are
// references and addresses refuse them, so it holds none; what was typed where
// a reference belongs is masked all the same.
func commandLine(args []string) string {
	out := []string{"mailproof"}
	for i := 1; i < len(args); i++ {
		arg := args[i]
		if name, value, ok := strings.Cut(arg, "="); ok && strings.HasSuffix(name, "-password") {
			arg = name + "=" + maskReference(value)
		} else if i > 0 && strings.HasSuffix(args[i-1], "-password") {
			arg = maskReference(arg)
		}
		if strings.ContainsAny(arg, " \t\"'\\$*") {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		out = append(out, arg)
	}
	return strings.Join(out, " ")
}

func maskReference(text string) string {
	ref, err := credential.Parse(text)
	if err != nil {
		return mailproof.SecretMask
	}
	return ref.String()
}
