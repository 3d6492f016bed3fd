package report

import (
	"fmt"

	"github.com/mailproof/mailproof"
)

// PreviewSentence says in words what a preview found of one account.
func PreviewSentence(p *mailproof.Preview) string { return (&Document{}).previewSentence(p) }

func (d *Document) previewSentence(p *mailproof.Preview) string {
	text := d.form(p.Listed, "of %[2]s on the source %[1]s is listed in the same folder on the destination by identity, %[3]s in another folder, %[4]s in none, and %[5]s cannot be looked for|"+
		"of %[2]s on the source %[1]s are listed in the same folder on the destination by identity, %[3]s in another folder, %[4]s in none, and %[5]s cannot be looked for",
		d.count(p.SourceMessages, "message"), comma(p.Elsewhere), comma(p.NotListed), comma(p.Unknown))
	text += d.t("; %s on the destination have no counterpart on the source", comma(p.NotOnSource+p.DestinationUnknown))
	if p.HeadersDiffer > 0 {
		text += d.form(p.HeadersDiffer, "; of those listed %s has other headers|; of those listed %s have other headers")
	}
	return text + d.t("; ") + d.previewSizes(p) + d.t("; nothing is said of content")
}

// previewSizes says what the stated sizes are worth, and what they show.
func (d *Document) previewSizes(p *mailproof.Preview) string {
	if p.SizesCount {
		return d.form(p.SizesDiffer, "%s has another size (RFC822.SIZE was right for all of %s and %s sampled)|%s have another size (RFC822.SIZE was right for all of %s and %s sampled)", comma(p.SourceSizes.Sampled), comma(p.DestinationSizes.Sampled))
	}
	for _, s := range []struct {
		side string
		c    mailproof.Calibration
	}{{d.t("source"), p.SourceSizes}, {d.t("destination"), p.DestinationSizes}} {
		if s.c.Wrong > 0 {
			return d.t("sizes are no evidence: the %s states wrong ones (%s of %s sampled, by up to %s octets)", s.side, comma(s.c.Wrong), comma(s.c.Sampled), comma(s.c.Off))
		}
	}
	return d.t("sizes are no evidence, as they were not calibrated on both sides")
}

// previewBlocks are the tables of section 4 on what the listings show.
func (d *Document) previewBlocks() []block {
	if len(d.Previews) == 0 {
		return nil
	}
	total := &table{Class: "ti", Caption: words(d.t("Preview: what the listings and headers show; identity is the Message-ID, or all core header fields where there is none")),
		Columns: []column{{Head: d.t("Account"), Width: 19.5}, {Head: d.t("Messages"), Width: 9, Right: true}, {Head: d.t("What was found"), Width: 57.5, Pad: true}, {Head: d.t("Not listed"), Width: 14, Right: true}}}
	examples := &table{Class: "ti", Caption: words(d.t("Preview: messages to look at")),
		Columns: []column{{Head: d.t("Folder"), Width: 19.5}, {Head: d.t("UID"), Width: 9, Right: true}, {Head: d.t("What it means"), Width: 57.5, Pad: true}, {Head: d.t("Side"), Width: 14, Right: true}}}
	const most = 60
	omitted := int64(0)
	for i := range d.Previews {
		p := &d.Previews[i]
		total.Rows = append(total.Rows, row{Cells: []cell{nameOf(p.Account), number(p.SourceMessages, false), words(d.previewSentence(p)), number(p.NotListed, true)}})
		omitted += p.Omitted
		for _, x := range p.Examples {
			if len(examples.Rows) == most {
				omitted++
				continue
			}
			text := cell{{Text: d.t(x.Meaning)}}
			if len(x.Reasons) > 0 {
				text = text.and(span{Text: ": " + cut(x.Reasons[0].String(), 240), Style: small, Foreign: true})
			}
			examples.Rows = append(examples.Rows, row{Cells: []cell{nameOf(x.Folder), words(fmt.Sprint(x.UID)), text, words(d.t(x.Side.String()))}})
		}
	}
	blocks := []block{{Table: total}}
	if len(examples.Rows) > 0 {
		blocks = append(blocks, block{Table: examples})
	}
	if omitted > 0 {
		blocks = append(blocks, note(words(d.t("%s more; mailproof diff --format lines names them all.", comma(omitted)))))
	}
	return blocks
}
