package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/credential"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/oauth"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/imapconn"
)

func (a *app) credentialsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "credentials",
		Short: "sign in to OAuth servers, try every login, forget sign-ins",
		Long: `credentials is about how mailproof signs in. It never prints or writes a secret.

A password is given by reference, in the list of accounts, in mailproof.toml or
by --source-password and --destination-password:

  env:NAME                an environment variable; programs that mailproof starts do not see it
  file:PATH               the one line of a file
  cmd:PROGRAM ARGUMENTS   the first line that a program prints, within 2 minutes; no shell
  keyring:[SERVICE/]USER  the system's keyring
  age:FILE[#KEY]          a file encrypted with age; with #KEY its line KEY=PASSWORD
  prompt                  asked for each account; prompt:NAME is asked once for all
  oauth:NAME              OAuth 2, by the section [oauth.NAME] of mailproof.toml

The address of a server says the rest:

  imaps://anna@HOST?admin=ADMIN         ADMIN signs in and reads the mail of anna (PLAIN or SCRAM with an
                                        authorisation identity: Dovecot master users, Cyrus proxies)
  ...?admin=ADMIN&admin_separator=*     the same where the login has to be anna*ADMIN
  ...?auth=MECHANISM                    one mechanism and no other; without it the best that the server offers
  ...?cert=FILE&key=FILE                a TLS client certificate (EXTERNAL); then no password is needed
  ...?cert=FILE&key=REFERENCE           the same with a key in PEM form that is kept in one of the places
                                        above: env: cmd: keyring: age:

The best mechanism is SCRAM-SHA-256-PLUS, then SCRAM-SHA-1-PLUS, SCRAM-SHA-256,
SCRAM-SHA-1, PLAIN, LOGIN, CRAM-MD5. Without TLS (tls=none) no password goes over
the line in the clear where the server offers a mechanism that keeps it to itself,
unless auth= asks for it.`,
		Example: `  mailproof credentials test --dir northgate
  mailproof credentials login m365 --account anna@northgate.example
  mailproof credentials list`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(a.credentialsTestCommand(), a.credentialsLoginCommand(), a.credentialsListCommand(), a.credentialsForgetCommand())
	return cmd
}

func (a *app) credentialsTestCommand() *cobra.Command {
	var f workFlags
	var side string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "sign in to every account and say what each server said",
		Long: `test signs in to every account on both sides, several at once, and out again. It
reads no mail and writes nothing. Each account is tried once: a wrong password is
not repeated, and does not lock anybody out.

Exit codes: 0 all signed in, 1 some did not, 2 could not run, 130 cancelled.`,
		Example: `  mailproof credentials test --dir northgate
  mailproof credentials test --side destination --account dave@example.com
  mailproof credentials test --source imaps://anna@imap.old.example --source-password env:OLD --side source`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sides, err := loginSides(side, f)
			if err != nil {
				return err
			}
			cfg, err := a.config()
			if err != nil {
				return err
			}
			o, err := a.options(cmd, &f, cfg, sides...)
			if err != nil {
				return err
			}
			_, hard, stop := terminal.Interrupts(cmd.Context(), a.term)
			defer stop()
			o.Progress = a.counting(terminal.Work{Label: "sign-in", Unit: "logins", Bad: "not signed in"})
			results, err := o.SignIns(hard, sides...)
			if err != nil {
				return err
			}
			return a.printSignIns(results, f.json)
		},
	}
	f.addAccounts(cmd)
	cmd.Flags().StringVar(&side, "side", "", "source or destination only")
	cmd.Flags().BoolVar(&f.json, "json", false, "print as JSON, schema mailproof/credentials/1")
	return cmd
}

// loginSides are the sides to try: the one that is named, or those that a single
// account has, or both.
func loginSides(side string, f workFlags) ([]mailproof.Side, error) {
	switch side {
	case mailproof.Source.String():
		return []mailproof.Side{mailproof.Source}, nil
	case mailproof.Destination.String():
		return []mailproof.Side{mailproof.Destination}, nil
	case "":
	default:
		return nil, hinted{fmt.Errorf("--side %s is not known", side), "write source or destination"}
	}
	switch {
	case f.accounts == "" && f.source != "" && f.destination == "":
		return []mailproof.Side{mailproof.Source}, nil
	case f.accounts == "" && f.source == "" && f.destination != "":
		return []mailproof.Side{mailproof.Destination}, nil
	}
	return []mailproof.Side{mailproof.Source, mailproof.Destination}, nil
}

func (a *app) printSignIns(results []engagement.SignIn, asJSON bool) error {
	failed := 0
	for _, r := range results {
		if r.Err != nil {
			failed++
		}
	}
	var result error
	if failed > 0 {
		result = exit{mailproof.Incomplete.ExitCode()}
	}
	if asJSON {
		return errors.Join(a.printSignInsJSON(results, failed == 0), result)
	}
	t := a.table("account", "side", "by", "mechanism", "result")
	for _, r := range results {
		text := "signed in"
		switch {
		case r.Err != nil:
			text = mailproof.KindOf(r.Err).String()
		case r.Server.TLS != "":
			text += ", " + r.Server.TLS
		default:
			text += " WITHOUT TLS"
		}
		t.row(clean(r.Account), r.Side.String(), clean(a.used[login{r.Account, r.Side}]), cmp.Or(mechanismOf(r), "–"), text)
	}
	t.print()
	if failed == 0 {
		fmt.Fprintf(a.out, "\nall signed in: %s\n", countOf(int64(len(results)), "login"))
		return nil
	}
	fmt.Fprintln(a.out)
	for _, r := range results {
		if r.Err == nil {
			continue
		}
		// Whole, however wide: what the server said is what one came for.
		fmt.Fprintf(a.out, "  %s  %s\n    %s\n", clean(r.Account), r.Side, clean(r.Err.Error()))
		if h := r.Hint(); h != "" {
			fmt.Fprintf(a.out, "    hint: %s\n", h)
		}
	}
	fmt.Fprintf(a.out, "\nnot signed in: %s of %s\n", count(int64(failed)), countOf(int64(len(results)), "login"))
	return result
}

// mechanismOf is by which mechanism a login succeeded, or was refused.
func mechanismOf(r engagement.SignIn) string {
	var refused *imapconn.SignInError
	if errors.As(r.Err, &refused) {
		return refused.Mechanism
	}
	return r.Server.Mechanism
}

func (a *app) printSignInsJSON(results []engagement.SignIn, ok bool) error {
	type loginJSON struct {
		Account   string               `json:"account"`
		Side      string               `json:"side"`
		By        string               `json:"by"` // reference to the secret
		OK        bool                 `json:"ok"`
		Server    mailproof.ServerInfo `json:"server"`
		Seconds   float64              `json:"seconds"`
		Kind      string               `json:"kind,omitempty"`
		Error     string               `json:"error,omitempty"`
		Remedy    string               `json:"remedy,omitempty"`
		Mechanism string               `json:"mechanism,omitempty"`
	}
	list := []loginJSON{}
	for _, r := range results {
		l := loginJSON{Account: r.Account, Side: r.Side.String(), By: a.used[login{r.Account, r.Side}], OK: r.Err == nil, Server: r.Server, Seconds: r.Took.Seconds(), Mechanism: mechanismOf(r)}
		if r.Err != nil {
			l.Kind, l.Error, l.Remedy = mailproof.KindOf(r.Err).String(), r.Err.Error(), r.Hint()
		}
		list = append(list, l)
	}
	code := 0
	if !ok {
		code = mailproof.Incomplete.ExitCode()
	}
	return writeJSON(a.out, struct {
		Schema   string      `json:"schema"`
		OK       bool        `json:"ok"`
		ExitCode int         `json:"exit_code"`
		Logins   []loginJSON `json:"logins"`
	}{"mailproof/credentials/1", ok, code, list})
}

func (a *app) credentialsLoginCommand() *cobra.Command {
	var account string
	var device, noBrowser bool
	cmd := &cobra.Command{
		Use:   "login NAME",
		Short: "let a person sign in for the section [oauth.NAME]",
		Long: `login opens the browser for a person to sign in, and keeps what comes of it in the
system's keyring or in the age file that the section names, and nowhere else. The
browser comes back to a port of this machine. With --device the person signs in on
any other device, with a code.

From then on oauth:NAME is the password of that account, and mailproof renews the
token by itself, in the midst of a pass too.`,
		Example: `  mailproof credentials login m365 --account anna@northgate.example
  mailproof credentials login m365 --account anna@northgate.example --device`,
		Args: wants("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			_, hard, stop := terminal.Interrupts(cmd.Context(), a.term)
			defer stop()
			return a.oauthLogin(hard, cfg, args[0], account, device, noBrowser)
		},
	}
	cmd.Flags().StringVar(&account, "account", "", "whose sign-in it is: the `user` of the account's address")
	cmd.Flags().BoolVar(&device, "device", false, "sign in on another device, with a code")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address and open no browser")
	return cmd
}

func (a *app) oauthLogin(ctx context.Context, cfg *config.Config, name, account string, device, noBrowser bool) error {
	a.resolver = credential.NewResolver(credential.TerminalPrompter{})
	broker, err := newBrokers(cfg, a.resolver).get(name)
	if err != nil {
		return err
	}
	if account == "" {
		account = broker.Owner
	}
	if account == "" && broker.Flow == oauth.Delegated {
		return hinted{errors.New("--account is missing: whose sign-in is it"), fmt.Sprintf("mailproof credentials login %s --account USER", name)}
	}
	claims, err := broker.Login(ctx, account, device, loginUI{a, noBrowser})
	if err != nil {
		return err
	}
	if claims.User != "" && !strings.EqualFold(claims.User, account) {
		a.warnf("the sign-in was that of %s, and is kept for %s: it must be allowed to open that mailbox", clean(claims.User), clean(account))
	}
	fmt.Fprintf(a.out, "signed in: %s by oauth:%s, kept in %s\n", clean(account), name, broker.Cache.Place())
	a.hintf("mailproof credentials test tries it against the mail server")
	return nil
}

// loginUI tells a person what to do, on stderr.
type loginUI struct {
	app       *app
	noBrowser bool
}

// Visit implements [oauth.UI].
func (u loginUI) Visit(address string) {
	u.app.notef("open this address in a browser of this machine, and sign in:\n%s", address)
	if u.noBrowser || !u.app.term.ErrIsTTY {
		return
	}
	if err := openBrowser(address); err != nil {
		u.app.notef("no browser could be opened: %v", err)
	}
}

// Enter implements [oauth.UI].
func (u loginUI) Enter(address, complete, code string, until time.Time) {
	text := fmt.Sprintf("open %s on any device, sign in, and enter the code %s", clean(address), clean(code))
	if complete != "" {
		text += fmt.Sprintf("\nor open %s", clean(complete))
	}
	if !until.IsZero() {
		text += fmt.Sprintf("\nthe code is good until %s", until.Local().Format("15:04 MST"))
	}
	u.app.notef("%s", text)
}

// openBrowser hands an address to the desktop. It holds no secret: the proof key
// that makes its code worth something stays here.
func openBrowser(address string) error {
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("not an address of the web")
	}
	program, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		program = "open"
	case "windows":
		program, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
			return errors.New("there is no desktop session")
		}
	}
	cmd := exec.Command(program, args...)
	cmd.Env = credential.Environ()
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait() }() // how it ends says nothing
	return nil
}

// caches are the places where sign-ins are kept, each once, with the sections
// that keep theirs there.
func (a *app) caches(cfg *config.Config) ([]oauth.Cache, error) {
	a.resolver = credential.NewResolver(credential.TerminalPrompter{})
	b := newBrokers(cfg, a.resolver)
	var out []oauth.Cache
	names := make([]string, 0, len(cfg.OAuth))
	for name := range cfg.OAuth {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		broker, err := b.get(name)
		if err != nil {
			return nil, err
		}
		if broker.Flow == oauth.Delegated && !slices.Contains(out, broker.Cache) {
			out = append(out, broker.Cache)
		}
	}
	return out, nil
}

func (a *app) credentialsListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "the sections of mailproof.toml, and the sign-ins that are kept",
		Long:    `list shows the sections [oauth.NAME] and whose sign-ins are kept, without the tokens.`,
		Example: `  mailproof credentials list --dir northgate`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			return a.listCredentials(cmd.Context(), cfg, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON, schema mailproof/credential-list/1")
	return cmd
}

// keptJSON is one sign-in that is kept.
type keptJSON struct {
	oauth.Entry
	Place string `json:"place"`
}

func (a *app) listCredentials(ctx context.Context, cfg *config.Config, asJSON bool) error {
	caches, err := a.caches(cfg)
	if err != nil {
		return err
	}
	kept := []keptJSON{}
	for _, c := range caches {
		list, err := c.List(ctx)
		if err != nil {
			return fmt.Errorf("sign-ins in %s: %w", c.Place(), err)
		}
		for _, e := range list {
			kept = append(kept, keptJSON{e, c.Place()})
		}
	}
	type section struct {
		Name     string `json:"name"`
		Flow     string `json:"flow"`
		Provider string `json:"provider,omitempty"`
	}
	sections := []section{}
	for name, s := range cfg.OAuth {
		sections = append(sections, section{name, s.FlowName(), s.Provider})
	}
	slices.SortFunc(sections, func(x, y section) int { return strings.Compare(x.Name, y.Name) })
	if asJSON {
		return writeJSON(a.out, struct {
			Schema   string     `json:"schema"`
			Sections []section  `json:"sections"`
			Kept     []keptJSON `json:"kept"`
		}{"mailproof/credential-list/1", sections, kept})
	}
	for _, s := range sections {
		fmt.Fprintf(a.out, "oauth:%-16s %-16s %s\n", s.Name, s.Flow, s.Provider)
	}
	if len(kept) == 0 {
		fmt.Fprintln(a.out, "no sign-ins are kept")
		return nil
	}
	fmt.Fprintln(a.out)
	t := a.table("section", "account", "signed in or renewed", "kept in")
	for _, k := range kept {
		t.row(k.Section, clean(k.Key), k.Obtained.Local().Format("2006-01-02 15:04 MST"), k.Place)
	}
	t.print()
	return nil
}

func (a *app) credentialsForgetCommand() *cobra.Command {
	var account string
	cmd := &cobra.Command{
		Use:   "forget NAME",
		Short: "remove the sign-ins of [oauth.NAME] from where they are kept",
		Long: `forget removes the sign-in of one account, or of all accounts of a section, from the
keyring or the age file. The authorisation server is not told: to withdraw the
consent itself, use its own page.

Exit codes: 0 removed, 1 there was none, 2 could not run.`,
		Example: `  mailproof credentials forget m365 --account anna@northgate.example
  mailproof credentials forget m365`,
		Args: wants("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			return a.forgetCredentials(cmd.Context(), cfg, args[0], account)
		},
	}
	cmd.Flags().StringVar(&account, "account", "", "only this `user`'s")
	return cmd
}

func (a *app) forgetCredentials(ctx context.Context, cfg *config.Config, name, account string) error {
	caches, err := a.caches(cfg)
	if err != nil {
		return err
	}
	removed := 0
	for _, c := range caches {
		n, err := forget(ctx, c, name, account)
		if err != nil {
			return fmt.Errorf("sign-ins in %s: %w", c.Place(), err)
		}
		removed += n
	}
	fmt.Fprintf(a.out, "forgotten: %s\n", countOf(int64(removed), "sign-in"))
	if removed == 0 {
		return exit{mailproof.Incomplete.ExitCode()}
	}
	return nil
}

func forget(ctx context.Context, c oauth.Cache, name, account string) (removed int, err error) {
	list, err := c.List(ctx)
	if err != nil {
		return 0, err
	}
	for _, e := range list {
		if e.Section != name || account != "" && !strings.EqualFold(e.Key, account) {
			continue
		}
		unlock, err := c.Lock(ctx, e.Section, e.Key)
		if err != nil {
			return removed, err
		}
		found, err := c.Delete(ctx, e.Section, e.Key)
		if err = errors.Join(err, unlock()); err != nil {
			return removed, err
		}
		if found {
			removed++
		}
	}
	return removed, nil
}
