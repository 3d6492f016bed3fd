package imapconn

import (
	"context"
	"fmt"

	"github.com/mailproof/mailproof"
)

// gmailExtension is what Gmail calls its extensions to IMAP: X-GM-MSGID,
// X-GM-THRID, X-GM-LABELS and X-GM-RAW.
const gmailExtension = "X-GM-EXT-1"

// gmailRecord is what a FETCH told of X-GM-MSGID.
type gmailRecord struct {
	uid mailproof.UID
	id  uint64
}

// gmailIDs adds X-GM-MSGID to records where the server offers it. go-imap's
// client cannot ask for it, so a command of our own does. The number helps to
// pair messages and proves nothing: where the server refuses the command, or
// leaves messages out, they have none. The UIDs are ascending.
func (r *Reader) gmailIDs(ctx context.Context, uids []mailproof.UID, want map[mailproof.UID]record) error {
	if len(want) == 0 {
		return nil
	}
	return r.reading(ctx, func(s *session) error {
		if !s.caps.has(gmailExtension) {
			return nil
		}
		ids, err := s.fetchGmailIDs(ctx, uids)
		for uid, id := range ids {
			if rec, ok := want[uid]; ok {
				rec.GmailID = id
				want[uid] = rec
			}
		}
		return err
	})
}

// fetchGmailIDs asks for X-GM-MSGID from the first of the UIDs to the last.
func (s *session) fetchGmailIDs(ctx context.Context, uids []mailproof.UID) (map[mailproof.UID]uint64, error) {
	// Only what was asked for is held, whatever else the server tells of.
	ids := make(map[mailproof.UID]uint64, len(uids))
	for _, uid := range uids {
		ids[uid] = 0
	}
	s.clean.mode.Store(uint32(fetchGmail))
	_, err := s.require(ctx, "fetch X-GM-MSGID", only("FETCH", func(answer response) {
		if _, asked := ids[answer.gmail.uid]; asked {
			ids[answer.gmail.uid] = answer.gmail.id
		}
	}), atomArg("UID"), atomArg("FETCH"), atomArg(fmt.Sprintf("%d:%d", uids[0], uids[len(uids)-1])), atomArg("(UID X-GM-MSGID)"))
	s.clean.mode.Store(uint32(fetchNone))
	if err != nil && !refused(err) {
		return nil, err // if the connection is gone, its reader may still be writing to ids
	}
	return ids, nil
}
