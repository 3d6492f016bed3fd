package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/report"
)

// reportFlags say how a report is dressed and what is written beside it.
type reportFlags struct {
	logo       string
	language   string
	fonts      []string
	csv        string
	noMessages bool
}

func (a *app) reportCommand() *cobra.Command {
	var f workFlags
	var r reportFlags
	cmd := &cobra.Command{
		Use:   "report",
		Short: "write report.html, report.pdf and report.json from the ledger",
		Long: `report compares the latest inventories as diff does, and writes the sign-off
report beside the ledger. All three files say the same. Nothing is asked of any
server and nothing is written to the ledger.

report.html needs nothing but a browser, and no network. It carries the list of
every message, up to 200,000 lines. report.pdf is an archive file (PDF/A-3b)
that carries report.json and the tables of accounts, folders and exceptions as
attachments; the list of every message too, up to 20,000 lines.

--csv writes every table to a directory, with messages.csv of any length: UTF-8,
comma, CRLF, as RFC 4180 says. A text that a spreadsheet would take for a formula
gets an apostrophe before it.

mailproof.toml names who signs, the logo, the colour of headings and the language
([report]).

--language writes the fixed texts in English, German, Spanish, French or Japanese.
A verdict keeps its English name, with its translation beside it; figures, reason
codes, findings and what a server said are those of report.json in every language.
The PDF's own font has no Japanese: --pdf-font, or pdf_fonts in mailproof.toml,
names one that has. Where letters are missing, no file is written.

The exit code is that of the verdict: 0 complete, 1 differences, 3 inconclusive.`,
		Example: `  mailproof report --dir northgate
  mailproof report --dir northgate --csv tables && column -s, -t tables/ledger.csv
  mailproof report --logo meridian.png --pdf-font NotoSansSC-Regular.ttf
  mailproof report --language de
  mailproof report --language ja --pdf-font /usr/share/fonts/opentype/ipafont-gothic/ipagp.ttf
  pdfdetach -saveall report.pdf`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			with, err := r.load()
			if err != nil {
				return err
			}
			return a.withLedger(cmd, &f, func(ctx context.Context, e *engagement.Engagement) error {
				return a.report(ctx, e, f.json, r, with)
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&r.csv, "csv", "", "write every table as CSV into this `directory` too")
	fs.StringVar(&r.logo, "logo", "", "print this PNG or JPEG `file` on page one, in place of report.logo of mailproof.toml")
	fs.StringVar(&r.language, "language", "", languageUsage)
	_ = cmd.RegisterFlagCompletionFunc("language", completeLanguage)
	fs.StringArrayVar(&r.fonts, "pdf-font", nil, "TrueType `file` for the scripts that the PDF's own font lacks: Chinese, Devanagari … (may be repeated)")
	fs.BoolVar(&r.noMessages, "no-messages", false, "leave the list of single messages out, with the subjects in it")
	f.addSelection(cmd)
	f.addRules(cmd)
	f.addJSON(cmd)
	return cmd
}

// dress are the files that the flags name, read before any work is done.
type dress struct {
	logo     []byte
	language string
	fonts    [][]byte
}

func (r *reportFlags) load() (d dress, err error) {
	if r.logo != "" {
		if d.logo, err = config.ReadLogo(r.logo); err != nil {
			return d, hinted{fmt.Errorf("--logo: %w", err), "give a PNG or JPEG file of at most 4 MB"}
		}
	}
	if err := config.CheckLanguage(r.language); err != nil {
		return d, fmt.Errorf("--language: %w", err)
	}
	d.language = r.language
	for _, name := range r.fonts {
		data, err := config.ReadFont(name)
		if err != nil {
			return d, hinted{fmt.Errorf("--pdf-font: %w", err), "give a TrueType file (.ttf) of at most 64 MB; collections (.ttc) and CFF outlines (.otf) cannot be embedded"}
		}
		d.fonts = append(d.fonts, data)
	}
	return d, nil
}

const languageUsage = "`language` of the fixed texts: en, de, es, fr or ja (default: report.language of mailproof.toml, else en)"

func completeLanguage(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return report.Languages(), cobra.ShellCompDirectiveNoFileComp
}

// fontHint says where a font for the report's language is to be had.
func fontHint(err error) error {
	var missing *report.FontError
	if !errors.As(err, &missing) {
		return err
	}
	return hinted{err, config.FontAdvice(missing.Language) + "; nothing was written"}
}

func (a *app) report(ctx context.Context, e *engagement.Engagement, asJSON bool, r reportFlags, with dress) error {
	c, err := e.Compare(ctx, nil)
	if err != nil {
		return err
	}
	d, err := e.Document(ctx, c)
	if err != nil {
		return err
	}
	if with.logo != nil {
		d.Brand.Logo = with.logo
	}
	if with.language != "" {
		d.Brand.Language = with.language
	}
	if r.noMessages {
		d.Messages = nil
	}
	e.Fonts = append(e.Fonts, with.fonts...)
	if err := e.WriteReports(d); err != nil {
		return fontHint(err)
	}
	var tables []string
	if r.csv != "" {
		if tables, err = d.WriteCSV(r.csv); err != nil {
			return err
		}
	}
	if asJSON {
		return errors.Join(d.WriteJSON(a.out), verdict(d.Verdict))
	}
	fmt.Fprintf(a.out, "%s\n%s\n%s\n", e.Path(engagement.HTMLFile), e.Path(engagement.PDFFile), e.Path(engagement.JSONFile))
	for _, name := range tables {
		fmt.Fprintln(a.out, filepath.Join(r.csv, name))
	}
	a.notef("%s: %s", d.Verdict, clean(d.Lead()))
	return verdict(d.Verdict)
}
