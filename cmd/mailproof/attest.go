package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
)

func (a *app) attestCommand() *cobra.Command {
	var at mailproof.Attestation
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "attest STEP --by NAME --note TEXT",
		Short: "record a person's word for a step of the runbook",
		Long: `attest records that a person says a step of the runbook was done: who, when, and
a note. The steps are those of mailproof runbook. A measured step takes its state
from evidence and cannot be ticked by hand; attest then says what to run.

The last step, agreed, needs both: it takes the word of those who agree only
when the comparison ends in COMPLETE or COMPLETE WITH ACCEPTED EXCEPTIONS.

--not-applicable says that the engagement does not have the step, where it may
lack it; --withdraw takes the last word on a step back. Words are only ever added
to the ledger, and the last one on a step holds.`,
		Example: `  mailproof attest terms --by "A. Lindgren" --note "plan of 12 November, version 3"
  mailproof attest add-ons --by "B. Person" --note "none were ordered" --not-applicable
  mailproof attest agreed --by "A. Lindgren" --note "meeting of 4 December"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return hinted{fmt.Errorf("attest takes one step, not %d", len(args)), "mailproof runbook lists the steps"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			at.Step, at.By, at.Note = args[0], strings.TrimSpace(at.By), strings.TrimSpace(at.Note)
			return a.attest(cmd, at, asJSON)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&at.By, "by", "", "`name` of the person whose word it is")
	fs.StringVar(&at.Note, "note", "", "what the word rests on, `text` for the report")
	fs.BoolVar(&at.NotApplicable, "not-applicable", false, "the engagement does not have this step")
	fs.BoolVar(&at.Withdrawn, "withdraw", false, "take the last word on the step back")
	fs.BoolVar(&asJSON, "json", false, "print the step as it stands as JSON, schema mailproof/attest/1")
	cmd.MarkFlagsMutuallyExclusive("not-applicable", "withdraw")
	return cmd
}

func (a *app) attest(cmd *cobra.Command, at mailproof.Attestation, asJSON bool) error {
	switch {
	case at.By == "":
		return hinted{errors.New("--by is missing: a word has somebody who gives it"), "write --by \"First Last\""}
	case at.Note == "":
		return hinted{errors.New("--note is missing: say what the word rests on"), "write --note TEXT; it stands in the report"}
	}
	if err := a.ledgerMustExist(); err != nil {
		return err
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	o, err := a.options(cmd, &workFlags{}, cfg)
	if err != nil {
		return err
	}
	return a.withEngagement(cmd.Context(), cfg, o, func(ctx context.Context, e *engagement.Engagement) error {
		item, err := e.Attest(ctx, at)
		var refused *engagement.NotForHands
		if errors.As(err, &refused) {
			return hinted{err, refused.Step.Next}
		}
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(a.out, struct {
				Schema string `json:"schema"`
				*engagement.RunbookItem
			}{"mailproof/attest/1", item})
		}
		a.printSteps([]engagement.RunbookItem{*item})
		return nil
	})
}
