package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/diff"
)

// lineFormat writes the fields of one message's verdict.
type lineFormat func(w *bufio.Writer, sigil byte, account, folder string, uid mailproof.UID, verdict, tier, reasons string) error

// The two formats of a line, both stable for scripts. Foreign text is escaped,
// so that a line is a line: in the one for people columns are parted by two
// blanks or more, in the other by tabs.
var lineFormats = map[string]lineFormat{
	"lines": func(w *bufio.Writer, sigil byte, account, folder string, uid mailproof.UID, verdict, tier, reasons string) error {
		line := fmt.Sprintf("%c  %-24s  %-24s  uid %-9d  %-21s  %-4s  %s", sigil, account, folder, uid, verdict, tier, reasons)
		_, err := w.WriteString(strings.TrimRight(line, " ") + "\n")
		return err
	},
	"tsv": func(w *bufio.Writer, sigil byte, account, folder string, uid mailproof.UID, verdict, tier, reasons string) error {
		_, err := fmt.Fprintf(w, "%c\t%s\t%s\t%d\t%s\t%s\t%s\n", sigil, account, folder, uid, verdict, tier, reasons)
		return err
	},
}

// writeLine writes one message's verdict as one line.
func writeLine(w *bufio.Writer, format lineFormat, r diff.Result) error {
	key, tier := r.Key(), ""
	if r.Tier != mailproof.TierNone {
		tier = r.Tier.String()
	}
	var reasons []string
	for _, reason := range r.Reasons {
		reasons = append(reasons, clean(reason.String()))
	}
	for _, beside := range r.Beside() {
		reasons = append(reasons, clean(beside.String()))
	}
	return format(w, r.Verdict.Sigil(), clean(key.Account), clean(key.Mailbox), key.UID, r.Verdict.String(), tier, strings.Join(reasons, "; "))
}
