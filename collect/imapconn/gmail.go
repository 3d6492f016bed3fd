package imapconn

import (
	"context"
	"fmt"

	"github.com/mailproof/mailproof"
)

// gmailExtension is what Gmail calls its extensions to IMAP: X-GM-MSGID,
// X-GM-THRID, X-GM-LABELS and X-GM-RAW.
const gmailExtension = "X-GM-EXT-1"

// gmailRecord is what a FETCH told of X-GM-MSGID and X-GM-LABELS.
type gmailRecord struct {
	uid    mailproof.UID
	id     uint64
	labels []string
}

// gmailData adds X-GM-MSGID and X-GM-LABELS to records where the server offers
// them. go-imap's client cannot ask for them, so a command of our own does. They
// help to pair messages and prove nothing: where the server refuses the command,
// or leaves messages out, these have none. The UIDs are ascending.
func (r *Reader) gmailData(ctx context.Context, uids []mailproof.UID, want map[mailproof.UID]record) error {
	if len(want) == 0 {
		return nil
	}
	return r.reading(ctx, func(s *session) error {
		if !s.caps.has(gmailExtension) {
			return nil
		}
		told, err := s.fetchGmail(ctx, uids, "(UID X-GM-MSGID X-GM-LABELS)")
		if err == nil && told == nil { // it may know the number alone
			told, err = s.fetchGmail(ctx, uids, "(UID X-GM-MSGID)")
		}
		for uid, g := range told {
			if rec, ok := want[uid]; ok && g.uid != 0 {
				rec.GmailID, rec.Labels = g.id, g.labels
				want[uid] = rec
			}
		}
		return err
	})
}

// fetchGmail asks for items of Gmail's from the first of the UIDs to the last;
// nil where the server refused and told nothing.
func (s *session) fetchGmail(ctx context.Context, uids []mailproof.UID, items string) (map[mailproof.UID]gmailRecord, error) {
	// Only what was asked for is held, whatever else the server tells of.
	told := make(map[mailproof.UID]gmailRecord, len(uids))
	for _, uid := range uids {
		told[uid] = gmailRecord{}
	}
	some := false
	s.clean.mode.Store(uint32(fetchGmail))
	_, err := s.require(ctx, "fetch X-GM-MSGID", only("FETCH", func(answer response) {
		g := answer.gmail
		if old, asked := told[g.uid]; asked { // which may come in two responses
			if g.id == 0 {
				g.id = old.id
			}
			if g.labels == nil {
				g.labels = old.labels
			}
			told[g.uid], some = g, true
		}
	}), atomArg("UID"), atomArg("FETCH"), atomArg(fmt.Sprintf("%d:%d", uids[0], uids[len(uids)-1])), atomArg(items))
	s.clean.mode.Store(uint32(fetchNone))
	switch {
	case err != nil && !refused(err):
		return nil, err // if the connection is gone, its reader may still be writing to told
	case err != nil && !some:
		return nil, nil
	}
	return told, nil
}
