package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
)

// recipientFlags are those of check --recipients.
type recipientFlags struct {
	file, from string
	hosts      []string
}

func (f *recipientFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.file, "recipients", "", "ask the new mail server whether it takes mail for every mailbox, alias and list of this `file`, one address a line;\nno mail is sent, but the server sees the addresses")
	fs.StringVar(&f.from, "probe-from", "", "with --recipients: envelope sender `address` (default: the null sender)")
	fs.StringArrayVar(&f.hosts, "smtp", nil, "with --recipients: where a mail server of the new provider answers, `HOST=IP[:PORT]` (may be repeated)")
	_ = cmd.MarkFlagFilename("recipients", "txt")
}

var errNoRecipients = errors.New("--probe-from and --smtp go with --recipients")

func (f *recipientFlags) options() (engagement.RecipientOptions, error) {
	o := engagement.RecipientOptions{File: f.file, From: f.from}
	if f.file == "" && (f.from != "" || len(f.hosts) > 0) {
		return o, hinted{errNoRecipients, "add --recipients FILE"}
	}
	for _, h := range f.hosts {
		if err := o.AddHost(h); err != nil {
			return o, err
		}
	}
	return o, nil
}

// printRecipients prints the findings about recipients.
func (a *app) printRecipients(findings []mailproof.Finding) {
	for _, f := range findings {
		a.printFinding(f)
	}
}

// notGood counts the findings that stand in the way.
func notGood(findings []mailproof.Finding) int {
	n := 0
	for _, f := range findings {
		if f.Outcome == mailproof.OutcomeFail || f.Outcome == mailproof.OutcomeUnknown {
			n++
		}
	}
	return n
}
