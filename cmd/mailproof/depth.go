package main

import (
	"fmt"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/report"
)

// printDepth says what a comparison shows that did not read everything.
func (a *app) printDepth(c engagement.Comparison) {
	if c.Sample != nil {
		a.term.Println("sample: " + c.Sample.Sentence())
	}
	if c.Depth == mailproof.DepthPreview {
		a.printPreview(c)
	}
}

// printPreview prints what a preview shows: how many messages each folder has
// on both sides, which identities are listed, and what headers and sizes say.
// It says nothing of content.
func (a *app) printPreview(c engagement.Comparison) {
	const most = 25
	a.term.Println("preview: messages were listed with their headers and not read; nothing is said of content, and equal numbers prove nothing")
	t := a.table("account", "folder", ">source", ">destination", ">not listed here", ">not on source")
	var equal, rest int64
	for i := range c.Previews {
		p := &c.Previews[i]
		for _, f := range p.Folders {
			switch {
			case f.SourceMessages == f.DestinationMessages && f.NotListed+f.NotOnSource == 0:
				equal++
			case t.Len() == most:
				rest++
			default:
				t.row(p.Account, f.Folder, count(f.SourceMessages), count(f.DestinationMessages), count(f.NotListed), count(f.NotOnSource))
			}
		}
	}
	a.term.Println(fmt.Sprintf("%s with the same identities on both sides, %s with others", countOf(equal, "folder"), count(int64(t.Len())+rest)))
	if t.Len() > 0 {
		t.print()
	}
	if rest > 0 {
		a.term.Println(fmt.Sprintf("… %s more; mailproof diff --json has all", count(rest)))
	}
	a.printPreviewExamples(c)
	for i := range c.Previews {
		p := &c.Previews[i]
		a.term.Println(clean(p.Account) + ": " + report.PreviewSentence(p))
		a.printUIDs(p)
	}
}

// printPreviewExamples prints the first messages that a preview points out.
func (a *app) printPreviewExamples(c engagement.Comparison) {
	const most = 15
	var shown, rest int64
	for i := range c.Previews {
		p := &c.Previews[i]
		rest += p.Omitted
		for _, x := range p.Examples {
			if shown == most {
				rest++
				continue
			}
			shown++
			why := string(x.Kind)
			if len(x.Reasons) > 0 {
				why += "  " + x.Reasons[0].String()
			}
			a.term.Println(fmt.Sprintf("  %s  %s  %s  uid %d  %s", clean(p.Account), x.Side, clean(x.Folder), x.UID, clean(why)))
		}
	}
	if rest > 0 {
		a.term.Println(fmt.Sprintf("  … %s more; mailproof diff --format lines names all", count(rest)))
	}
}

// printUIDs prints what differs in folders whose UIDs were kept.
func (a *app) printUIDs(p *mailproof.Preview) {
	var kept, source, destination int64
	for _, f := range p.Folders {
		if f.SameUIDs {
			kept++
			source, destination = source+f.UIDsOnSource, destination+f.UIDsOnDestination
		}
	}
	if kept > 0 {
		a.term.Println(fmt.Sprintf("%s: %s kept their UIDs: %s of the source only, %s of the destination only", clean(p.Account), countOf(kept, "folder"), count(source), count(destination)))
	}
}
