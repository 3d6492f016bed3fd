package report

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/templates"
)

var update = flag.Bool("update", false, "write templates/texts/en.toml anew")

// fixedTexts gathers every text that the report can say, from the code, the
// template and the words of the root package.
func fixedTexts(t *testing.T) []string {
	t.Helper()
	set := map[string]bool{}
	var files []string
	for _, pattern := range []string{"*.go", "chart/*.go"} {
		list, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, list...)
	}
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			textsOf(t, file, set)
		}
	}
	page, err := templates.FS.ReadFile("report.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`{{t "([^"]*)"`).FindAllStringSubmatch(string(page), -1) {
		set[m[1]] = true
	}
	for _, word := range tabledTexts() {
		set[word] = true
	}
	var list []string
	for s := range set {
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

// textsOf reads the calls that look a text up.
func textsOf(t *testing.T, file string, set map[string]bool) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var literal func(e ast.Expr) (string, bool)
	literal = func(e ast.Expr) (string, bool) {
		if b, ok := e.(*ast.BinaryExpr); ok {
			x, one := literal(b.X)
			y, two := literal(b.Y)
			return x + y, one && two
		}
		l, ok := e.(*ast.BasicLit)
		if !ok || l.Kind != token.STRING {
			return "", false
		}
		s, err := strconv.Unquote(l.Value)
		if err != nil {
			t.Fatal(err)
		}
		return s, true
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		switch f.Sel.Name {
		case "t", "say", "T":
			if s, ok := literal(call.Args[0]); ok {
				set[s] = true
			}
		case "form":
			if s, ok := literal(call.Args[1]); ok {
				set[s] = true
			}
		case "lines":
			if s, ok := literal(call.Args[0]); ok {
				set[s] = true
			}
		case "count":
			noun, ok := literal(call.Args[1])
			if !ok {
				t.Errorf("%s: a noun that is not written out", file)
				return true
			}
			many := noun + "s"
			if len(call.Args) > 2 {
				many, _ = literal(call.Args[2])
			}
			set[noun+"|"+many] = true
		}
		return true
	})
}

// tabledTexts are those that stand in tables of words, here or in the root
// package.
func tabledTexts() []string {
	list := []string{"customer", "provider", "reviewer", "source", "destination"}
	list = append(list, strings.Fields("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec")...)
	for v, word := range verdictWords {
		list = append(list, word, v.Meaning(), verdictForms(v))
	}
	for _, word := range advice {
		list = append(list, word)
	}
	for _, word := range phaseNames {
		list = append(list, word)
	}
	for _, s := range runbookStates {
		list = append(list, s.word, "%s "+s.word+"|%s "+s.word)
	}
	for _, k := range evidenceKinds {
		list = append(list, k.word)
	}
	for _, word := range markNames {
		list = append(list, word)
	}
	for _, v := range allVerdicts {
		list = append(list, strings.ToLower(v.String()), verdictOf(v))
	}
	for _, o := range []mailproof.Outcome{mailproof.OutcomePass, mailproof.OutcomeWarn, mailproof.OutcomeFail, mailproof.OutcomeUnknown, mailproof.OutcomeInfo, mailproof.OutcomeAccepted} {
		list = append(list, o.String())
	}
	for _, d := range []mailproof.Disposition{mailproof.Open, mailproof.Accepted, mailproof.Fixed, mailproof.Waived, mailproof.Noted} {
		list = append(list, d.String())
	}
	for _, s := range []mailproof.PassState{mailproof.PassFailed, mailproof.PassCancelled, mailproof.PassRunning} {
		list = append(list, s.String())
	}
	for _, m := range regexp.MustCompile(`(?m)^(title|owner) *= "([^"]*)"`).FindAllStringSubmatch(templates.Runbook, -1) {
		list = append(list, m[2])
	}
	return append(list, notSealed, "T0", "T1", "T2", "T2v", "T0–T2", "below T2", "none")
}

// The English catalogue lists every text of the report and no other. Run with
// -update after a text was changed.
func TestCatalogue(t *testing.T) {
	texts := fixedTexts(t)
	if len(texts) < 500 {
		t.Fatalf("found %d texts only", len(texts))
	}
	var b bytes.Buffer
	b.WriteString("# Every fixed text of the report, by its English. A translation is a copy of this\n# file named after its language, with the right sides translated: verbs (%s) stay,\n# and are numbered (%[2]s) where their order changes; spaces at the ends stay; forms\n# for one and for many are parted by |. Made by go test ./report -run Catalogue -update.\n\n")
	for _, s := range texts {
		fmt.Fprintf(&b, "%s = %s\n", tomlString(s), tomlString(s))
	}
	const name = "../templates/texts/en.toml"
	if *update {
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, b.Bytes()) {
		t.Errorf("%s is not what the report says: run go test ./report -run Catalogue -update", name)
	}
	for _, s := range texts {
		if m := forbidden.FindString(strings.ReplaceAll(s, "could not be read; proves nothing", "")); m != "" {
			t.Errorf("%q is in %q", m, s)
		}
	}
}

func tomlString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// With every text of the catalogue put in brackets, nothing readable is left
// outside of them but what is foreign, a number or a name: no text was
// forgotten.
func TestNoTextIsForgotten(t *testing.T) {
	texts := fixedTexts(t)
	for _, language := range Languages() {
		t.Run(language, func(t *testing.T) { noTextIsForgotten(t, language, texts) })
	}
}

func noTextIsForgotten(t *testing.T, language string, texts []string) {
	t.Helper()
	spoken, err := lexiconOf(language)
	if err != nil {
		t.Fatal(err)
	}
	lex := lexicon{}
	for _, s := range texts {
		lines := strings.Split(spoken.of(s), "\n")
		for i, line := range lines {
			forms := strings.Split(line, "|")
			for k := range forms {
				forms[k] = "‹" + forms[k] + "›"
			}
			lines[i] = strings.Join(forms, "|")
		}
		lex[s] = strings.Join(lines, "\n")
	}
	foreignText := regexp.MustCompile(`(?s)<bdi>.*?</bdi>|<style>.*?</style>|<script>.*?</script>|<template.*?</template>|<title>.*?</title>|<pre>.*?</pre>|<span class="m">.*?</span>|<[^>]*>`)
	inner := regexp.MustCompile(`‹[^‹›]*›`)
	letters := regexp.MustCompile(`\pL{3,}[^\n]*`)
	for _, s := range []sample{{bare: true}, {accounts: 3, exceptions: 9, verdict: mailproof.Incomplete, whole: true}, {accounts: 2, exceptions: 9, verdict: mailproof.CompleteWithAcceptedExceptions, whole: true},
		{accounts: 12, exceptions: 900, verdict: mailproof.Inconclusive, whole: true}, {accounts: 60, exceptions: 40, verdict: mailproof.Incomplete, whole: true}} {
		d := s.document()
		d.lex = lex
		var b bytes.Buffer
		if err := d.outline().writeHTML(&b, Brand{}); err != nil {
			t.Fatal(err)
		}
		text := foreignText.ReplaceAllString(b.String(), "\n")
		for {
			next := inner.ReplaceAllString(text, "")
			if next == text {
				break
			}
			text = next
		}
		said := map[string]bool{}
		for _, rest := range letters.FindAllString(text, -1) {
			if rest = strings.TrimSpace(rest); !plainNames.MatchString(rest) && !said[rest] {
				said[rest] = true
				t.Errorf("%v: not in the catalogue: %.120s", s, rest)
			}
		}
	}
}

// plainNames are what is the same in every language.
var plainNames = regexp.MustCompile(`^(COMPLETE|WITH ACCEPTED EXCEPTIONS|INCOMPLETE|INCONCLUSIVE|UTC|IMAP|UID|DNS|E-\d+|MB|min|CNAME|TXT|mailproof|TLS 1\.3.*|resolver, .*|[a-z]+-[a-z]+ .*|unreadable \d.*|unreadable \()$|^(UTC|IMAP|mpfp-1)\b.{0,12}$`)

// A text that goes on behind another one begins with a blank or a mark in every
// language that has them, and one that another goes on behind ends so.
func TestTextsJoin(t *testing.T) {
	for _, language := range []string{"de", "es", "fr"} {
		lex, err := lexiconOf(language)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range fixedTexts(t) {
			from, to := strings.Split(key, "|"), strings.Split(lex.of(key), "|")
			for i, text := range to {
				e := from[min(i, len(from)-1)]
				if e == "" || text == "" {
					continue
				}
				if strings.ContainsAny(e[:1], " ,;:.") && !strings.ContainsAny(string([]rune(text)[:1]), " \u00a0,;:.") {
					t.Errorf("%s: %q is joined to what is before it, and %q is not", language, e, text)
				}
				if strings.HasSuffix(e, " ") && !strings.HasSuffix(text, " ") && !strings.HasSuffix(text, "\u00a0") {
					t.Errorf("%s: %q is followed by more, and %q leaves no blank", language, e, text)
				}
			}
		}
	}
}
