package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/credential"
	"github.com/mailproof/mailproof/report/evidence"
)

// evidenceCommands are those about the sealed bundle.
func (a *app) evidenceCommands() []*cobra.Command {
	return []*cobra.Command{a.keyCommand(), a.sealCommand(), a.verifyCommand(), a.proveCommand(), a.countersignCommand()}
}

const ownKey = "a key that mailproof made shows that the same key signed, and not whose it is: give the fingerprint to the other party on paper or by telephone"

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "make a signing key, or show the fingerprint of one",
		Long: `key makes and shows the Ed25519 keys that seal and countersign sign with. Any such
key will do: one of ssh-keygen -t ed25519, or one of openssl genpkey.

A key that mailproof made shows that the same key signed, and not whose it is:
give the fingerprint to the other party on paper or by telephone.`,
		Example: `  mailproof key new ~/keys/northgate.pem
  mailproof key new ~/keys/northgate.pem --passphrase prompt
  mailproof key show ~/.ssh/id_ed25519.pub`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.keyNewCommand(), a.keyShowCommand())
	return cmd
}

func (a *app) keyNewCommand() *cobra.Command {
	var passphrase string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "new [FILE]",
		Short: "make a signing key, readable by you alone",
		Long: `new makes an Ed25519 key and writes it to FILE with mode 0600, as PKCS #8 in PEM or,
with a passphrase, as an encrypted OpenSSH key. An existing file is not touched.
Without FILE the key lies where seal looks for one: mailproof/signing-key.pem in
your configuration directory, and in no engagement's.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := keyPath(args)
			if err != nil {
				return err
			}
			key, err := a.newKey(cmd.Context(), path, passphrase)
			if err != nil {
				return err
			}
			return a.printKey(path, key.Public(), asJSON)
		},
	}
	cmd.Flags().StringVar(&passphrase, "passphrase", "", "encrypt it: `reference` to the passphrase, such as prompt, env:NAME or file:PATH")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON, schema mailproof/key/1")
	return cmd
}

func (a *app) keyShowCommand() *cobra.Command {
	var passphrase string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [FILE]",
		Short: "show the fingerprint and the public half of a key",
		Long: `show prints the fingerprint of a private or public key, the same as ssh-keygen -lf
prints, and the public key for whoever verifies.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := keyPath(args)
			if err != nil {
				return err
			}
			public, err := a.readPublicKey(cmd.Context(), path, passphrase)
			if err != nil {
				return err
			}
			return a.printKey(path, public, asJSON)
		},
	}
	cmd.Flags().StringVar(&passphrase, "passphrase", "", "of an encrypted private key: `reference` to the passphrase")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON, schema mailproof/key/1")
	return cmd
}

// keyPath is the file that was named, or the default one.
func keyPath(args []string) (string, error) {
	if len(args) > 0 && args[0] != "" {
		return args[0], nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", hinted{fmt.Errorf("no place for a key: %w", err), "name the file"}
	}
	return filepath.Join(dir, "mailproof", "signing-key.pem"), nil
}

// newKey makes a key and writes it. A key that is there is never replaced: what
// it signed could not be continued.
func (a *app) newKey(ctx context.Context, path, reference string) (evidence.Key, error) {
	key, err := evidence.NewKey()
	if err != nil {
		return key, err
	}
	var passphrase mailproof.Secret
	if reference != "" {
		if passphrase, err = a.secret(ctx, reference); err != nil {
			return key, err
		}
	}
	text, err := key.PEM(passphrase)
	if err != nil {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return key, fmt.Errorf("key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return key, hinted{fmt.Errorf("key: %s exists", path), "mailproof key show " + path + " shows its fingerprint; name another file for a new key"}
	}
	if err != nil {
		return key, fmt.Errorf("key: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return key, errors.Join(fmt.Errorf("key: %w", err), os.Remove(path))
	}
	return key, nil
}

// secret resolves one reference to a passphrase.
func (a *app) secret(ctx context.Context, reference string) (mailproof.Secret, error) {
	ref, err := credential.Parse(reference)
	if err != nil {
		return mailproof.Secret{}, err
	}
	resolver := credential.NewResolver(credential.TerminalPrompter{})
	s, err := resolver.Resolve(ctx, ref)
	for _, w := range resolver.Warnings() {
		a.warnf("%s", w)
	}
	return s, err
}

// readKey reads a private key.
func (a *app) readKey(ctx context.Context, path, reference string) (evidence.Key, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return evidence.Key{}, fmt.Errorf("key: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		a.warnf("%s can be read by others: chmod 600 it", path)
	}
	key, err := evidence.ParseKey(data, func() (mailproof.Secret, error) {
		if reference == "" {
			return mailproof.Secret{}, hinted{fmt.Errorf("%w", evidence.ErrPassphrase), "give --key-passphrase prompt, env:NAME or file:PATH"}
		}
		return a.secret(ctx, reference)
	})
	if err != nil {
		return key, fmt.Errorf("key %s: %w", path, err)
	}
	return key, nil
}

// readPublicKey reads a public key, or the public half of a private one.
func (a *app) readPublicKey(ctx context.Context, path, reference string) (evidence.PublicKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return evidence.PublicKey{}, fmt.Errorf("key: %w", err)
	}
	public, err := evidence.ParsePublicKey(data)
	if err == nil {
		return public, nil
	}
	key, perr := a.readKey(ctx, path, reference)
	if perr != nil {
		if errors.Is(perr, evidence.ErrPassphrase) {
			return public, perr
		}
		return public, fmt.Errorf("key %s: %w", path, err)
	}
	return key.Public(), nil
}

type keyJSON struct {
	Schema      string `json:"schema"`
	File        string `json:"file"`
	Fingerprint string `json:"fingerprint"`
	SSH         string `json:"ssh"`
	PEM         string `json:"pem"`
}

func (a *app) printKey(path string, key evidence.PublicKey, asJSON bool) error {
	pem, err := key.PEM()
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(a.out, keyJSON{"mailproof/key/1", path, key.Fingerprint(), key.SSH(), string(pem)})
	}
	fmt.Fprintf(a.out, "%s  %s\n\n%s\n\n%s", key.Fingerprint(), path, key.SSH(), pem)
	return nil
}
