package mailgen

import (
	"fmt"
	"strings"
)

// language is what the text of a message is made of.
type language struct {
	subjects  []string // %s is a project
	greetings []string // %s is a first name
	sentences []string // %s is a project, a figure or a day
	closings  []string
}

type person struct{ first, last, local string }

func (p person) name() string { return p.first + " " + p.last }

var people = []person{
	{"Anna", "Lindqvist", "anna.lindqvist"}, {"Ben", "Okafor", "ben.okafor"}, {"Clara", "Weiß", "clara.weiss"}, {"David", "Moreau", "david.moreau"},
	{"Elif", "Yılmaz", "elif.yilmaz"}, {"Frank", "Petersen", "frank.petersen"}, {"Grace", "Nakamura", "grace.nakamura"}, {"Henrik", "Sørensen", "henrik.sorensen"},
	{"Inés", "Castillo", "ines.castillo"}, {"Jörg", "Müller", "joerg.mueller"}, {"Katya", "Ivanova", "katya.ivanova"}, {"Liam", "O'Brien", "liam.obrien"},
	{"Mei", "Tanaka", "mei.tanaka"}, {"Noah", "van den Berg", "noah.vandenberg"}, {"Olga", "Nowak", "olga.nowak"}, {"Priya", "Raman", "priya.raman"},
}

var domains = []string{"example.com", "example.net", "example.org", "mail.example.com", "supplier.example", "bank.example", "agency.example"}

var projects = []string{
	"warehouse move", "annual audit", "spring catalogue", "payroll change", "network upgrade", "Rotterdam contract", "customer survey",
	"office lease", "ERP rollout", "trade fair", "pension scheme", "recall 2231", "price list", "training week", "insurance renewal",
}

var days = []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "the 14th", "the 3rd", "the end of the month", "next week"}

var english = language{
	subjects: []string{
		"%s: next steps", "Minutes of the meeting on the %s", "Question about the %s", "Draft for the %s", "Invoice for the %s", "Approval needed: %s",
		"%s: updated figures", "Reminder: %s", "Change of plan for the %s", "%s: offer attached",
	},
	greetings: []string{"Hello %s,", "Dear %s,", "Hi %s,", "Good morning %s,"},
	sentences: []string{
		"I have looked through the papers for the %s and made a few notes in the margin.",
		"Could you let me know by %s whether the figures are final?",
		"The supplier confirmed delivery for %s, so we can keep to the schedule.",
		"Finance asked for a breakdown of the %s before they release the payment.",
		"We should settle who signs for the %s while the others are away.",
		"The total came to %s EUR, which is a little less than we had planned.",
		"Please note that the office is closed on %s.",
		"I have put the latest version into the shared folder and removed the old ones.",
		"If nothing speaks against it, I will go ahead on %s.",
		"The customer would like to see a second option for the %s.",
		"There were no further questions from the board.",
		"Two points are still open: the deposit and the date of the handover.",
		"As agreed on the phone, the first instalment of %s EUR is due on delivery.",
		"Let us use the meeting on %s to go through the remaining items.",
		"The numbers for the %s do not yet include travel.",
		"Legal has no objections, provided that we add the clause on liability.",
		"I am forwarding what they sent; the second page is the one that matters.",
		"Our contact there is out until %s, so please copy the deputy as well.",
	},
	closings: []string{"Kind regards,", "Best regards,", "Many thanks,", "Thanks and see you on Monday,"},
}

var german = language{
	subjects:  []string{"Rückfrage zum Übergabeprotokoll (%s)", "Prüfung der Beträge: %s", "Änderung für %s", "Gespräch über %s"},
	greetings: []string{"Guten Tag %s,", "Hallo %s,", "Grüß Gott %s,"},
	sentences: []string{
		"die Unterlagen für das Projekt „%s“ sind vollständig geprüft.",
		"Können Sie mir bis %s bestätigen, dass die Beträge stimmen?",
		"Die Lieferung über %s € erfolgt wie besprochen.",
		"Für die Übergabe benötigen wir noch die unterschriebene Vollmacht.",
		"Bitte ändern Sie die Größe der Fläche auf dem zweiten Blatt.",
		"Außerdem fehlt die Anschrift der Geschäftsführung in München.",
		"Die Buchhaltung hätte gern eine Aufstellung zu %s.",
	},
	closings: []string{"Mit freundlichen Grüßen", "Viele Grüße"},
}

var japanese = language{
	subjects:  []string{"会議の議事録（%s）", "見積書の件：%s", "納期のご確認 %s"},
	greetings: []string{"%s 様"},
	sentences: []string{
		"いつもお世話になっております。", "添付の資料をご確認ください（%s）。", "納品日は%sの予定です。", "合計金額は%s円になります。",
		"ご不明な点がございましたらお知らせください。", "来週の会議で詳細をご説明いたします。",
	},
	closings: []string{"よろしくお願いいたします。"},
}

func (g *Generator) pick(from []string) string { return from[g.rng.IntN(len(from))] }

// fill puts something that fits in the place of %s.
func (g *Generator) fill(template string) string {
	if !strings.Contains(template, "%s") {
		return template
	}
	var word string
	switch {
	case strings.Contains(template, "%s EUR"), strings.Contains(template, "%s €"), strings.Contains(template, "%s円"):
		word = fmt.Sprintf("%d,%03d", 1+g.rng.IntN(89), g.rng.IntN(1000))
	case strings.Contains(template, "on %s"), strings.Contains(template, "by %s"), strings.Contains(template, "for %s,"), strings.Contains(template, "until %s"), strings.Contains(template, "bis %s"), strings.Contains(template, "納品日は%s"):
		word = g.pick(days)
	default:
		word = g.pick(projects)
	}
	return fmt.Sprintf(template, word)
}

// paragraphs returns about the given number of octets of text, a letter from
// greeting to name, each paragraph one string.
func (g *Generator) paragraphs(l language, from, to person, octets int) []string {
	out := []string{fmt.Sprintf(g.pick(l.greetings), to.first)}
	for n := 0; n < octets; {
		var p []string
		for range 2 + g.rng.IntN(4) {
			s := g.fill(g.pick(l.sentences))
			p = append(p, s)
			n += len(s) + 1
		}
		out = append(out, strings.Join(p, " "))
	}
	return append(out, g.pick(l.closings)+"\n"+from.name())
}

// wrap breaks paragraphs into lines of at most 72 characters where there are
// blanks to break at, with CRLF and a blank line between paragraphs.
func wrap(paragraphs []string) string {
	var out strings.Builder
	for i, p := range paragraphs {
		if i > 0 {
			out.WriteString("\r\n")
		}
		for _, line := range strings.Split(p, "\n") {
			width := 0
			for j, word := range strings.Fields(line) {
				n := len([]rune(word))
				switch {
				case j == 0:
				case width+1+n > 72:
					out.WriteString("\r\n")
					width = 0
				default:
					out.WriteByte(' ')
					width++
				}
				out.WriteString(word)
				width += n
			}
			out.WriteString("\r\n")
		}
	}
	return out.String()
}
