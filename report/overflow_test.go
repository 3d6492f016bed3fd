package report

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// printedWord is a word of a page, in points from its upper left corner.
type printedWord struct {
	left, top, right, bottom float64
	text                     string
}

var wordBox = regexp.MustCompile(`<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">([^<]*)</word>`)

func printedWords(t *testing.T, page string) []printedWord {
	t.Helper()
	var list []printedWord
	for _, m := range wordBox.FindAllStringSubmatch(page, -1) {
		var n [4]float64
		for i := range n {
			v, err := strconv.ParseFloat(m[i+1], 64)
			if err != nil {
				t.Fatal(err)
			}
			n[i] = v
		}
		list = append(list, printedWord{n[0], n[1], n[2], n[3], m[5]})
	}
	return list
}

// In no language does a word run over the margin, or lie on another; and page one
// stays one page, however long what it names.
func TestNothingOverflows(t *testing.T) {
	totext := tool(t, "pdftotext")
	const points = 72 / 25.4
	for _, language := range Languages() {
		d := sample{accounts: 12, exceptions: 7, verdict: mailproof.Incomplete, whole: true}.document()
		d.CutOver = sampleTime
		for range 5 {
			d.Unconfirmed = append(d.Unconfirmed, strings.Repeat("long-label.", 18)+"example")
		}
		d.Brand.Language = language
		if language == "ja" {
			d.Brand.Fonts = [][]byte{japaneseFont(t)}
		}
		out := run(t, totext, "-bbox", pdfFile(t, d), "-")
		spoken, err := d.spoken()
		if err != nil {
			t.Fatal(err)
		}
		for i, page := range strings.Split(out, "</page>") {
			words := printedWords(t, page)
			if contents := slices.ContainsFunc(words, func(w printedWord) bool { return w.text == spoken.t("Contents") }); contents != (i == 1) && i < 2 {
				t.Errorf("%s: page one is not one page", language)
			}
			if i == 0 && !strings.Contains(page, "long-label") {
				t.Errorf("%s: page one does not name the domains", language)
			}
			for j, w := range words {
				if w.right > (left+width)*points+1.5 {
					t.Errorf("%s: page %d: %q ends %.1f mm behind the margin", language, i+1, w.text, w.right/points-left-width)
				}
				for _, v := range words[:j] {
					across := min(w.right, v.right) - max(w.left, v.left)
					down := min(w.bottom, v.bottom) - max(w.top, v.top)
					if across > 1 && down > 0.45*min(w.bottom-w.top, v.bottom-v.top) {
						t.Errorf("%s: page %d: %q lies on %q", language, i+1, w.text, v.text)
					}
				}
			}
		}
	}
}

// On the page as on paper the sum of the source stands behind what it adds up, and
// what the destination has beside stands behind the sum. An address may be parted
// behind its @.
func TestPageOrder(t *testing.T) {
	d := sample{accounts: 3, verdict: mailproof.Complete}.document()
	d.Accounts[0].Account = "anna@northgate.example"
	page := html(t, d)
	from := strings.Index(page, `<table class="ti`)
	if from < 0 {
		t.Fatal("there is no table of tiers")
	}
	text := htmlText(page[from : from+strings.Index(page[from:], "</table>")])
	at := []int{strings.Index(text, "not checked"), strings.Index(text, "Source inventory"), strings.Index(text, "surplus duplicate")}
	if at[0] < 0 || at[0] > at[1] || at[1] > at[2] {
		t.Errorf("%v: %s", at, text)
	}
	if strings.Count(page, "<tfoot>") == 0 || strings.Count(page, `<tbody class="sum">`) != 1 {
		t.Error("other sums stand elsewhere than at the end")
	}
	if !strings.Contains(page, "anna@<wbr>northgate.example") {
		t.Error("the address cannot be parted")
	}
}
