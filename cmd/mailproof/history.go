package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/ledger"
)

// historyFlags are those of status that look at the chain.
type historyFlags struct {
	verify bool
	root   string
}

func (h *historyFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&h.verify, "verify", false, "re-compute the history from every row of the ledger, and name the first pass that was tampered with")
	cmd.Flags().StringVar(&h.root, "root", "", "with --verify: a `root` that was written down, or its first 16 digits or more; it must be part of the history")
}

func (h *historyFlags) wanted() bool { return h.verify || h.root != "" }

// shortRoot is what fits in a table.
func shortRoot(root string) string {
	if root == "" {
		return "–"
	}
	return root[:12]
}

// changeJSON is how a diff differs from the one before, as status prints it.
type changeJSON struct {
	Pass       mailproof.PassID `json:"pass"`
	Before     mailproof.PassID `json:"before,omitempty"`
	Accounts   int64            `json:"accounts"`
	Exceptions int64            `json:"exceptions"`
	New        int64            `json:"new"`
	Gone       int64            `json:"gone"`
	Changed    int64            `json:"changed"`
	Decided    int64            `json:"decided"`
}

func changesJSON(h *engagement.History) []changeJSON {
	out := []changeJSON{}
	for _, c := range h.Changes {
		out = append(out, changeJSON{c.Pass, c.Before, c.Accounts, c.Exceptions + c.Omitted, c.New, c.Gone, c.Changed, c.Decided})
	}
	return out
}

// printChanges prints what changed from diff to diff.
func (a *app) printChanges(h *engagement.History) {
	if len(h.Changes) > 0 {
		fmt.Fprintln(a.out)
		t := a.table(">diff", ">exceptions", ">new", ">gone", ">changed", ">decided")
		for _, c := range h.Changes {
			t.row(fmt.Sprintf("pass %d", c.Pass), count(c.Exceptions+c.Omitted), count(c.New), count(c.Gone), count(c.Changed), count(c.Decided))
		}
		t.print()
	}
	if h.Head != "" {
		fmt.Fprintf(a.out, "\n%-13s%s\n%-13s%s\n", "history", countOf(int64(h.Links), "link"), "last root", h.Head)
	}
}

// badJSON is a link that does not hold.
type badJSON struct {
	Link int64            `json:"link,omitempty"`
	Pass mailproof.PassID `json:"pass,omitempty"`
	What []string         `json:"what"`
}

// historyJSON is what status --verify prints, schema mailproof/history/1.
type historyJSON struct {
	Schema   string             `json:"schema"`
	Whole    bool               `json:"whole"`
	Links    int                `json:"links"`
	Rows     int64              `json:"rows"`
	Head     string             `json:"head"`
	Root     string             `json:"root,omitempty"` // that was asked for
	RootIn   *bool              `json:"root_found,omitempty"`
	Unlinked []mailproof.PassID `json:"unlinked"`                 // passes that no link holds yet
	Words    int64              `json:"unlinked_words,omitempty"` // decisions and attestations that no link holds
	Bad      []badJSON          `json:"bad"`
	ExitCode int                `json:"exit_code"`
}

func (a *app) verifyHistory(ctx context.Context, e *engagement.Engagement, h historyFlags, asJSON bool) error {
	if n := len(strings.TrimSpace(h.root)); h.root != "" && (n < 16 || n > 64) {
		return hinted{errors.New("--root is not 16 to 64 hexadecimal digits"), "mailproof status prints the last root"}
	}
	started := time.Now()
	v, err := e.VerifyHistory(ctx, nil)
	if err != nil {
		return err
	}
	rootIn := h.root == "" || v.Holds(h.root)
	var result error
	if !v.Whole() || !rootIn || v.Words > 0 {
		result = exit{mailproof.Incomplete.ExitCode()}
	}
	if asJSON {
		out := historyJSON{Schema: "mailproof/history/1", Whole: v.Whole(), Links: v.Links, Rows: v.Rows, Head: hex.EncodeToString(v.Head[:]), Root: h.root,
			Unlinked: orEmpty(v.Open), Words: v.Words, Bad: []badJSON{}, ExitCode: exitOf(result)}
		if h.root != "" {
			out.RootIn = &rootIn
		}
		for _, b := range v.Bad {
			out.Bad = append(out.Bad, badJSON{b.Seq, b.Pass, b.What})
		}
		return errors.Join(writeJSON(a.out, out), result)
	}
	passes, err := e.Status(ctx)
	if err != nil {
		return err
	}
	a.printBadLinks(v, passes.Passes)
	if v.Whole() {
		a.stage("history", "", fmt.Sprintf("%s hold, %s re-computed", countOf(int64(v.Links), "link"), countOf(v.Rows, "row")), time.Since(started))
		fmt.Fprintf(a.out, "%-13s%x\n", "root", v.Head)
	}
	if len(v.Open) > 0 {
		a.notef("%s without a link yet: %s; the next command that writes adds it", countOf(int64(len(v.Open)), "pass"), passNumbers(v.Open))
	}
	if v.Words > 0 {
		fmt.Fprintf(a.out, "\noutside of the history: %s of what people said, which no link holds\n", countOf(v.Words, "row"))
		a.hintf("either mailproof was stopped in the moment of writing, or another hand wrote them: compare who decided and attested what in the report with those who did; the next mailproof command that writes takes them into the history")
	}
	switch {
	case !v.Whole():
		a.hintf("compare with the sealed bundle, and with a backup of the ledger: what a broken link holds was changed after it was recorded")
	case !rootIn:
		fmt.Fprintf(a.out, "\nthe root %s is not in this history: it was cut short or made anew since that was written down\n", h.root)
	case h.root != "":
		fmt.Fprintf(a.out, "the root %s is part of it\n", h.root)
	default:
		a.hintf("write the root down where others keep it: mailproof status --verify --root %x finds out later whether this history still is the same", v.Head[:8])
	}
	return result
}

func passNumbers(ids []mailproof.PassID) string {
	var out []string
	for i, id := range ids {
		if i == 5 {
			out = append(out, "…")
			break
		}
		out = append(out, fmt.Sprint(id))
	}
	return strings.Join(out, ", ")
}

// printBadLinks prints what does not hold, the first of it first.
func (a *app) printBadLinks(v *ledger.Verification, passes []mailproof.Pass) {
	const most = 20
	of := map[mailproof.PassID]mailproof.Pass{}
	for _, p := range passes {
		of[p.ID] = p
	}
	for i, b := range v.Bad {
		if i == most {
			fmt.Fprintf(a.out, "  … %s more links\n", count(int64(len(v.Bad)-most)))
			break
		}
		name := "what people said"
		if p, ok := of[b.Pass]; ok {
			name = strings.TrimSpace(fmt.Sprintf("pass %d, %s %s", p.ID, p.Kind, sideName(p.Side))) + ", " + terminal.Time(p.Started)
		} else if b.Pass != 0 {
			name = fmt.Sprintf("pass %d", b.Pass)
		} else if b.Seq == 0 {
			name = "rows that belong to no pass"
		}
		fmt.Fprintf(a.out, "  %s\n", a.bold(clean(name)))
		for _, what := range b.What {
			fmt.Fprintln(a.out, "      "+clean(what))
		}
	}
	if len(v.Bad) > 0 {
		first := "the first of it is " + fmt.Sprintf("link %d", v.Bad[0].Seq)
		if p := v.Bad[0].Pass; p != 0 {
			first = fmt.Sprintf("the first pass that was tampered with is pass %d", p)
		}
		fmt.Fprintf(a.out, "\nBROKEN: %d of %s hold no longer; %s\n", len(v.Bad), countOf(int64(cmp.Or(v.Links, len(v.Bad))), "link"), first)
	}
}
