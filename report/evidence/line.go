package evidence

import (
	"crypto/md5" //nolint:gosec // the EDRM MIH is MD5 by its definition; it proves nothing here
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// messageLine is a leaf of the trees source and destination.
type messageLine struct {
	Account      string
	Folder       string
	UIDValidity  int64
	UID          int64
	InternalDate string // RFC 3339 with the zone that the server gave
	Flags        []string
	Size         int64 // RFC822.SIZE
	GmailID      string
	State        string
	Reason       string // why it could not be read
	Octets       int64
	Tiers        [mailproof.NumTiers]string
	MessageID    string
	MIH          string // EDRM message identification hash
	Subject      string
	Salt         string
}

// tierKeys are the keys of the hashes in a line, in the order of
// [mailproof.Tiers].
var tierKeys = func() (keys [mailproof.NumTiers]string) {
	for i, t := range mailproof.Tiers() {
		keys[i] = strings.ToLower(t.String())
	}
	return keys
}()

func (l *messageLine) fields(c *coder) {
	c.str("account", &l.Account)
	c.str("folder", &l.Folder)
	c.num("uidvalidity", &l.UIDValidity)
	c.num("uid", &l.UID)
	c.optStr("internaldate", &l.InternalDate)
	c.strs("flags", &l.Flags)
	c.num("size", &l.Size)
	c.optStr("gmail_id", &l.GmailID)
	c.str("state", &l.State)
	c.optStr("reason", &l.Reason)
	c.num("octets", &l.Octets)
	for i := range l.Tiers {
		c.optStr(tierKeys[i], &l.Tiers[i])
	}
	c.optStr("message_id", &l.MessageID)
	c.optStr("mih", &l.MIH)
	c.optStr("subject", &l.Subject)
	c.optStr("salt", &l.Salt)
}

// tier returns the hash of a tier by the tier's name; empty where there is none.
func (l *messageLine) tier(name string) string {
	for i, k := range tierKeys {
		if strings.EqualFold(k, name) {
			return l.Tiers[i]
		}
	}
	return ""
}

func (l *messageLine) key() position {
	return position{l.Account, l.Folder, l.UIDValidity, l.UID}
}

// verdictLine is a leaf of the tree verdicts: what was found for one source
// message, or for a destination message that is no source message's
// counterpart. The last five fields are known only after sorting; they cite the
// lines of the inventories that the verdict is about, so that a line which was
// changed is found by its number.
type verdictLine struct {
	Account      string
	Folder       string
	UIDValidity  int64
	UID          int64
	Side         string
	Verdict      string
	Tier         string
	Reasons      []string // "code: evidence"
	Beside       []string // differences that do not change the verdict: flags, dates
	Signature    bool     // the octets of a signed part differ though the content is equivalent
	ToFolder     string   // of the counterpart
	ToValidity   int64
	ToUID        int64
	Exception    string // "E-001"
	Source       citation
	Destination  citation
	Salt         string
	hasNoTrailer bool // for writing: the fields up to ToUID only
}

// citation names a line of an inventory by number, from 1, and by the first
// half of the leaf hash's first half: 16 hexadecimal digits. It locates; the
// signed root is what proves.
type citation struct {
	Line int64
	Leaf string
}

func (l *verdictLine) fields(c *coder) {
	c.str("account", &l.Account)
	c.str("folder", &l.Folder)
	c.num("uidvalidity", &l.UIDValidity)
	c.num("uid", &l.UID)
	c.str("side", &l.Side)
	c.str("verdict", &l.Verdict)
	c.optStr("tier", &l.Tier)
	c.optStrs("reasons", &l.Reasons)
	c.optStrs("beside", &l.Beside)
	c.optTrue("signature_changed", &l.Signature)
	c.optStr("counterpart_folder", &l.ToFolder)
	c.optNum("counterpart_uidvalidity", &l.ToValidity)
	c.optNum("counterpart_uid", &l.ToUID)
	if !l.hasNoTrailer {
		l.trailer(c)
	}
}

func (l *verdictLine) trailer(c *coder) {
	c.optStr("exception", &l.Exception)
	c.optNum("source_line", &l.Source.Line)
	c.optStr("source_leaf", &l.Source.Leaf)
	c.optNum("destination_line", &l.Destination.Line)
	c.optStr("destination_leaf", &l.Destination.Leaf)
	c.optStr("salt", &l.Salt)
}

func (l *verdictLine) key() position {
	return position{l.Account, l.Folder, l.UIDValidity, l.UID}
}

// dispositionLine is a decision on an exception.
type dispositionLine struct {
	Exception, Verdict, Disposition, By, Why, At string
	Pass                                         int64
}

func (l *dispositionLine) fields(c *coder) {
	c.str("exception", &l.Exception)
	c.str("verdict", &l.Verdict)
	c.str("disposition", &l.Disposition)
	c.str("by", &l.By)
	c.optStr("why", &l.Why)
	c.str("at", &l.At)
	c.num("pass", &l.Pass)
}

// findingDecisionLine is a decision on a finding that is not about single
// messages. It stands in data/dispositions.jsonl, behind those on exceptions.
type findingDecisionLine struct {
	Check, Subject, Outcome, Observed, Disposition, By, Why, At string
}

func (l *findingDecisionLine) fields(c *coder) {
	c.str("check", &l.Check)
	c.str("subject", &l.Subject)
	c.str("outcome", &l.Outcome)
	c.optStr("observed", &l.Observed)
	c.str("disposition", &l.Disposition)
	c.str("by", &l.By)
	c.optStr("why", &l.Why)
	c.str("at", &l.At)
}

// attestationLine is a person's word for a step of the runbook. All of them are
// there, in the order in which they were given; the last one on a step holds.
type attestationLine struct {
	Step, By, Note           string
	Withdrawn, NotApplicable bool
	At                       string
}

func (l *attestationLine) fields(c *coder) {
	c.str("step", &l.Step)
	c.str("by", &l.By)
	c.optStr("note", &l.Note)
	c.optTrue("withdrawn", &l.Withdrawn)
	c.optTrue("not_applicable", &l.NotApplicable)
	c.str("at", &l.At)
}

// deletionLine is a message of the destination that was deleted on request, in
// the order in which that was intended.
type deletionLine struct {
	Pass                                int64
	Account, Folder                     string
	UIDValidity, UID                    int64
	T0                                  string // of its octets, as they were read right before
	Octets                              int64
	SourceFolder                        string // of the message that it was copied from
	SourceValidity, SourceUID, CopiedBy int64
	State, Reason, Finished             string
}

func (l *deletionLine) fields(c *coder) {
	c.num("pass", &l.Pass)
	c.str("account", &l.Account)
	c.str("folder", &l.Folder)
	c.num("uidvalidity", &l.UIDValidity)
	c.num("uid", &l.UID)
	c.str("t0", &l.T0)
	c.num("octets", &l.Octets)
	c.str("source_folder", &l.SourceFolder)
	c.num("source_uidvalidity", &l.SourceValidity)
	c.num("source_uid", &l.SourceUID)
	c.num("copied_by", &l.CopiedBy)
	c.optStr("state", &l.State)
	c.optStr("reason", &l.Reason)
	c.optStr("finished", &l.Finished)
}

// findingLine is a finding of the DNS audit, and observationLine an exchange
// that it rests on. Both stand in data/dns.jsonl, the findings first.
type findingLine struct {
	Kind, Domain, Phase, Check, Outcome, Expected, Observed, Reference, Remedy, Time string
}

const (
	kindFinding     = "finding"
	kindObservation = "observation"
)

func (l *findingLine) fields(c *coder) {
	c.str("kind", &l.Kind)
	c.str("domain", &l.Domain)
	c.optStr("phase", &l.Phase)
	c.str("check", &l.Check)
	c.str("outcome", &l.Outcome)
	c.optStr("expected", &l.Expected)
	c.optStr("observed", &l.Observed)
	c.optStr("reference", &l.Reference)
	c.optStr("remedy", &l.Remedy)
	c.optStr("time", &l.Time)
}

type observationLine struct {
	Kind, Domain, Time, Question, Type, Server, Role, Network, RCode string
	AA, AD                                                           bool
	Records                                                          []string
	MinTTL, MaxTTL, Millis                                           int64
	Error                                                            string
}

func (l *observationLine) fields(c *coder) {
	c.str("kind", &l.Kind)
	c.str("domain", &l.Domain)
	c.str("time", &l.Time)
	c.optStr("question", &l.Question)
	c.str("type", &l.Type)
	c.optStr("server", &l.Server)
	c.optStr("role", &l.Role)
	c.optStr("network", &l.Network)
	c.optStr("rcode", &l.RCode)
	c.optTrue("aa", &l.AA)
	c.optTrue("ad", &l.AD)
	c.optStrs("records", &l.Records)
	c.num("min_ttl", &l.MinTTL)
	c.num("max_ttl", &l.MaxTTL)
	c.optStr("error", &l.Error)
	c.num("millis", &l.Millis)
}

// passLine is a pass of the engagement. Root and Previous are those of the
// ledger's history, where it keeps one.
type passLine struct {
	ID                                                              int64
	Kind, Side, Depth, State, Started, Finished, Tool, Command, Err string
	Messages, Bytes                                                 int64
	Root, Previous                                                  string
}

func (l *passLine) fields(c *coder) {
	c.num("id", &l.ID)
	c.str("kind", &l.Kind)
	c.optStr("side", &l.Side)
	c.optStr("depth", &l.Depth)
	c.str("state", &l.State)
	c.str("started", &l.Started)
	c.optStr("finished", &l.Finished)
	c.optStr("tool", &l.Tool)
	c.optStr("command", &l.Command)
	c.optStr("error", &l.Err)
	c.num("messages", &l.Messages)
	c.num("bytes", &l.Bytes)
	c.optStr("root", &l.Root)
	c.optStr("previous", &l.Previous)
}

// position is what lines are sorted by, bytewise and as printed.
type position struct {
	account, folder  string
	uidValidity, uid int64
}

// less orders lines of one side.
func (p position) less(q position) bool {
	switch {
	case p.account != q.account:
		return p.account < q.account
	case p.folder != q.folder:
		return p.folder < q.folder
	case p.uidValidity != q.uidValidity:
		return p.uidValidity < q.uidValidity
	default:
		return p.uid < q.uid
	}
}

// append writes the position so that the order of octets is the order of
// positions.
func (p position) append(b []byte) []byte {
	for _, s := range [2]string{p.account, p.folder} {
		for i := range len(s) {
			b = append(b, s[i])
			if s[i] == 0 {
				b = append(b, 0xff) // a NUL in a name is not its end
			}
		}
		b = append(b, 0, 0)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(p.uidValidity))
	return binary.BigEndian.AppendUint64(b, uint64(p.uid))
}

func (p position) String() string {
	return p.account + ", folder " + strconv.Quote(p.folder) + ", uid " + strconv.FormatInt(p.uid, 10)
}

// MIH is the EDRM message identification hash of a Message-ID with its angle
// brackets, case preserved: a hint for finding the message in an e-discovery
// platform, and never proof that two messages are equal.
func MIH(messageID string) string { return string(appendMIH(nil, messageID)) }

func appendMIH(b []byte, messageID string) []byte {
	if messageID == "" {
		return b
	}
	sum := md5.Sum([]byte(messageID))
	return hex.AppendEncode(b, sum[:])
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// subjectOf is the canonical subject of a message, as far as the ledger keeps
// it.
func subjectOf(d *mailproof.Detail) string {
	for i := range d.Fields {
		if d.Fields[i].Name == "subject" {
			return d.Fields[i].Value
		}
	}
	return ""
}
