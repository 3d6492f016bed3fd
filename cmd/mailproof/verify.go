package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/report/evidence"
)

// Exit codes of verify beside 0.
const (
	exitFailed  = 1
	exitUnknown = 3
)

type verifyFlags struct {
	keys, fingerprints []string
	tsaCA              string
	proof, reveal      string
	json               bool
}

func (a *app) verifyCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify [BUNDLE]",
		Short: "check an evidence bundle, or the proof of one message",
		Long: `verify checks a bundle, a directory or a zip, without any network and without the
ledger: every file and line, the roots of the hash trees, the signatures, the
timestamp, that every message has one verdict and that the verdicts make the
numbers of the report. It names file and line of what is wrong, and goes on.

A bundle holds the key that it is signed with, and who forges the one can forge
the other. So tell it the signer's fingerprint, which you have from elsewhere, by
--fingerprint, or the public key by --key. Without either the best answer is "as it
was signed, by whomever", and the exit code 3.

With --proof it checks what mailproof prove wrote. The key comes from --key, or
from BUNDLE.

Exit codes: 0 everything holds and the key is one that you gave; 1 something is
wrong; 3 nothing is wrong, but something could not be told: whose key it is, or,
without --tsa-ca, whose word the timestamp is; 2 there is no bundle to check.`,
		Example: `  mailproof verify --fingerprint SHA256:… bundle
  mailproof verify --key provider.pub --tsa-ca tsa-ca.pem bundle.zip
  mailproof verify --proof message.tlog-proof --key provider.pub`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			trust, keys, err := a.trust(cmd.Context(), &f)
			if err != nil {
				return err
			}
			if f.proof != "" {
				return a.verifyProof(&f, args, trust, keys)
			}
			path := a.within(engagement.BundleDir)
			if len(args) > 0 {
				path = args[0]
			}
			return a.verify(cmd.Context(), path, trust, f.json)
		},
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&f.keys, "key", nil, "public key `file` of a signer: PEM or OpenSSH (may be repeated)")
	fs.StringArrayVar(&f.fingerprints, "fingerprint", nil, "`SHA256:…` of a signer's key (may be repeated)")
	fs.StringVar(&f.tsaCA, "tsa-ca", "", "certificates of the timestamp authority, a PEM `file`")
	fs.StringVar(&f.proof, "proof", "", "check the proof of one message in this `file`")
	fs.StringVar(&f.reveal, "reveal", "", "reveal map, to show the names of a redacted proof: `file`")
	fs.BoolVar(&f.json, "json", false, "print as JSON, schema mailproof/verify/1")
	return cmd
}

// trust is what the verifier was told about keys.
func (a *app) trust(ctx context.Context, f *verifyFlags) (t evidence.Trust, keys []evidence.PublicKey, err error) {
	for _, path := range f.keys {
		key, err := a.readPublicKey(ctx, path, "")
		if err != nil {
			return t, nil, err
		}
		keys = append(keys, key)
		t.Fingerprints = append(t.Fingerprints, key.Fingerprint())
	}
	for _, text := range f.fingerprints {
		fp, err := evidence.CheckFingerprint(text)
		if err != nil {
			return t, nil, err
		}
		t.Fingerprints = append(t.Fingerprints, fp)
	}
	if f.tsaCA != "" {
		t.TSA, err = readRoots(f.tsaCA)
	}
	return t, keys, err
}

// verifyJSON is what verify prints with --json.
type verifyJSON struct {
	Schema   string            `json:"schema"`
	Outcome  mailproof.Outcome `json:"outcome"` // pass, fail or unknown
	ExitCode int               `json:"exit_code"`
	*evidence.Verification
}

func (a *app) verify(ctx context.Context, path string, trust evidence.Trust, asJSON bool) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	started := time.Now()
	v, err := a.verification(ctx, path, trust)
	if err != nil {
		if errors.Is(err, evidence.ErrNoBundle) {
			return hinted{err, "give the directory or the zip of a bundle: mailproof verify PATH"}
		}
		return err
	}
	result := outcomeExit(v.Outcome())
	if asJSON {
		return errors.Join(writeJSON(a.out, verifyJSON{"mailproof/verify/1", v.Outcome(), exitOf(result), v}), result)
	}
	a.printVerification(v, path, time.Since(started))
	return result
}

// verification verifies a bundle and shows how far it is.
func (a *app) verification(ctx context.Context, path string, trust evidence.Trust) (*evidence.Verification, error) {
	planned, done, stop := a.lineBar("verify")
	defer stop()
	return evidence.Verify(ctx, path, evidence.VerifyOptions{Trust: trust, Planned: planned, Progress: done})
}

// outcomeExit turns the outcome of a verification into the command's result.
func outcomeExit(o mailproof.Outcome) error {
	switch o {
	case mailproof.OutcomePass:
		return nil
	case mailproof.OutcomeFail:
		return exit{exitFailed}
	default:
		return exit{exitUnknown}
	}
}

func (a *app) printVerification(v *evidence.Verification, path string, took time.Duration) {
	sealed := ""
	if !v.Sealed.IsZero() {
		sealed = "  sealed " + terminal.Time(v.Sealed)
	}
	fmt.Fprintf(a.out, "%s  %s%s\n\n", clean(v.Bundle), clean(v.Profile), sealed)
	for _, c := range v.Checks {
		word, text := "holds", c.Text
		switch c.Outcome {
		case mailproof.OutcomeFail:
			word, text = "WRONG", terminal.Of(c.Problems, "problem", "problems")
		case mailproof.OutcomeUnknown:
			word = "unknown"
		}
		a.fold(verifyText, fmt.Sprintf("  %-18s %-8s %s", c.Check, word, text))
	}
	fmt.Fprintln(a.out)
	for _, s := range v.Signatures {
		a.printSignature(s)
	}
	if len(v.Problems) > 0 {
		fmt.Fprintln(a.out)
	}
	for _, p := range v.Problems {
		a.fold(6, fmt.Sprintf("  %s: %s", p.Check, p.String()))
	}
	var rest int64
	for _, c := range v.Checks {
		rest += c.Problems
	}
	if rest -= int64(len(v.Problems)); rest > 0 {
		fmt.Fprintf(a.out, "  … %s more of the same kinds\n", count(rest))
	}
	fmt.Fprintln(a.out)
	a.printVerifyAnswer(v, path, took)
}

// verifyText is the column in which the words of a check begin.
const verifyText = 30

// printSignature prints who signed, in one line where it fits.
func (a *app) printSignature(s evidence.SignedBy) {
	known := "not compared with a key from elsewhere"
	if s.Trusted {
		known = "the key that you gave"
	}
	name := s.Role
	if s.Name != "" {
		name += ", " + s.Name
	}
	line := "  signed by " + name + "  " + s.Fingerprint + "  " + known
	if terminal.Width(clean(line)) > a.term.Width() {
		a.fold(6, "  signed by "+name)
		line = "    " + s.Fingerprint + "  " + known
	}
	a.fold(6, line)
}

func (a *app) printVerifyAnswer(v *evidence.Verification, path string, took time.Duration) {
	switch v.Outcome() {
	case mailproof.OutcomePass:
		a.fold(2, fmt.Sprintf("the bundle is as it was signed; the verdict in it is %s   %s", v.Verdict, terminal.Duration(took)))
	case mailproof.OutcomeFail:
		fmt.Fprintf(a.out, "the bundle is NOT as it was signed, or not by whom it should be\n")
	default:
		a.fold(2, fmt.Sprintf("nothing is wrong with the bundle, but not everything could be told; the verdict in it is %s   %s", v.Verdict, terminal.Duration(took)))
		for _, c := range v.Checks {
			if c.Check == evidence.CheckKey && c.Outcome == mailproof.OutcomeUnknown {
				a.hintf("ask the signer for the fingerprint, and not by the way that the bundle came: mailproof verify --fingerprint SHA256:… %s", path)
			}
			if c.Check == evidence.CheckTimestamp && c.Outcome == mailproof.OutcomeUnknown {
				a.hintf("get the authority's certificate from the authority, and give --tsa-ca FILE")
			}
		}
	}
}

// provenJSON is what verify --proof prints with --json.
type provenJSON struct {
	Schema   string            `json:"schema"`
	Outcome  mailproof.Outcome `json:"outcome"`
	ExitCode int               `json:"exit_code"`
	Error    string            `json:"error,omitempty"`
	evidence.Proven
	Trusted bool `json:"trusted"` // the key is one that was given
}

// verifyProof checks a proof with the key that was given, or with that of a
// bundle, whose word it then is.
func (a *app) verifyProof(f *verifyFlags, args []string, trust evidence.Trust, keys []evidence.PublicKey) error {
	data, err := os.ReadFile(f.proof)
	if err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	p, err := evidence.ParseProof(data)
	if err != nil {
		return fmt.Errorf("%s: %w", f.proof, err)
	}
	trusted := len(keys) > 0
	if !trusted && len(args) > 0 {
		key, err := evidence.ReadSigner(args[0])
		if err != nil {
			return err
		}
		keys = []evidence.PublicKey{key}
		for _, fp := range trust.Fingerprints {
			trusted = trusted || fp == key.Fingerprint()
		}
	}
	proven, err := checkProof(p, keys)
	out := provenJSON{Schema: "mailproof/proof/1", Outcome: mailproof.OutcomePass, Proven: proven, Trusted: trusted && proven.Signed}
	switch {
	case err != nil, len(trust.Fingerprints) > 0 && proven.Signed && !trusted:
		out.Outcome = mailproof.OutcomeFail
		if err == nil {
			err = fmt.Errorf("it is signed with the key %s, which is not the one that was given", proven.Fingerprint)
		}
		out.Error = err.Error()
	case !out.Trusted:
		out.Outcome = mailproof.OutcomeUnknown
	}
	out.ExitCode = exitOf(outcomeExit(out.Outcome))
	if f.json {
		return errors.Join(writeJSON(a.out, out), outcomeExit(out.Outcome))
	}
	return a.printProof(f, out)
}

// checkProof tries the keys until one fits.
func checkProof(p *evidence.Proof, keys []evidence.PublicKey) (r evidence.Proven, err error) {
	if len(keys) == 0 {
		return p.Check(evidence.PublicKey{})
	}
	for _, k := range keys {
		if r, err = p.Check(k); err == nil {
			return r, nil
		}
	}
	return r, err
}

func (a *app) printProof(f *verifyFlags, p provenJSON) error {
	if p.Outcome == mailproof.OutcomeFail {
		a.fold(2, "the proof does NOT hold: "+p.Error)
		return outcomeExit(p.Outcome)
	}
	var reveal *engagement.Reveal
	if f.reveal != "" {
		var err error
		if reveal, err = engagement.ReadReveal(f.reveal); err != nil {
			return err
		}
	}
	account, folder := reveal.Name(evidence.FieldAccount, p.Account), reveal.Name(evidence.FieldFolder, p.Folder)
	a.fold(2, fmt.Sprintf("%s, folder %s, uid %d", account, folder, p.UID))
	if p.Verdict != "" {
		fmt.Fprintf(a.out, "verdict   %s\n", clean(p.Verdict))
	}
	fmt.Fprintf(a.out, "line      %s of %s in %s\nroot      %s\n\n", count(p.Index+1), count(p.Size), clean(p.Origin), p.Root)
	fmt.Fprintf(a.out, "%s\n\n", clean(p.Leaf)) // in one line, as it was hashed
	switch {
	case p.Trusted:
		a.fold(2, fmt.Sprintf("the line belongs to the tree that the key %s signed", p.Fingerprint))
	case p.Signed:
		a.fold(2, fmt.Sprintf("the line belongs to the tree that the key %s signed; that it is the signer's is the word of the bundle alone", p.Fingerprint))
		a.hintf("give --fingerprint SHA256:… or --key FILE, as the signer told you by another way")
	default:
		fmt.Fprintln(a.out, "the line belongs to the root; who signed that was not checked, for want of a key")
		a.hintf("give --key FILE, the signer's public key, or the bundle beside --fingerprint SHA256:…")
	}
	return outcomeExit(p.Outcome)
}

// bundlePath is the bundle that was named, or that of the engagement: its
// directory, or its zip where there is no directory.
func (a *app) bundlePath(name string) string {
	if name != "" {
		return name
	}
	path := a.within(engagement.BundleDir)
	if _, err := os.Stat(path); err != nil {
		if _, err := os.Stat(path + ".zip"); err == nil {
			return path + ".zip"
		}
	}
	return path
}

// keptPath is where the lines of a summary lie, beside it.
func keptPath(bundle string) string {
	return strings.TrimSuffix(filepath.Clean(bundle), ".zip") + ".kept"
}
