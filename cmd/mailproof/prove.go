package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/report/evidence"
)

type proveFlags struct {
	bundle, kept, reveal string
	account, folder      string
	uid, uidValidity     uint32
	side, tree, out      string
}

func (a *app) proveCommand() *cobra.Command {
	var f proveFlags
	cmd := &cobra.Command{
		Use:   "prove [E-001]",
		Short: "extract the proof of one message from a bundle",
		Long: `prove writes the proof of one message: its line, and the path of hashes from there
to the signed root (C2SP tlog-proof, about 2 kB). Who has it and the signer's public
key can check it without the bundle, and learns nothing about any other message.

A message is named by the number of its exception, or by account, folder and UID.
In a redacted bundle these are pseudonyms; with --reveal they are given as they are.

The line is that of the verdict, which cites the lines of both inventories; --tree
source and --tree destination prove those.`,
		Example: `  mailproof prove E-003 > E-003.tlog-proof
  mailproof prove --account anna@example.com --folder INBOX --uid 4411 -o anna.tlog-proof
  mailproof prove --bundle redacted.zip --reveal mailproof.reveal \
      --account anna@example.com --folder INBOX --uid 4411
  mailproof verify --proof anna.tlog-proof --key provider.pub`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			w, err := f.wanted(args)
			if err != nil {
				return err
			}
			return a.prove(cmd.Context(), &f, w)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.bundle, "bundle", "", "the bundle, a directory or a zip: `path` (default: bundle, in the engagement's directory)")
	fs.StringVar(&f.kept, "kept", "", "of a summary: `directory` with the lines that were kept (default: beside it, with the ending .kept)")
	fs.StringVar(&f.reveal, "reveal", "", "reveal map `file`: take --account and --folder as they are")
	fs.StringVar(&f.account, "account", "", "`account` of the message")
	fs.StringVar(&f.folder, "folder", "", "`folder` of the message")
	fs.Uint32Var(&f.uid, "uid", 0, "UID of the message")
	fs.Uint32Var(&f.uidValidity, "uidvalidity", 0, "UIDVALIDITY of its folder, where there may be several")
	fs.StringVar(&f.side, "side", "source", "where account, folder and UID are meant: source or destination")
	fs.StringVar(&f.tree, "tree", "verdicts", "what to prove: the line of verdicts, source or destination")
	fs.StringVarP(&f.out, "output", "o", "", "`file` to write (default: stdout)")
	return cmd
}

func (f *proveFlags) wanted(args []string) (w evidence.Wanted, err error) {
	byName := f.account != "" || f.folder != "" || f.uid != 0
	switch {
	case len(args) == 1 && byName:
		return w, errors.New("a message is named by the number of its exception or by --account, --folder and --uid, not by both")
	case len(args) == 1 && !strings.HasPrefix(args[0], "E-") && !strings.HasPrefix(args[0], "N-"):
		return w, hinted{fmt.Errorf("%q is no number of an exception", args[0]), "write E-001, or name the message by --account, --folder and --uid"}
	case len(args) == 1:
		w.Exception = args[0]
	case f.account == "" || f.folder == "" || f.uid == 0:
		return w, hinted{errors.New("no message is named"), "give the number of its exception, or --account, --folder and --uid"}
	}
	switch f.tree {
	case "verdicts", "source", "destination":
	default:
		return w, hinted{fmt.Errorf("--tree %s is not known", f.tree), "write verdicts, source or destination"}
	}
	if w.Side, err = mailproof.ParseSide(f.side); err != nil {
		return w, hinted{fmt.Errorf("--side %s is not known", f.side), "write source or destination"}
	}
	w.Account, w.Folder, w.UID, w.UIDValidity, w.Tree = f.account, f.folder, mailproof.UID(f.uid), f.uidValidity, f.tree
	return w, nil
}

func (a *app) prove(ctx context.Context, f *proveFlags, w evidence.Wanted) error {
	if f.reveal != "" {
		reveal, err := engagement.ReadReveal(f.reveal)
		if err != nil {
			return err
		}
		w.Account, w.Folder = reveal.Of(evidence.FieldAccount, w.Account), reveal.Of(evidence.FieldFolder, w.Folder)
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	bundle := a.bundlePath(f.bundle)
	kept := f.kept
	if kept == "" {
		kept = keptPath(bundle)
	}
	p, err := evidence.Prove(ctx, bundle, kept, w)
	switch {
	case errors.Is(err, evidence.ErrNotThere):
		return hinted{err, "names are written as in the bundle; in a redacted one give --reveal, or the number of the exception"}
	case errors.Is(err, evidence.ErrNoBundle):
		return hinted{err, "mailproof seal makes one; --bundle PATH names another"}
	case err != nil:
		return err
	}
	if f.out == "" {
		_, err = a.out.Write(p.Text())
		return err
	}
	if err := os.WriteFile(f.out, p.Text(), 0o644); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	a.hintf("mailproof verify --proof %s --key FILE, with the signer's public key", f.out)
	return nil
}
