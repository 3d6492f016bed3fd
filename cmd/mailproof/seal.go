package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/report"
	"github.com/mailproof/mailproof/report/evidence"
	"github.com/mailproof/mailproof/report/pdfsign"
)

type sealFlags struct {
	key, passphrase      string
	privacy, out, reveal string
	zip, replace, json   bool
	tsa, tsaCA           string
	signPDF, signPDFKey  string
	report               reportFlags
}

func (a *app) sealCommand() *cobra.Command {
	var f sealFlags
	cmd := &cobra.Command{
		Use:   "seal",
		Short: "build the evidence bundle and sign it",
		Long: `seal compares the latest inventories as diff does and writes the evidence bundle:
one line for every message of both sides and one for every verdict, their hash
trees with signed roots, the decisions, DNS, the passes, the report that cites the
roots, and VERIFY.md with the commands of public tools that check all of it. The
bundle is signed with an Ed25519 key, and takes its name only when it is whole.

--privacy says how much the bundle tells:
  full      everything; for the customer's own files
  redacted  pseudonyms for accounts, folders and subjects, no Message-ID, no
            server; for a bundle that leaves the customer
  summary   the signed roots and the totals; single messages can be proved later
What the pseudonyms stand for is written to mailproof.reveal, beside the ledger.
It is for you alone.

Without --key it signs with ` + "`mailproof key new`" + `'s key, which it makes where there
is none.

The exit code is that of the verdict that was sealed: 0 complete, 1 differences,
3 inconclusive; 2 where no bundle was made.`,
		Example: `  mailproof seal --dir northgate
  mailproof seal --key ~/.ssh/id_ed25519 --key-passphrase prompt --privacy redacted --zip
  mailproof seal --tsa https://tsa.example/tsr --tsa-ca tsa-ca.pem
  mailproof seal --sign-pdf signer.pem --sign-pdf-key signer.key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.seal(cmd, &f) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.key, "key", "", "Ed25519 private key `file` to sign with: PEM (PKCS #8) or OpenSSH")
	fs.StringVar(&f.passphrase, "key-passphrase", "", "`reference` to the passphrase of the key: prompt, env:NAME, file:PATH, …")
	fs.StringVar(&f.privacy, "privacy", "full", "how much the bundle tells: full, redacted or summary")
	fs.StringVar(&f.out, "out", "", "`directory` to make (default: bundle, in the engagement's directory)")
	fs.StringVar(&f.reveal, "reveal", "", "`file` for the key of the pseudonyms and what they stand for (default: mailproof.reveal, in the engagement's directory)")
	fs.BoolVar(&f.zip, "zip", false, "write the bundle as a zip as well, beside the directory")
	fs.BoolVar(&f.replace, "replace", false, "where there is a bundle already, keep it under its id and put the new one in its place")
	fs.StringVar(&f.tsa, "tsa", "", "ask the timestamp authority at `URL` (RFC 3161); it is sent a hash and nothing else")
	fs.StringVar(&f.tsaCA, "tsa-ca", "", "certificates that the authority's must lead to, a PEM `file`")
	fs.StringVar(&f.signPDF, "sign-pdf", "", "sign report.pdf with the `certificate`, PEM, its chain behind it")
	fs.StringVar(&f.signPDFKey, "sign-pdf-key", "", "private key `file` of that certificate, PEM (default: in the certificate's file)")
	fs.StringVar(&f.report.logo, "logo", "", "print this PNG or JPEG `file` on page one of the report, in place of report.logo of mailproof.toml")
	fs.StringVar(&f.report.language, "language", "", languageUsage)
	_ = cmd.RegisterFlagCompletionFunc("language", completeLanguage)
	fs.StringArrayVar(&f.report.fonts, "pdf-font", nil, "TrueType `file` for the scripts that the PDF's own font lacks (may be repeated)")
	fs.BoolVar(&f.report.noMessages, "no-messages", false, "leave the list of single messages out of the report; data/verdicts.jsonl has it")
	fs.BoolVar(&f.json, "json", false, "print as JSON, schema mailproof/seal/1")
	for _, name := range []string{"key", "tsa-ca", "sign-pdf", "sign-pdf-key"} {
		_ = cmd.MarkFlagFilename(name)
	}
	return cmd
}

func (a *app) seal(cmd *cobra.Command, f *sealFlags) error {
	if err := a.ledgerMustExist(); err != nil {
		return err
	}
	o, err := a.sealOptions(cmd.Context(), f)
	if err != nil {
		return err
	}
	with, err := f.report.load()
	if err != nil {
		return err
	}
	o.Dress = func(d *report.Document) {
		if with.logo != nil {
			d.Brand.Logo = with.logo
		}
		if with.language != "" {
			d.Brand.Language = with.language
		}
		if f.report.noMessages {
			d.Messages = nil
		}
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	work, err := a.options(cmd, &workFlags{}, cfg)
	if err != nil {
		return err
	}
	return a.withEngagement(cmd.Context(), cfg, work, func(ctx context.Context, e *engagement.Engagement) error {
		e.Fonts = append(e.Fonts, with.fonts...)
		if err := a.clearLeftovers(o.Out); err != nil {
			return err
		}
		undo, err := a.makeRoom(&o, f.replace)
		if err != nil {
			return err
		}
		started := time.Now()
		planned, done, stop := a.lineBar("seal")
		o.Planned, o.Progress = planned, done
		o.Told = func(text string) { a.notef("%s", text) }
		s, d, err := e.Seal(ctx, o)
		stop()
		if err != nil {
			return errors.Join(sealHint(err), undo())
		}
		zipped := ""
		if f.zip {
			zipped = o.Out + ".zip"
			if err := evidence.Zip(ctx, o.Out, zipped); err != nil {
				return err
			}
		}
		if o.Profile == evidence.Full {
			if err := e.TakeReport(o.Out); err != nil {
				return err
			}
		}
		return a.printSealed(s, d, o, f, zipped, time.Since(started))
	})
}

// sealHint says what to do where a bundle could not be made.
func sealHint(err error) error {
	switch {
	case errors.Is(err, engagement.ErrHistory):
		return hinted{err, "somebody changed the ledger after it was written: mailproof status --verify names all that does not hold; find out who did that before anything is signed. A copy of the ledger from before can be sealed"}
	case errors.Is(err, engagement.ErrUnlinked):
		return hinted{err, "mailproof was stopped in the moment of writing, or another hand wrote it: compare the report's decisions, attestations and passes with those who made them. If they are right, any command that records takes them into the history (mailproof inventory, or mailproof attest), and seal does its work; if not, take a copy of the ledger from before"}
	case errors.Is(err, evidence.ErrMoved):
		return hinted{err, "seal again when nothing writes to the ledger"}
	}
	return fontHint(err)
}

func (a *app) sealOptions(ctx context.Context, f *sealFlags) (o engagement.SealOptions, err error) {
	if o.Profile, err = evidence.ParseProfile(f.privacy); err != nil {
		return o, err
	}
	o.Out, o.Reveal = f.out, f.reveal
	if o.Out == "" {
		o.Out = a.within(engagement.BundleDir)
	}
	o.Out = filepath.Clean(o.Out)
	if o.Reveal == "" {
		o.Reveal = a.within(engagement.RevealFile)
	}
	if o.Profile == evidence.Summary {
		o.Kept = o.Out + ".kept"
	}
	if f.tsaCA != "" && f.tsa == "" {
		return o, hinted{errors.New("--tsa-ca goes with --tsa"), "add --tsa URL"}
	}
	if f.tsa != "" {
		o.Timestamp = &evidence.TimestampOptions{URL: f.tsa}
		if f.tsaCA == "" {
			return o, hinted{errors.New("--tsa-ca is missing: without the authority's certificate nobody knows whose word the time is"), "get it from the authority, and give --tsa-ca FILE"}
		}
		if o.Timestamp.Roots, err = readRoots(f.tsaCA); err != nil {
			return o, err
		}
	}
	if f.signPDFKey != "" && f.signPDF == "" {
		return o, hinted{errors.New("--sign-pdf-key goes with --sign-pdf"), "add --sign-pdf CERTIFICATE"}
	}
	if f.signPDF != "" {
		signer, err := pdfsign.ReadSigner(f.signPDF, f.signPDFKey)
		if err != nil {
			return o, err
		}
		o.SignPDF = func(path string) error { return pdfsign.SignFile(path, signer, time.Now()) }
	}
	o.Key, err = a.sealingKey(ctx, f)
	return o, err
}

func readRoots(path string) (*x509.CertPool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--tsa-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("--tsa-ca: %s holds no certificate in PEM", path)
	}
	return pool, nil
}

// sealingKey is the key that was given, or the one of the user, which is made
// where there is none.
func (a *app) sealingKey(ctx context.Context, f *sealFlags) (evidence.Key, error) {
	path, err := keyPath([]string{f.key})
	if err != nil {
		return evidence.Key{}, err
	}
	if _, err := os.Stat(path); f.key == "" && errors.Is(err, fs.ErrNotExist) {
		key, err := a.newKey(ctx, path, f.passphrase)
		if err == nil {
			a.notef("made a signing key: %s", path)
			a.remark(ownKey)
		}
		return key, err
	}
	return a.readKey(ctx, path, f.passphrase)
}

// makeRoom gives an earlier bundle another name, that of its id. The function
// it returns takes that back where no new one was made.
func (a *app) makeRoom(o *engagement.SealOptions, replace bool) (undo func() error, err error) {
	undo = func() error { return nil }
	if _, err := os.Lstat(o.Out); errors.Is(err, fs.ErrNotExist) {
		return undo, nil
	}
	if !replace {
		return undo, hinted{fmt.Errorf("%s exists", o.Out), "--replace keeps it under its id and puts the new one in its place; or name another by --out"}
	}
	id, err := evidence.ReadID(o.Out)
	if err != nil {
		return undo, hinted{fmt.Errorf("%s is no bundle that could be kept under its id: %w", o.Out, err), "move it away, or name another directory by --out"}
	}
	var moved [][2]string
	undo = func() error {
		var errs []error
		for _, m := range moved {
			errs = append(errs, os.Rename(m[1], m[0]))
		}
		return errors.Join(errs...)
	}
	for _, ending := range []string{"", ".zip", ".kept"} {
		from, to := o.Out+ending, o.Out+"-"+id+ending
		if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			return undo, errors.Join(fmt.Errorf("%s exists as well", to), undo())
		}
		if err := os.Rename(from, to); err != nil {
			return undo, errors.Join(err, undo())
		}
		moved = append(moved, [2]string{from, to})
	}
	a.notef("the earlier bundle is kept as %s", o.Out+"-"+id)
	return undo, nil
}

// sealJSON is what seal prints with --json.
type sealJSON struct {
	Schema      string        `json:"schema"`
	Verdict     string        `json:"verdict"`
	ExitCode    int           `json:"exit_code"`
	Bundle      string        `json:"bundle"`
	Privacy     string        `json:"privacy"`
	Directory   string        `json:"directory"`
	Zip         string        `json:"zip,omitempty"`
	Reveal      string        `json:"reveal,omitempty"`
	Kept        string        `json:"kept,omitempty"`
	Fingerprint string        `json:"key_fingerprint"`
	TagManifest string        `json:"tagmanifest_sha256"`
	Sealed      time.Time     `json:"sealed"`
	Timestamp   time.Time     `json:"timestamp,omitzero"`
	Files       int           `json:"files"`
	Bytes       int64         `json:"bytes"`
	Roots       []report.Root `json:"roots"`
}

// printSealedLine is the stage of the sealing.
func (a *app) printSealedLine(s evidence.Sealed, took time.Duration) {
	sizes := map[string]int64{}
	for _, r := range s.Roots {
		sizes[r.Tree] = r.Size
	}
	a.stage("seal", "", fmt.Sprintf("%s and %s source and destination lines, %s", count(sizes["source"]), count(sizes["destination"]), countOf(sizes["verdicts"], "verdict")), took)
}

func (a *app) printSealed(s evidence.Sealed, d *report.Document, o engagement.SealOptions, f *sealFlags, zipped string, took time.Duration) error {
	j := sealJSON{
		Schema: "mailproof/seal/1", Verdict: s.Verdict.String(), ExitCode: s.Verdict.ExitCode(), Bundle: s.Bundle, Privacy: s.Profile.String(), Directory: s.Dir,
		Zip: zipped, Kept: o.Kept, Fingerprint: s.Fingerprint, TagManifest: s.TagManifest, Sealed: s.Sealed, Timestamp: s.Timestamp, Files: s.Files, Bytes: s.Octets,
		Roots: d.Evidence.Roots,
	}
	if o.Profile != evidence.Full {
		j.Reveal = o.Reveal
	}
	if f.json {
		return errors.Join(writeJSON(a.out, j), verdict(s.Verdict))
	}
	a.printSealedLine(s, took)
	fmt.Fprintf(a.out, "\nbundle       %s  %s  %s\n", s.Bundle, s.Profile, s.Dir)
	if zipped != "" {
		fmt.Fprintf(a.out, "zip          %s\n", zipped)
	}
	fmt.Fprintf(a.out, "key          %s\n", s.Fingerprint)
	if !s.Timestamp.IsZero() {
		fmt.Fprintf(a.out, "timestamp    %s  %s\n", terminal.Time(s.Timestamp), f.tsa)
	}
	if j.Reveal != "" {
		fmt.Fprintf(a.out, "reveal map   %s: tells whose mail it is, do not hand it over\n", j.Reveal)
	}
	if j.Kept != "" {
		fmt.Fprintf(a.out, "kept lines   %s: prove single messages from it, do not hand it over\n", j.Kept)
	}
	fmt.Fprintf(a.out, "\n%s, sealed\n", s.Verdict)
	a.hintf("mailproof verify --fingerprint %s %s", s.Fingerprint, s.Dir)
	if o.Profile == evidence.Full {
		a.notef("this bundle names everybody; for one that leaves the customer: --privacy redacted")
	}
	return verdict(s.Verdict)
}
