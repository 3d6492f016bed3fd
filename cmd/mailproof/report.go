package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/report"
)

// reportFlags say how a report is dressed and what is written beside it.
type reportFlags struct {
	logo       string
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

mailproof.toml names who signs, the logo and the colour of headings ([report]).

The exit code is that of the verdict: 0 complete, 1 differences, 3 inconclusive.`,
		Example: `  mailproof report --dir northgate
  mailproof report --dir northgate --csv tables && column -s, -t tables/ledger.csv
  mailproof report --logo meridian.png --pdf-font NotoSansSC-Regular.ttf
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
	fs.StringArrayVar(&r.fonts, "pdf-font", nil, "TrueType `file` for the scripts that the PDF's own font lacks: Chinese, Devanagari … (may be repeated)")
	fs.BoolVar(&r.noMessages, "no-messages", false, "leave the list of single messages out, with the subjects in it")
	f.addSelection(cmd)
	f.addRules(cmd)
	f.addJSON(cmd)
	return cmd
}

// dress are the files that the flags name, read before any work is done.
type dress struct {
	logo  []byte
	fonts [][]byte
}

const mostFont = 64 << 20 // octets; the largest fonts have half of it

func (r *reportFlags) load() (d dress, err error) {
	if r.logo != "" {
		if d.logo, err = config.ReadLogo(r.logo); err != nil {
			return d, hinted{fmt.Errorf("--logo: %w", err), "give a PNG or JPEG file of at most 4 MB"}
		}
	}
	for _, name := range r.fonts {
		data, err := readFont(name)
		if err != nil {
			return d, err
		}
		d.fonts = append(d.fonts, data)
	}
	return d, nil
}

func readFont(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("--pdf-font: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > mostFont {
		return nil, fmt.Errorf("--pdf-font: %s: no file of at most 64 MB", name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("--pdf-font: %w", err)
	}
	if err := report.CheckFont(data); err != nil {
		return nil, hinted{fmt.Errorf("--pdf-font: %s: %w", name, err), "give a TrueType file (.ttf); collections (.ttc) and CFF outlines (.otf) cannot be embedded"}
	}
	return data, nil
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
	if r.noMessages {
		d.Messages = nil
	}
	e.Fonts = append(e.Fonts, with.fonts...)
	if err := e.WriteReports(d); err != nil {
		return err
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
