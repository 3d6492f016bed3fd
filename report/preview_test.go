package report

import (
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// What a preview found is said in plain words, with what sizes are worth, and
// never as a statement on content.
func TestPreviewWords(t *testing.T) {
	p := mailproof.Preview{Account: "anna", SourceMessages: 1204, DestinationMessages: 1203, Listed: 1200, Elsewhere: 1, NotListed: 2, Unknown: 1, NotOnSource: 2,
		HeadersDiffer: 1, SizesDiffer: 3, SourceSizes: mailproof.Calibration{Sampled: 50}, DestinationSizes: mailproof.Calibration{Sampled: 50}}
	for _, c := range []struct {
		name string
		set  func(*mailproof.Preview)
		want []string
	}{
		{"plain", func(*mailproof.Preview) {}, []string{"of 1,204 messages on the source 1,200 are listed", "1 in another folder, 2 in none", "of those listed 1 has other headers", "sizes are no evidence, as they were not calibrated", "nothing is said of content"}},
		{"sizes count", func(p *mailproof.Preview) { p.SizesCount = true }, []string{"3 have another size (RFC822.SIZE was right for all of 50 and 50 sampled)"}},
		{"sizes are wrong", func(p *mailproof.Preview) { p.DestinationSizes.Wrong, p.DestinationSizes.Off = 7, 1234 }, []string{"the destination states wrong ones (7 of 50 sampled, by up to 1,234 octets)"}},
	} {
		q := p
		c.set(&q)
		text := PreviewSentence(&q)
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q lacks %q", c.name, text, want)
			}
		}
		for _, never := range []string{"intact", "identical", "complete", "proved"} {
			if strings.Contains(text, never) {
				t.Errorf("%s: %q says %q", c.name, text, never)
			}
		}
	}
}

// Section 4 lists accounts and the messages to look at, as many as there is
// room for, and says how many more there are.
func TestPreviewBlocks(t *testing.T) {
	d := &Document{}
	if d.previewBlocks() != nil {
		t.Error("a preview where none was taken")
	}
	p := mailproof.Preview{Account: "anna", Omitted: 5}
	for range 70 {
		p.Examples = append(p.Examples, mailproof.PreviewExample{Kind: mailproof.PreviewNotListed, Meaning: mailproof.PreviewNotListed.Meaning(), Folder: "Archive", UID: 7, Side: mailproof.Source})
	}
	d.Previews = []mailproof.Preview{p}
	blocks := d.previewBlocks()
	if len(blocks) != 3 || len(blocks[0].Table.Rows) != 1 || len(blocks[1].Table.Rows) != 60 || !strings.HasPrefix(blocks[2].Note[0].Text, "15 more") {
		t.Errorf("%d blocks: %+v", len(blocks), blocks)
	}
}
