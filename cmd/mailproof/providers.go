package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/provider"
)

func (a *app) providersCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "providers [NAME]",
		Short: "what is known of mail providers: servers, folders, limits, quirks",
		Long: `providers lists the presets, or shows one: where it answers, how one signs in, its
special folders and their names in other languages, the folders that hold no
mail, its limits, and what it rewrites. Each preset says where it comes from and
when that was looked at.

Every command recognises the provider of a server from its host, its greeting,
its reply to ID and its capabilities. --source-provider and
--destination-provider, or provider in [source] and [destination] of
mailproof.toml, name another one; "none" concludes nothing. Because of a preset
special folders are found under their localised names, and folders without mail
stay behind: the report counts what was left out. At Gmail, All Mail, Starred and
Important stay behind only where each of their messages was seen in another
folder; otherwise they are copied, too.`,
		Example: `  mailproof providers
  mailproof providers gmail
  mailproof providers microsoft365 --json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(provider.Names(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(_ *cobra.Command, args []string) error {
			list := provider.All()
			if len(args) == 1 {
				p, ok := provider.Lookup(args[0])
				if !ok {
					return hinted{fmt.Errorf("provider %q is not known", args[0]), "there are " + strings.Join(provider.Names(), ", ")}
				}
				list = []*provider.Provider{p}
			}
			if asJSON {
				return writeJSON(a.out, struct {
					Schema    string               `json:"schema"`
					Providers []*provider.Provider `json:"providers"`
				}{"mailproof/providers/1", list})
			}
			if len(args) == 1 {
				a.printProvider(list[0])
				return nil
			}
			a.printProviders(list)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON, schema mailproof/providers/1")
	return cmd
}

// addProviders adds the flags that say whose servers the two sides are.
func (f *workFlags) addProviders(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.sourceProvider, "source-provider", "", "whose server the source is: a `name` of mailproof providers, auto (the default) or none")
	fs.StringVar(&f.destinationProvider, "destination-provider", "", "the same for the destination")
	complete := cobra.FixedCompletions(append(provider.Names(), provider.Auto, provider.None), cobra.ShellCompDirectiveNoFileComp)
	for _, name := range []string{"source-provider", "destination-provider"} {
		_ = cmd.RegisterFlagCompletionFunc(name, complete)
	}
}

// providers puts the flags, or else the configuration, into the rules.
func (f *workFlags) providers(cfg *config.Config, r *engagement.Rules) error {
	r.SourceProvider = canonicalProvider(cmp.Or(f.sourceProvider, cfg.Source.Provider))
	r.DestinationProvider = canonicalProvider(cmp.Or(f.destinationProvider, cfg.Destination.Provider))
	if err := r.CheckProviders(); err != nil {
		return hinted{err, "mailproof providers lists them"}
	}
	return nil
}

func canonicalProvider(name string) string {
	if p, ok := provider.Lookup(name); ok {
		return p.Name
	}
	return strings.ToLower(name)
}

// rowRules are the rules that rows of a list have for their own accounts. A list
// that has none says so, too: what an earlier one said does not hold any more.
func rowRules(list []config.Entry) map[string]engagement.AccountRules {
	rules := map[string]engagement.AccountRules{}
	for _, e := range list {
		if !e.Own.IsZero() {
			rules[e.Name] = engagement.AccountRules(e.Own)
		}
	}
	return rules
}

func (a *app) printProviders(list []*provider.Provider) {
	t := a.table("provider", "what", "host", "sign-in")
	for _, p := range list {
		auth, with, _ := strings.Cut(p.Auth[0], " with ")
		if with != "" {
			auth = strings.TrimPrefix(strings.TrimPrefix(with, "an "), "a ")
		}
		t.row(p.Name, p.Title, cmp.Or(p.Host, "its own"), auth)
	}
	t.print()
}

// printProvider prints one preset, a heading and its lines for each thing.
func (a *app) printProvider(p *provider.Provider) {
	line := func(name string, values ...string) {
		for i, v := range values {
			if i > 0 {
				name = ""
			}
			for j, part := range fitWords(v, a.term.Width()-14) {
				if j > 0 {
					name, part = "", "  "+part
				}
				a.say(strings.TrimRight(fmt.Sprintf("%-13s %s", name, part), " "))
			}
		}
	}
	a.say(a.bold(p.Title))
	host := "of every installation its own"
	if p.Host != "" {
		host = p.Host
	}
	line("server", fmt.Sprintf("%s, port %d, %s", host, p.Port, strings.ToUpper(p.Security)))
	line("sign-in", strings.Join(p.Auth, ", "))
	names := fmt.Sprintf("levels parted by %q", p.Separator)
	if p.Prefix != "" {
		names += fmt.Sprintf(", below %q", p.Prefix)
	}
	line("folders", names)
	for i, s := range p.Special {
		line(head(i, "special"), fmt.Sprintf(`%-9s %s`, s.Use, strings.Join(s.Names, ", ")))
	}
	for i, o := range p.Omit {
		what := strings.Join(o.Names, ", ")
		if o.Use != "" {
			what = strings.TrimSuffix(string(o.Use)+", "+what, ", ")
		}
		why := o.Why
		if o.Verified {
			why += "; only where that was seen"
		}
		line(head(i, "left out"), what, "  "+why)
	}
	line("limits", limitsOf(p.Limits)...)
	if len(p.Lacks) > 0 {
		line("lacks", strings.Join(p.Lacks, ", "))
	}
	var changed []string
	for _, t := range p.Refusals() {
		changed = append(changed, "refuses messages with "+t.Meaning())
	}
	for _, t := range p.Alterations() {
		changed = append(changed, "changes messages with "+t.Meaning())
	}
	line("rewrites", append(changed, p.Rewrites...)...)
	line("note", p.Notes...)
	for i, s := range p.Sources {
		looked := "not looked at"
		if !s.Checked.IsZero() {
			looked = "looked at " + s.Checked.Format(time.DateOnly)
		}
		line(head(i, "source"), s.URL, "  "+s.About+", "+looked)
	}
}

func head(i int, name string) string {
	if i > 0 {
		return ""
	}
	return name
}

func limitsOf(l provider.Limits) []string {
	var out []string
	if l.Connections > 0 {
		out = append(out, countOf(int64(l.Connections), "connection")+" of one account at once")
	}
	if l.ConnectionsPerIP > 0 {
		out = append(out, countOf(int64(l.ConnectionsPerIP), "connection")+" from one address at once, of all accounts together")
	}
	if l.Message > 0 {
		out = append(out, "messages of at most "+size(l.Message))
	}
	if l.DownloadPerDay > 0 {
		out = append(out, size(l.DownloadPerDay)+" read a day, for each account")
	}
	if l.UploadPerDay > 0 {
		out = append(out, size(l.UploadPerDay)+" written a day, for each account")
	}
	return out
}

// fitWords parts a list of words into lines of at most width columns, after commas
// where there are any; what has no blank stays whole.
func fitWords(text string, width int) []string {
	if text == "" {
		return nil
	}
	indent := text[:len(text)-len(strings.TrimLeft(text, " "))]
	text = strings.TrimSpace(text)
	by := " "
	if strings.Count(text, ", ") > 2 && !strings.Contains(text, ": ") { // a list of names, which have blanks
		by = ", "
	}
	var lines []string
	line := ""
	for i, word := range strings.Split(text, by) {
		if i > 0 {
			if next := line + by + word; terminal.Width(indent+next)+1 <= width {
				line = next
				continue
			}
			lines = append(lines, indent+strings.TrimRight(line+by, " "))
		}
		line = word
	}
	return append(lines, indent+line)
}
