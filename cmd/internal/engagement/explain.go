package engagement

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/fingerprint"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/diff"
)

// Target names the message to explain: an exception, or a message by its place.
type Target struct {
	Exception string // "E-003"; empty: by the rest
	Account   string
	Mailbox   string
	UID       mailproof.UID
	Side      mailproof.Side // zero: the source, or else the destination
}

// ErrNoSuchMessage says that the latest inventories have no such message, or
// the comparison no such exception.
var ErrNoSuchMessage = errors.New("no such message")

// Explanation is all that the ledger knows of one message and of its
// counterpart.
type Explanation struct {
	Schema      string                   `json:"schema"`
	Exception   string                   `json:"exception,omitempty"`
	Account     string                   `json:"account"`
	Verdict     mailproof.MessageVerdict `json:"verdict"`
	Meaning     string                   `json:"meaning"`
	Tier        mailproof.Tier           `json:"tier"`
	TierMeaning string                   `json:"tier_meaning,omitempty"`
	Disposition *mailproof.Disposition   `json:"disposition,omitempty"` // of an exception
	Source      *ExplainedMessage        `json:"source"`
	Destination *ExplainedMessage        `json:"destination"`
	Reasons     []ExplainedReason        `json:"reasons"`
	Fields      []ExplainedField         `json:"fields"`
	Parts       []ExplainedPart          `json:"parts"`
	Copies      []ExplainedCopy          `json:"copies"`    // what the copy passes tried, oldest first: claims
	Relatives   []Relative               `json:"relatives"` // other messages of the same content or Message-ID
	// RelativesOmitted counts those beyond the first few.
	RelativesOmitted int      `json:"relatives_omitted"`
	Fetched          *Fetched `json:"fetched,omitempty"`

	source, destination *mailproof.Message
}

// ExplainSchema names the form of the JSON. New fields may appear.
const ExplainSchema = "mailproof/explain/1"

// ExplainedMessage is one of the two messages.
type ExplainedMessage struct {
	Folder       string               `json:"folder"`
	UID          mailproof.UID        `json:"uid"`
	UIDValidity  uint32               `json:"uidvalidity"`
	State        string               `json:"state"`
	Reason       string               `json:"reason,omitempty"` // why it is unreadable
	Octets       int64                `json:"octets"`           // of the literal; 0 where it was not read
	Size         int64                `json:"rfc822_size"`
	InternalDate *time.Time           `json:"internaldate"`
	Flags        []string             `json:"flags"`
	Labels       []string             `json:"labels,omitempty"` // of Gmail, beside the folder's own
	MessageID    string               `json:"message_id"`
	MIH          string               `json:"mih,omitempty"` // EDRM message identification hash
	DKIM         string               `json:"dkim"`          // absent, body-agrees or body-differs
	Anomalies    []string             `json:"anomalies"`
	Stub         bool                 `json:"stub"` // looks like a server's notice
	Parts        int                  `json:"parts"`
	Hashes       map[string]string    `json:"hashes"` // by tier, hexadecimal
	Key          mailproof.MessageKey `json:"-"`
}

// ExplainedReason is a reason with what it means and what there is to do.
type ExplainedReason struct {
	Code     string `json:"code"`
	Evidence string `json:"evidence,omitempty"`
	Meaning  string `json:"meaning,omitempty"`
	Remedy   string `json:"remedy,omitempty"`
}

// ExplainedField is one header field of both messages.
type ExplainedField struct {
	Name        string `json:"name"`
	Source      string `json:"source"`
	Destination string `json:"destination"`
	State       string `json:"state"` // same, differs, lost or added
	Core        bool   `json:"core"`
}

// ExplainedPart is one part of both messages.
type ExplainedPart struct {
	Source      *PartDigest `json:"source"`
	Destination *PartDigest `json:"destination"`
	State       string      `json:"state"`
}

// PartDigest is one part.
type PartDigest struct {
	Number   int    `json:"number"` // from 1, containers not counted
	Type     string `json:"type"`
	FileName string `json:"file_name,omitempty"`
	Octets   int64  `json:"octets"` // decoded
	Hash     string `json:"sha256_128"`
}

// ExplainedCopy is an append that a copy pass tried.
type ExplainedCopy struct {
	Pass     mailproof.PassID `json:"pass"`
	Folder   string           `json:"folder"`
	State    string           `json:"state"` // pending, done, refused or failed
	Words    string           `json:"words,omitempty"`
	UID      mailproof.UID    `json:"uid,omitempty"` // that the destination announced
	Finished *time.Time       `json:"finished,omitempty"`
}

// Relative is another message that may be taken for the one explained.
type Relative struct {
	Side   mailproof.Side `json:"side"`
	Folder string         `json:"folder"`
	UID    mailproof.UID  `json:"uid"`
	How    string         `json:"how"` // same content, or same Message-ID
}

// maxRelatives bounds Explanation.Relatives.
const maxRelatives = 10

// Explain says all that the ledger knows of a message. No server is asked.
func (e *Engagement) Explain(ctx context.Context, target Target) (*Explanation, error) {
	c, err := e.Compare(ctx, nil) // of all accounts, as exceptions are numbered over all
	if err != nil {
		return nil, err
	}
	x := &Explanation{
		Schema: ExplainSchema, Reasons: []ExplainedReason{}, Fields: []ExplainedField{}, Parts: []ExplainedPart{}, Copies: []ExplainedCopy{}, Relatives: []Relative{},
	}
	if target.Exception != "" {
		found, err := exceptionOf(c, target.Exception)
		if err != nil {
			return nil, err
		}
		target = Target{Account: found.Key.Account, Mailbox: found.Key.Mailbox, UID: found.Key.UID, Side: found.Key.Side}
	}
	account, err := accountOf(c, target.Account)
	if err != nil {
		return nil, err
	}
	target.Account = account.Account
	result, err := e.resultOf(ctx, target, x)
	if err != nil {
		return nil, err
	}
	x.Account, x.Verdict, x.Meaning, x.Tier, x.TierMeaning = account.Account, result.Verdict, result.Verdict.Meaning(), result.Tier, tierWords[result.Tier]
	reasons := result.Reasons
	for i := range account.Exceptions {
		if y := &account.Exceptions[i]; y.Key == result.Key() {
			// Its reasons hold the destination's words beside those of diff.
			x.Exception, x.Disposition, reasons = y.ID, &y.Disposition, y.Reasons
		}
	}
	x.addReasons(reasons, result)
	x.compareDetails()
	return x, e.addCopies(ctx, x)
}

// exceptionOf finds an exception by its number, written E-003, e-3 or E3.
func exceptionOf(c Comparison, id string) (mailproof.Exception, error) {
	wanted := plainID(id)
	for _, a := range c.Accounts {
		for _, x := range a.Exceptions {
			if plainID(x.ID) == wanted {
				return x, nil
			}
		}
	}
	return mailproof.Exception{}, fmt.Errorf("%w: the latest comparison has no exception %s", ErrNoSuchMessage, id)
}

func plainID(id string) string {
	series, number := id[:min(1, len(id))], strings.TrimLeft(id[min(1, len(id)):], "-0")
	return strings.ToUpper(series) + number
}

func accountOf(c Comparison, name string) (*mailproof.AccountResult, error) {
	for i := range c.Accounts {
		if strings.EqualFold(c.Accounts[i].Account, name) {
			return &c.Accounts[i], nil
		}
	}
	return nil, fmt.Errorf("%w: account %q is not in the ledger", ErrNoSuchMessage, name)
}

// verdictOf is what is kept of a diff.Result, whose rows do not last.
type verdictOf struct {
	diff.Result
	source, destination mailproof.Row
}

// resultOf compares the account again and keeps the verdict on the target,
// with both messages and their relatives.
func (e *Engagement) resultOf(ctx context.Context, target Target, x *Explanation) (*verdictOf, error) {
	var found *verdictOf
	at := func(k mailproof.MessageKey, row *mailproof.Row, side mailproof.Side) bool {
		inbox := strings.EqualFold(k.Mailbox, "INBOX") && strings.EqualFold(target.Mailbox, "INBOX")
		return row != nil && (target.Side == 0 || target.Side == side) && k.UID == target.UID && (k.Mailbox == target.Mailbox || inbox)
	}
	_, err := e.compareOne(ctx, target.Account, nil, said{}, func(r diff.Result) error {
		onSource := at(r.Source, r.SourceRow, mailproof.Source)
		if !onSource && !at(r.Destination, r.DestinationRow, mailproof.Destination) || found != nil && !onSource {
			return nil
		}
		found = &verdictOf{Result: r}
		if r.SourceRow != nil {
			found.source = *r.SourceRow
			found.SourceRow = &found.source
		}
		if r.DestinationRow != nil {
			found.destination = *r.DestinationRow
			found.DestinationRow = &found.destination
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, fmt.Errorf("%w: account %s, folder %q, uid %d is in no latest inventory", ErrNoSuchMessage, target.Account, target.Mailbox, target.UID)
	}
	return found, e.loadMessages(ctx, target.Account, found, x)
}

func (e *Engagement) loadMessages(ctx context.Context, account string, r *verdictOf, x *Explanation) (err error) {
	src, dst, done, err := e.inventoriesOf(ctx, account)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	for _, s := range []struct {
		inv  diff.Inventory
		row  *mailproof.Row
		key  mailproof.MessageKey
		keep **mailproof.Message
		show **ExplainedMessage
	}{{src, r.SourceRow, r.Source, &x.source, &x.Source}, {dst, r.DestinationRow, r.Destination, &x.destination, &x.Destination}} {
		if s.row == nil {
			continue
		}
		m, err := s.inv.Message(ctx, s.row.ID)
		if err != nil {
			return err
		}
		m.MessageKey = s.key
		*s.keep, *s.show = &m, explainedMessage(&m)
		if l, ok := diff.Beneath[interface {
			Labels(ctx context.Context, id int64) ([]string, error)
		}](s.inv); ok {
			if (*s.show).Labels, err = l.Labels(ctx, s.row.ID); err != nil {
				return err
			}
		}
	}
	return x.findRelatives(ctx, src, dst, r)
}

func explainedMessage(m *mailproof.Message) *ExplainedMessage {
	d := &m.Fingerprint.Detail
	out := &ExplainedMessage{
		Folder: m.Mailbox, UID: m.MessageKey.UID, UIDValidity: m.UIDValidity, State: m.State.String(), Reason: m.Reason,
		Octets: m.Fingerprint.Octets, Size: m.Size, Flags: append([]string{}, m.Flags...), MessageID: d.MessageID,
		DKIM:      map[mailproof.DKIMWitness]string{mailproof.DKIMAbsent: "absent", mailproof.DKIMBodyGood: "body-agrees", mailproof.DKIMBodyBad: "body-differs"}[d.DKIM],
		Anomalies: append([]string{}, d.Anomalies.Names()...), Stub: d.Stub, Parts: d.LeafCount, Hashes: map[string]string{}, Key: m.MessageKey,
	}
	if !m.InternalDate.IsZero() {
		out.InternalDate = &m.InternalDate
	}
	if d.MessageID != "" {
		sum := fingerprint.MIH(d.MessageID)
		out.MIH = hex.EncodeToString(sum[:])
	}
	for _, t := range mailproof.Tiers() {
		if h := m.Fingerprint.Hash(t); !h.IsZero() {
			out.Hashes[t.String()] = h.String()
		}
	}
	return out
}

func (x *Explanation) addReasons(reasons []mailproof.Reason, r *verdictOf) {
	for _, reason := range slices.Concat(reasons, r.Beside()) {
		w := wordsOf(reason.Code).said(reason)
		x.Reasons = append(x.Reasons, ExplainedReason{Code: reason.Code, Evidence: reason.Evidence, Meaning: w.meaning, Remedy: w.remedy})
	}
}

// compareDetails puts header fields and parts beside each other.
func (x *Explanation) compareDetails() {
	detail := func(m *mailproof.Message) *mailproof.Detail {
		if m == nil || m.State != mailproof.Read {
			return nil
		}
		return &m.Fingerprint.Detail
	}
	src, dst := detail(x.source), detail(x.destination)
	both := src != nil && dst != nil
	state := func(same bool, a, b string) string {
		switch {
		case !both:
			return ""
		case same:
			return "same"
		case b == "":
			return "lost"
		case a == "":
			return "added"
		}
		return "differs"
	}
	var idA, idB string
	if src != nil {
		idA = src.MessageID
	}
	if dst != nil {
		idB = dst.MessageID
	}
	if idA != "" || idB != "" {
		x.Fields = append(x.Fields, ExplainedField{Name: "message-id", Source: idA, Destination: idB, State: state(idA == idB, idA, idB), Core: true})
	}
	for _, f := range diff.Fields(src, dst) {
		x.Fields = append(x.Fields, ExplainedField{Name: f.Name, Source: f.Source, Destination: f.Destination, State: state(f.Same, f.Source, f.Destination), Core: f.Core})
	}
	for _, p := range diff.Parts(src, dst) {
		part := ExplainedPart{Source: partDigest(src, p.Source), Destination: partDigest(dst, p.Destination)}
		if both {
			part.State = string(p.State)
		}
		x.Parts = append(x.Parts, part)
	}
}

func partDigest(d *mailproof.Detail, i int) *PartDigest {
	if i < 0 {
		return nil
	}
	l := &d.Leaves[i]
	return &PartDigest{Number: i + 1, Type: l.Type, FileName: l.FileName, Octets: l.Size, Hash: hex.EncodeToString(l.Octets[:])}
}

// findRelatives looks for other messages of the same content, on which a
// verdict about copies rests, and of the same Message-ID.
func (x *Explanation) findRelatives(ctx context.Context, src, dst diff.Inventory, r *verdictOf) error {
	self := cmp.Or(r.SourceRow, r.DestinationRow)
	if self.State != mailproof.Read {
		return nil
	}
	for _, s := range []struct {
		side mailproof.Side
		inv  diff.Inventory
		own  *mailproof.Row
	}{{mailproof.Source, src, r.SourceRow}, {mailproof.Destination, dst, r.DestinationRow}} {
		boxes := s.inv.Mailboxes()
		for row, err := range s.inv.Rows(ctx, mailproof.TierNone) {
			if err != nil {
				return err
			}
			if s.own != nil && row.ID == s.own.ID || row.State != mailproof.Read {
				continue
			}
			how := ""
			switch id := self.Hash(mailproof.T3); {
			case diff.SameContent(self, &row):
				how = "same content"
			case !id.IsZero() && row.Hash(mailproof.T3) == id:
				how = "same Message-ID, other content"
			default:
				continue
			}
			if len(x.Relatives) == maxRelatives {
				x.RelativesOmitted++
				continue
			}
			x.Relatives = append(x.Relatives, Relative{Side: s.side, Folder: boxes[row.Mailbox].Name, UID: row.UID, How: how})
		}
	}
	return nil
}

// addCopies adds what the copy journal says of the source message.
func (e *Engagement) addCopies(ctx context.Context, x *Explanation) error {
	if x.Source == nil {
		return nil
	}
	for entry, err := range e.ledger.Steps(ctx, stepsOf(x.Source.Key)) {
		if err != nil {
			return err
		}
		c := ExplainedCopy{Pass: entry.Pass, Folder: entry.Step.Target, State: entry.State.String(), Words: entry.Reason, UID: entry.UID}
		if !entry.Finished.IsZero() {
			c.Finished = &entry.Finished
		}
		x.Copies = append(x.Copies, c)
	}
	return nil
}

func stepsOf(k mailproof.MessageKey) ledger.StepFilter {
	return ledger.StepFilter{Source: k, Kinds: []mailproof.StepKind{mailproof.AppendMessage}}
}
