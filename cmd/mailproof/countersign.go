package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/report/evidence"
)

type countersignFlags struct {
	key, passphrase, name string
	verify                verifyFlags
}

func (a *app) countersignCommand() *cobra.Command {
	var f countersignFlags
	cmd := &cobra.Command{
		Use:   "countersign [BUNDLE]",
		Short: "add a second party's signature to a bundle",
		Long: `countersign verifies a bundle, as verify does, and adds your signature beside that of
who sealed it. Nothing that is signed is changed: the first signature stays valid,
and each can be checked alone. A bundle in which something is wrong is not signed.

With --fingerprint or --key-of you say whose bundle you expect; without, you sign
what it holds, by whomever.

The exit code is 0 where it was signed, 1 where something is wrong with the
bundle, and 2 where it could not be signed.`,
		Example: `  mailproof countersign bundle.zip --key customer.pem \
      --name "Jane Doe, Northgate Surveyors Ltd" --fingerprint SHA256:…`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) > 0 {
				path = args[0]
			}
			return a.countersign(cmd.Context(), a.bundlePath(path), &f)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.key, "key", "", "your Ed25519 private key `file`: PEM (PKCS #8) or OpenSSH")
	fs.StringVar(&f.passphrase, "key-passphrase", "", "`reference` to the passphrase of the key: prompt, env:NAME, file:PATH, …")
	fs.StringVar(&f.name, "name", "", "your `name` and organisation, as they are to stand beside the signature")
	fs.StringArrayVar(&f.verify.fingerprints, "fingerprint", nil, "`SHA256:…` of the key that the bundle must be signed with")
	fs.StringArrayVar(&f.verify.keys, "key-of", nil, "public key `file` that the bundle must be signed with")
	fs.StringVar(&f.verify.tsaCA, "tsa-ca", "", "certificates of the timestamp authority, a PEM `file`")
	fs.BoolVar(&f.verify.json, "json", false, "print as JSON, schema mailproof/countersign/1")
	return cmd
}

func (a *app) countersign(ctx context.Context, path string, f *countersignFlags) error {
	if f.name == "" {
		return hinted{errors.New("--name is missing: a signature names who signs"), `write --name "First Last, Organisation"`}
	}
	if f.key == "" {
		return hinted{errors.New("--key is missing"), "mailproof key new FILE makes one; a key of ssh-keygen -t ed25519 will do"}
	}
	key, err := a.readKey(ctx, f.key, f.passphrase)
	if err != nil {
		return err
	}
	trust, _, err := a.trust(ctx, &f.verify)
	if err != nil {
		return err
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	v, err := a.verification(ctx, path, trust)
	if err != nil {
		return err
	}
	if v.Outcome() == mailproof.OutcomeFail {
		for _, p := range v.Problems {
			a.remark("  " + p.Check + ": " + p.String())
		}
		a.notef("nothing was signed: the bundle is not as it was sealed, or not by whom it should be")
		return exit{exitFailed}
	}
	role, err := evidence.Countersign(ctx, path, evidence.CountersignOptions{Key: key, Name: f.name})
	if err != nil {
		return err
	}
	fingerprint := key.Public().Fingerprint()
	if f.verify.json {
		return writeJSON(a.out, struct {
			Schema      string `json:"schema"`
			Bundle      string `json:"bundle"`
			Role        string `json:"role"`
			Name        string `json:"name"`
			Fingerprint string `json:"key_fingerprint"`
		}{"mailproof/countersign/1", v.Bundle, role, f.name, fingerprint})
	}
	a.fold(2, fmt.Sprintf("%s signed as %s: %s", v.Bundle, role, f.name))
	a.fold(2, "  "+fingerprint)
	if len(trust.Fingerprints) == 0 {
		a.notef("whose bundle it is was not checked: no --fingerprint was given")
	}
	return nil
}
