package engagement

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect"
	"github.com/mailproof/mailproof/diff"
)

// checkDepth is the check of what the latest passes read.
const checkDepth = "inventory.depth"

// calibrationKey is where the ledger keeps what a preview of an account found
// the stated sizes to be worth.
func calibrationKey(pass mailproof.PassID, account string) string {
	return fmt.Sprintf("calibration/%d/%s", pass, account)
}

// keepCalibration records what a preview found of the sizes that a server
// states.
func (e *Engagement) keepCalibration(ctx context.Context, pass mailproof.PassID, account string, depth mailproof.Depth, sum collect.Summary) error {
	if depth != mailproof.DepthPreview || sum.Sizes.Sampled == 0 {
		return nil
	}
	text, err := json.Marshal(sum.Sizes)
	if err != nil {
		return err
	}
	return e.ledger.SetEngagement(ctx, calibrationKey(pass, account), string(text))
}

// previewed is the preview of one account, and what it found of single
// messages, by the key of the message, where the results are streamed.
type previewed struct {
	mailproof.Preview
	of map[mailproof.Side]map[int64]finding
}

type finding struct {
	kind    mailproof.PreviewKind
	reasons []mailproof.Reason
}

// previewOf compares what the listings of an account show, where the latest
// inventory of a side was a preview; nil where none was. With single it keeps
// what was found of each message.
func (e *Engagement) previewOf(ctx context.Context, src, dst diff.Inventory, o diff.Options, single bool) (*previewed, error) {
	passes, err := e.ledger.Passes(ctx)
	if err != nil {
		return nil, err
	}
	scans := []mailproof.Scan{src.Scan(), dst.Scan()}
	listed := false
	for _, p := range passes {
		for _, s := range scans {
			listed = listed || p.ID == s.Pass && p.Kind == mailproof.InventoryPass && p.Depth == mailproof.DepthPreview
		}
	}
	if !listed || scans[0].Pass == 0 || scans[1].Pass == 0 {
		return nil, nil
	}
	kept, err := e.ledger.Engagement(ctx)
	if err != nil {
		return nil, err
	}
	po := diff.PreviewOptions{Options: o}
	for i, c := range []*mailproof.Calibration{&po.SourceSizes, &po.DestinationSizes} {
		text := kept[calibrationKey(scans[i].Pass, scans[i].Account)]
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), c); err != nil {
			return nil, fmt.Errorf("calibration of pass %d in the ledger: %w", scans[i].Pass, err)
		}
	}
	out := &previewed{of: map[mailproof.Side]map[int64]finding{mailproof.Source: {}, mailproof.Destination: {}}}
	if single {
		po.OnMessage = func(side mailproof.Side, id int64, kind mailproof.PreviewKind, reasons []mailproof.Reason) error {
			out.of[side][id] = finding{kind, reasons}
			return nil
		}
	}
	out.Preview, err = diff.BuildPreview(ctx, src, dst, po)
	return out, err
}

// beside adds to the verdict on a message that was not read what a preview
// found of it. The verdict stays what it is.
func (p *previewed) beside(onResult func(diff.Result) error) func(diff.Result) error {
	return func(r diff.Result) error {
		side, row := mailproof.Source, r.SourceRow
		if row == nil {
			side, row = mailproof.Destination, r.DestinationRow
		}
		if f, ok := p.of[side][row.ID]; ok && r.Verdict == mailproof.NotChecked {
			r.Reasons = append([]mailproof.Reason{{Code: string(f.kind), Evidence: f.kind.Meaning()}}, f.reasons...)
		}
		return onResult(r)
	}
}

// shallow is the finding that keeps an account from COMPLETE whose latest
// inventory of some side was a preview: a listing proves nothing.
func (p *previewed) shallow(account string) mailproof.Finding {
	return mailproof.Finding{
		Check: checkDepth, Account: account, Outcome: mailproof.OutcomeUnknown, Expected: "both sides were read at full depth",
		Observed: "the latest inventory is a preview: messages were listed with their headers and not read", Remedy: "run mailproof inventory at full depth",
	}
}

// Unwrap gives a preview the headers of the inventory beneath.
func (a annotated) Unwrap() diff.Inventory { return a.Inventory }
