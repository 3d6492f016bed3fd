package main

import (
	"fmt"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit"
)

// listedCheck is one check of --list-checks --json.
type listedCheck struct {
	dnsaudit.CheckInfo
	Severity map[string]string `json:"severity"` // phase → the worst that the check says then
}

var phases = []mailproof.Phase{mailproof.Planning, mailproof.Readiness, mailproof.Confirmation}

func allChecks() []listedCheck {
	var out []listedCheck
	for _, c := range append(dnsaudit.Checks(), dnsaudit.RecipientChecks()...) {
		l := listedCheck{c, map[string]string{}}
		for _, p := range phases {
			if s := c.Severity(p); s != "" {
				l.Severity[p.String()] = s
			}
		}
		out = append(out, l)
	}
	return out
}

// printChecks lists every check: its severity at each moment, what it holds
// against which document, and below that the rule, as long as it is.
func (a *app) printChecks(asJSON bool) error {
	all := allChecks()
	if asJSON {
		return writeJSON(a.out, struct {
			Schema string        `json:"schema"`
			Checks []listedCheck `json:"checks"`
		}{"mailproof/dns-checks/1", all})
	}
	width := a.term.Width()
	row := func(id string, cells [3]string, reference string) {
		a.say(strings.TrimRight(fmt.Sprintf("%-20s %-9s %-9s %-12s  %s", id, cells[0], cells[1], cells[2], reference), " "))
	}
	row("check", [3]string{"planning", "readiness", "confirmation"}, "reference")
	for _, c := range all {
		var cells [3]string
		for i, p := range phases {
			if cells[i] = c.Severity[p.String()]; cells[i] == "" {
				cells[i] = "–"
			}
		}
		row(c.ID, cells, c.Reference)
		for _, line := range breakLines(c.Rule, width-4) {
			a.say("    " + line)
		}
	}
	a.say("")
	for _, line := range breakLines("The word is the worst that a check says of what it looks for; – where it is not made. What cannot be asked is unknown at every moment. "+
		"Where a filter keeps the MX, mx.expected and mx.leftover fail at every moment. At confirmation, fail makes an engagement INCOMPLETE and unknown INCONCLUSIVE.", width) {
		a.say(line)
	}
	return nil
}

// breakLines breaks text of ours between words.
func breakLines(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// printProfiles lists the providers and where the values of each were read.
func (a *app) printProfiles(asJSON bool) error {
	list, err := dnsaudit.Profiles()
	if err != nil {
		return err
	}
	if asJSON {
		type listed struct {
			ID     string     `json:"id"`
			Name   string     `json:"name"`
			Filter bool       `json:"filter"`
			MX     [][]string `json:"mx"`
			SPF    []string   `json:"spf"`
			Source string     `json:"source"`
			Date   string     `json:"date"`
		}
		out := make([]listed, 0, len(list))
		for _, p := range list {
			out = append(out, listed{p.ID, p.Title(), p.Filter, p.MX, orEmpty(p.SPF), p.Source, p.Date})
		}
		return writeJSON(a.out, struct {
			Schema   string   `json:"schema"`
			Profiles []listed `json:"profiles"`
		}{"mailproof/dns-profiles/1", out})
	}
	a.say(fmt.Sprintf("%-15s %-26s %-10s  %s", "profile", "provider", "as of", "source"))
	for _, p := range list {
		a.say(fmt.Sprintf("%-15s %-26s %s", p.ID, p.Title(), p.Date))
		for _, line := range breakLines(p.Source, a.term.Width()-4) {
			a.say("    " + line)
		}
	}
	return nil
}
