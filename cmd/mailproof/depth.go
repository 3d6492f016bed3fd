package main

import (
	"fmt"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
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
// on both sides, and how large they are in all. It says nothing of content.
func (a *app) printPreview(c engagement.Comparison) {
	const most = 25
	a.term.Println("preview: messages were listed and not read; nothing is said of content, and equal numbers prove nothing")
	t := a.table("account", "folder", ">source", ">destination")
	equal, unequal := int64(0), int64(0)
	for i := range c.Accounts {
		for _, f := range folderNumbers(&c.Accounts[i]) {
			if f.source == f.destination {
				equal++
				continue
			}
			if unequal++; unequal <= most {
				t.row(c.Accounts[i].Account, f.name, count(f.source), count(f.destination))
			}
		}
	}
	a.term.Println(fmt.Sprintf("%s with the same number of messages on both sides, %s with another", countOf(equal, "folder"), count(unequal)))
	if unequal > 0 {
		t.print()
	}
	if unequal > most {
		a.term.Println(fmt.Sprintf("… %s more; mailproof diff --json has all", count(unequal-most)))
	}
	var source, destination int64
	for _, r := range c.Accounts {
		source += r.SourceBytes
		destination += r.DestinationBytes
	}
	a.term.Println(fmt.Sprintf("sizes as the servers state them, by estimate on some: source %s, destination %s", size(source), size(destination)))
}

type folderNumber struct {
	name                string
	source, destination int64
}

// folderNumbers counts the messages of an account by destination folder, as
// rules may put several source folders into one.
func folderNumbers(r *mailproof.AccountResult) []folderNumber {
	var out []folderNumber
	at := map[string]int{}
	for _, f := range r.Folders {
		if f.SourceScan.Excluded != "" {
			continue
		}
		name := f.Destination
		if name == "" {
			name = f.Source
		}
		i, ok := at[name]
		if !ok {
			i = len(out)
			at[name] = i
			out = append(out, folderNumber{name: name})
		}
		out[i].source += f.Counts.SourceMessages
		out[i].destination += f.Counts.DestinationMessages
	}
	return out
}
