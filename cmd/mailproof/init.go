package main

import (
	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof/cmd/internal/config"
)

func (a *app) initCommand() *cobra.Command {
	var v config.TemplateValues
	cmd := &cobra.Command{
		Use:   "init",
		Short: "write mailproof.toml and mailboxes.csv to fill in",
		Long: `init writes two files into the engagement's directory: mailproof.toml, where every
setting is listed with its meaning, and mailboxes.csv, the list of accounts. It
overwrites nothing.

No password belongs into either: passwords are given by reference, such as
env:NAME or file:PATH.`,
		Example: `  mailproof init --dir northgate --customer "Northgate Surveyors Ltd" \
      --source-host imap.oldhost.example --destination-host imap.meridian.example --domain northgate.example`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			written, err := config.WriteTemplates(a.dir, v)
			for _, path := range written {
				a.term.Println(path)
			}
			if err != nil {
				return err
			}
			a.hintf("fill in both, then mailproof check --dir %s shows whether all is ready", a.dir)
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&v.ID, "id", "", "short name of the engagement, as NG-2026-11")
	fs.StringVar(&v.Name, "name", "", "name of the project")
	fs.StringVar(&v.Customer, "customer", "", "the customer's organisation")
	fs.StringVar(&v.Provider, "provider", "", "the provider that migrates")
	fs.StringVar(&v.Reviewer, "reviewer", "", "who checks the proof")
	fs.StringSliceVar(&v.Domains, "domain", nil, "mail `domain` that moves (may be repeated)")
	fs.StringVar(&v.SourceHost, "source-host", "", "the old server, as imap.old.example")
	fs.StringVar(&v.DestinationHost, "destination-host", "", "the new server")
	return cmd
}
