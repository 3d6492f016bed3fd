package main

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/oracle"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/mailgen"
)

// migrated plays a migration between two embedded servers that leaves something
// missing and something altered, and returns the engagement's directory.
func migrated(t *testing.T, users ...string) string {
	t.Helper()
	source, destination := imapmem.New(imapmem.Options{Name: "OldHost"}), imapmem.New(imapmem.Options{Name: "NewHost"})
	dir := t.TempDir()
	var list strings.Builder
	list.WriteString("name,source,source_password,destination,destination_password\n")
	for i, user := range users {
		a := source.AddAccount(user, oracle.Password)
		destination.AddAccount(user, oracle.Password)
		for _, f := range mailgen.New(uint64(i + 1)).Account(mailgen.Profile{Messages: 60, Folders: 8}).Folders {
			name := source.Name(f.Path...)
			if name != "INBOX" {
				a.Create(name, f.Use)
			}
			for _, m := range f.Messages {
				a.Append(name, m.Raw, m.Flags, m.Date)
			}
		}
		a.Create("Vertraulich Zürich", "")
		a.Append("Vertraulich Zürich", []byte("From: "+user+"\r\nSubject: Kündigung streng geheim\r\nMessage-ID: <geheim-77@"+user+">\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n\r\nText\r\n"), mailproof.NewFlags("$Mandant-Northgate"), time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	}
	for _, s := range []*imapmem.Server{source, destination} {
		must(t, s.Start(t.Context(), mailproof.ImplicitTLS))
		t.Cleanup(func() { s.Close() })
	}
	for _, user := range users {
		at := func(s *imapmem.Server) string {
			return "imaps://" + strings.ReplaceAll(user, "@", "%40") + "@" + strings.Replace(s.Addr(), "127.0.0.1", "localhost", 1) + "?insecure=skip-verify"
		}
		list.WriteString(user + "," + at(source) + ",env:MP_PW," + at(destination) + ",env:MP_PW\n")
	}
	accounts := filepath.Join(dir, "northgate-list.csv")
	must(t, os.WriteFile(accounts, []byte(list.String()), 0o600))
	job := filepath.Join(dir, "job")
	mailproofOK(t, 0, "run", "--dir", job, "--accounts", accounts)
	gone := destination.Account(users[0])
	must(t, gone.Remove("Vertraulich Zürich", gone.Messages("Vertraulich Zürich")[0].UID))
	mailproofOK(t, 0, "inventory", "--side", "destination", "--dir", job, "--accounts", accounts)
	return job
}

// mailproofOK runs a command in this process and wants an exit code.
func mailproofOK(t *testing.T, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(context.Background(), args, strings.NewReader(""), &out, &errs); code != want {
		t.Fatalf("mailproof %v: exit code %d, want %d\n%s\n%s", args, code, want, &out, &errs)
	}
	return out.String()
}

// A redacted bundle and a summary name nobody: every account, address, host,
// folder of one's own, subject and Message-ID of a full bundle is looked for in
// every file of them, in the text and the attachments of the PDF too.
func TestRedactedNamesNobody(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	job := migrated(t, "anna.muster@northgate.example", "bruno.frei@northgate.example")
	full, redacted, summary := filepath.Join(job, "full"), filepath.Join(job, "redacted"), filepath.Join(job, "summary")
	mailproofOK(t, 1, "seal", "--dir", job, "--out", full)
	mailproofOK(t, 1, "seal", "--dir", job, "--out", redacted, "--privacy", "redacted")
	mailproofOK(t, 1, "seal", "--dir", job, "--out", summary, "--privacy", "summary")
	words := namesIn(t, full)
	if len(words) < 150 {
		t.Fatalf("%d words: too few for the test to say anything", len(words))
	}
	texts := bundleTexts(t, full)
	for w := range words {
		if !strings.Contains(texts["data/source.jsonl"]+texts["pdf text"]+texts["report/report.html"]+texts["report/report.json"], w) {
			t.Errorf("%q is not even in the full bundle: the test looks for the wrong thing", w)
		}
	}
	for _, dir := range []string{redacted, summary} {
		mailproofOK(t, 3, "verify", dir)
		for name, text := range bundleTexts(t, dir) {
			for w := range words {
				if strings.Contains(text, w) {
					t.Errorf("%q stands in %s of the %s bundle", w, name, filepath.Base(dir))
				}
			}
		}
	}
}

// namesIn collects what names somebody, from the lines of a full bundle.
func namesIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	words := map[string]bool{"northgate": true, "localhost": true, "OldHost": true, "NewHost": true, "Mandant": true}
	for _, side := range []string{"source", "destination"} {
		data, err := os.ReadFile(filepath.Join(dir, "data", side+".jsonl"))
		must(t, err)
		for l := range strings.Lines(string(data)) {
			var m struct {
				Account, Folder, Subject string
				MessageID                string `json:"message_id"`
				MIH, T0, T2, T3          string
			}
			must(t, json.Unmarshal([]byte(l), &m))
			for _, w := range []string{m.Account, m.Subject, m.MessageID, m.MIH, m.T0, m.T2, m.T3} {
				// The JSON of a word with quotes in it is another text.
				if len(w) >= 8 && !strings.ContainsAny(w, "\"\\\t\n") {
					words[w] = true
				}
			}
			if strings.HasPrefix(m.Folder, "Vertraulich") {
				words[m.Folder] = true
			}
		}
	}
	return words
}

// bundleTexts are the files of a bundle, and what is in its PDF.
func bundleTexts(t *testing.T, dir string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	must(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		texts[name] = string(data)
		return err
	}))
	pdf := filepath.Join(dir, "report", "report.pdf")
	text, err := exec.Command("pdftotext", pdf, "-").Output()
	must(t, err)
	texts["pdf text"] = string(text)
	plain, err := exec.Command("qpdf", "--qdf", "--object-streams=disable", pdf, "-").Output()
	if len(plain) == 0 {
		t.Fatal("qpdf unpacked nothing:", err)
	}
	texts["pdf objects"] = string(plain)
	attached := t.TempDir()
	out, err := exec.Command("pdfdetach", "-saveall", "-o", attached, pdf).CombinedOutput()
	if err != nil {
		t.Fatalf("pdfdetach: %v: %s", err, out)
	}
	files, err := os.ReadDir(attached)
	must(t, err)
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(attached, f.Name()))
		must(t, err)
		texts["pdf attachment "+f.Name()] = string(data)
	}
	return texts
}

// The report in the bundle cites the bundle that it lies in, in all three
// media.
func TestSealedReportCites(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	job := migrated(t, "anna@northgate.example")
	var s sealJSON
	must(t, json.Unmarshal([]byte(mailproofOK(t, 1, "seal", "--dir", job, "--json")), &s))
	texts := bundleTexts(t, s.Directory)
	page, pdf := html.UnescapeString(texts["report/report.html"]), strings.Join(strings.Fields(texts["pdf text"]), "")
	cited := []string{s.Bundle, s.Fingerprint}
	for _, r := range s.Roots {
		cited = append(cited, r.Hash)
	}
	if len(cited) != 5 {
		t.Fatalf("cited: %q", cited)
	}
	for _, c := range cited {
		for name, text := range map[string]string{"HTML": page, "PDF": pdf, "JSON": texts["report/report.json"]} {
			if !strings.Contains(text, c) {
				t.Errorf("the %s does not cite %s", name, c)
			}
		}
	}
	if strings.Contains(page, "not sealed") || strings.Contains(texts["pdf text"], "not sealed") {
		t.Error("a sealed report says that it is not sealed")
	}
}
