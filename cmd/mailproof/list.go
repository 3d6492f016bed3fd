package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
)

func (a *app) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "lists of accounts: check one, convert one",
		Long: `list looks after lists of accounts. Four forms are read, and told apart by what
is in them: mailproof's own CSV, Microsoft's EmailAddress,UserName,Password,
imapsync's host1;user1;password1;host2;user2;password2; and plain lines of
address, user name and password, parted by comma, semicolon or tab.`,
	}
	cmd.AddCommand(a.listCheckCommand(), a.listConvertCommand())
	return cmd
}

// listFlags say where the accounts of a list live, for lists that do not.
type listFlags struct {
	workFlags
	json bool
}

func (f *listFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.source, "source", "", "where the accounts of the list live, imaps://HOST[:PORT]; not needed where list or mailproof.toml say so")
	fs.StringVar(&f.destination, "destination", "", "the same for the new server")
	f.addProviders(cmd)
	fs.BoolVar(&f.json, "json", false, "print as JSON, schema mailproof/list/1")
}

// read reads a list as it is, without a look at whether references lead
// anywhere unless checked.
func (f *listFlags) read(a *app, path string, checked bool) ([]config.Entry, config.Preview, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, config.Preview{}, err
	}
	d := cfg.Defaults()
	if f.source != "" {
		d.Source = config.Server{URL: f.source, Password: cfg.Source.Password}
	}
	if f.destination != "" {
		d.Destination = config.Server{URL: f.destination, Password: cfg.Destination.Password}
	}
	if f.sourceProvider != "" {
		d.Source.Provider = f.sourceProvider
	}
	if f.destinationProvider != "" {
		d.Destination.Provider = f.destinationProvider
	}
	d.Unchecked = !checked
	return config.ReadAccounts(path, d)
}

func (a *app) listCheckCommand() *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "read a list and say how it was understood, and all that is wrong with it",
		Long: `check reads a list of accounts and prints how it was understood: its form, the
first row with the password masked, the servers and how many accounts each has,
and what should be looked at. What is wrong is reported all at once, with line
and column: bad addresses, references that lead nowhere, accounts that are there
twice or differ in upper and lower case only. No server is asked.

Exit codes: 0 the list can be used, 2 it cannot.`,
		Example: `  mailproof list check mailboxes.csv
  mailproof list check export.csv --source imaps://imap.old.example --destination imaps://imap.new.example`,
		Args: wants("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			entries, preview, err := f.read(a, args[0], true)
			if err != nil {
				return err
			}
			if f.json {
				return a.printListJSON(entries, preview)
			}
			a.printList(entries, preview)
			return nil
		},
	}
	f.add(cmd)
	return cmd
}

func (a *app) listConvertCommand() *cobra.Command {
	var f listFlags
	var passwords string
	var recipients []string
	cmd := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "turn any list into mailproof's own, with references in the place of passwords",
		Long: `convert reads a list in any of the four forms and writes mailproof's own. Passwords
that the list carries are never written in the clear: --passwords says where they
go, and the new list holds references to them. Without it a list that carries
passwords is refused.

  --passwords keyring[:SERVICE]   the system's keyring
  --passwords age:FILE            a file beside OUT, encrypted to --recipient, or to
                                  the identity that MAILPROOF_AGE_IDENTITY names

No file is overwritten. The list that was read still holds its passwords: remove
it when the new one works.`,
		Example: `  mailproof list convert export.csv mailboxes.csv --source imaps://imap.old.example \
      --destination imaps://imap.new.example --passwords keyring
  mailproof list convert imapsync.txt mailboxes.csv --passwords age:passwords.age --recipient age1…`,
		Args: wants("IN", "OUT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			entries, preview, err := f.read(a, args[0], false)
			if err != nil {
				return err
			}
			var vault config.Vault
			if passwords != "" && preview.CarriesPasswords() {
				if vault, err = openVault(args[1], passwords, recipients); err != nil {
					return err
				}
			}
			kept, err := config.Convert(cmd.Context(), entries, args[1], vault)
			if errors.Is(err, config.ErrPasswords) {
				return hinted{fmt.Errorf("%s: %w", args[0], err), "add --passwords keyring, or --passwords age:FILE --recipient age1…"}
			}
			if err != nil {
				return err
			}
			if f.json {
				return a.printListJSON(entries, preview)
			}
			a.say(fmt.Sprintf("%s: %s, read as %s", args[1], countOf(int64(len(entries)), "account"), preview.Format))
			for _, w := range preview.Warnings {
				a.warnf("%s", w)
			}
			if kept > 0 {
				a.say(countOf(int64(kept), "password") + " kept in " + passwords + ", none in the list")
				a.hintf("mailproof list check %s shows it; then remove %s, which still holds the passwords", args[1], args[0])
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&passwords, "passwords", "", "where passwords of the list go: `keyring[:SERVICE]` or age:FILE")
	cmd.Flags().StringArrayVar(&recipients, "recipient", nil, "with age:FILE: the public key `age1…` of who may read them (may be repeated)")
	return cmd
}

// openVault reads --passwords.
func openVault(list, text string, recipients []string) (config.Vault, error) {
	kind, arg, _ := strings.Cut(text, ":")
	switch {
	case kind == "keyring" && !strings.Contains(arg, "/"):
		return config.NewKeyringVault(arg), nil
	case kind == "age" && arg != "" && !strings.Contains(arg, "#"):
		path, name := config.VaultPath(list, arg)
		return config.NewAgeVault(path, name, recipients)
	}
	return nil, hinted{fmt.Errorf("--passwords %s is not understood", kind), "write keyring, keyring:SERVICE or age:FILE"}
}

// hosts counts the accounts of each server of a side, in the order of the list.
func hosts(entries []config.Entry, side mailproof.Side) (order []string, n map[string]int) {
	n = map[string]int{}
	for _, e := range entries {
		ep := e.Endpoint(side)
		if ep.Host == "" {
			continue
		}
		if n[ep.Address()]++; n[ep.Address()] == 1 {
			order = append(order, ep.Address())
		}
	}
	return order, n
}

func (a *app) printList(entries []config.Entry, p config.Preview) {
	a.say(fmt.Sprintf("%s: %s, read as %s with %ss", p.File, countOf(int64(p.Rows), "account"), p.Format, p.Separator))
	a.say("first row     " + p.First)
	const most = 8
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		order, n := hosts(entries, side)
		for i, h := range order {
			if i == most {
				a.stage(side.String(), "", countOf(int64(len(order)-most), "further server"), 0)
				break
			}
			a.stage(side.String(), "", h+"  "+countOf(int64(n[h]), "account"), 0)
		}
	}
	own := 0
	for _, e := range entries {
		if !e.Own.IsZero() {
			own++
		}
	}
	if own > 0 {
		a.stage("of their own", "", countOf(int64(own), "account")+" with rules that hold for them alone", 0)
	}
	if p.CarriesPasswords() {
		a.warnf("%s holds passwords: mailproof list convert puts them into a keyring or an encrypted file", p.File)
	}
	for _, w := range p.Warnings {
		a.warnf("%s", w)
	}
}

// listServerJSON is a server of a list.
type listServerJSON struct {
	Side     mailproof.Side `json:"side"`
	Address  string         `json:"address"`
	Accounts int            `json:"accounts"`
}

func (a *app) printListJSON(entries []config.Entry, p config.Preview) error {
	servers := []listServerJSON{}
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		order, n := hosts(entries, side)
		for _, h := range order {
			servers = append(servers, listServerJSON{side, h, n[h]})
		}
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return writeJSON(a.out, struct {
		Schema           string           `json:"schema"`
		File             string           `json:"file"`
		Format           string           `json:"format"`
		Separator        string           `json:"separator"`
		Accounts         int              `json:"accounts"`
		CarriesPasswords bool             `json:"carries_passwords"`
		Names            []string         `json:"names"`
		Servers          []listServerJSON `json:"servers"`
		Warnings         []string         `json:"warnings"`
	}{"mailproof/list/1", p.File, p.Format.String(), p.Separator, len(entries), p.CarriesPasswords(), names, servers, orEmpty(p.Warnings)})
}
