package diff

import (
	"fmt"

	"github.com/mailproof/mailproof"
)

// judgement is what a pair proves.
type judgement struct {
	verdict   mailproof.MessageVerdict
	tier      mailproof.Tier
	reasons   []mailproof.Reason
	signature bool
	stub      bool               // one half is a server's notice: the two are no pair
	src, dst  *mailproof.Message // with Detail; nil where none was needed
}

// judge makes the verdict on a pair. Pairs at T0 and T1 are what their tier
// says; all others need both messages' details.
func (e *engine) judge(p *pair) (*judgement, error) {
	j := &judgement{tier: p.tier}
	switch p.tier {
	case mailproof.T0:
		j.verdict = mailproof.Identical
	case mailproof.T1:
		j.verdict = mailproof.IdenticalNormalised
	default:
		src, err := e.src.message(e.ctx, p.src.ID)
		if err != nil {
			return nil, err
		}
		dst, err := e.dst.message(e.ctx, p.dst.ID)
		if err != nil {
			return nil, err
		}
		j.src, j.dst = &src, &dst
		e.judgeDetails(p, j)
	}
	if !p.folder && !j.stub {
		e.relocate(p, j)
	}
	return j, nil
}

func (e *engine) judgeDetails(p *pair, j *judgement) {
	a, b := &j.src.Fingerprint.Detail, &j.dst.Fingerprint.Detail
	if a.Stub != b.Stub || a.Stub && b.Stub && !p.good() {
		j.stub = true
		return
	}
	if !p.good() {
		e.judgeAltered(p, j)
		return
	}
	notes, signature := notesOf(a, b)
	j.reasons, j.signature = notes, signature
	switch {
	case p.tier == mailproof.T2v:
		j.verdict = mailproof.EquivalentText
		if !hasCode(notes, ReasonMarkup) {
			j.reasons = append(j.reasons, mailproof.Reason{Code: ReasonMarkup})
		}
	case weighty(notes):
		j.verdict = mailproof.EquivalentWithNotes
	default:
		j.verdict = mailproof.Equivalent
	}
}

// weighty reports whether any note is a loss. Another order of the parts is
// none, nor are other names beside the same addresses.
func weighty(notes []mailproof.Reason) bool {
	for _, r := range notes {
		if r.Code != ReasonPartOrder && r.Code != ReasonDisplayNames {
			return true
		}
	}
	return false
}

func hasCode(reasons []mailproof.Reason, code string) bool {
	for _, r := range reasons {
		if r.Code == code {
			return true
		}
	}
	return false
}

// notesOf lists what differs between two messages of equal meaning.
func notesOf(a, b *mailproof.Detail) (notes []mailproof.Reason, signature bool) {
	if r, differs := idReason(a, b); differs {
		notes = append(notes, r)
	}
	notes = append(notes, headerNotes(a, b)...)
	notes = append(notes, partNotes(a, b)...)
	if a.Extra != b.Extra {
		how := "changed"
		switch {
		case b.Extra.IsZero():
			how = "lost"
		case a.Extra.IsZero():
			how = "added"
		}
		notes = append(notes, mailproof.Reason{Code: ReasonPreamble, Evidence: how})
	}
	if x, y := a.Anomalies&mailproof.AnomalyUnterminated, b.Anomalies&mailproof.AnomalyUnterminated; x != y {
		how := "missing on the destination"
		if x != 0 {
			how = "added on the destination"
		}
		notes = append(notes, mailproof.Reason{Code: ReasonFinalBoundary, Evidence: how})
	}
	signature = a.SignedOctets != b.SignedOctets && !a.SignedOctets.IsZero()
	if signature {
		notes = append(notes, mailproof.Reason{Code: ReasonSignatureBytes, Evidence: "the signed octets changed; the content did not"})
	}
	if a.BodySeq != b.BodySeq && !a.BodySeq.IsZero() && !b.BodySeq.IsZero() && !hasCode(notes, ReasonMarkup) {
		notes = append(notes, mailproof.Reason{Code: ReasonPartOrder})
	}
	return notes, signature
}

// judgeAltered names what differs between a message and what became of it. A
// pair by identity is never called intact, but where the alias map explains
// all of the difference.
func (e *engine) judgeAltered(p *pair, j *judgement) {
	a, b := &j.src.Fingerprint.Detail, &j.dst.Fingerprint.Detail
	if reasons, ok := aliased(j.src, j.dst, e.aliases); ok && p.tier == mailproof.T3 {
		notes, signature := notesOf(a, b)
		j.verdict, j.tier, j.signature = mailproof.EquivalentWithNotes, mailproof.T2, signature
		j.reasons = append(reasons, notes...)
		return
	}
	j.verdict = mailproof.Altered
	if r, differs := idReason(a, b); differs {
		j.reasons = append(j.reasons, r)
	}
	j.reasons = append(j.reasons, headerDamage(a, b)...)
	j.reasons = append(j.reasons, partDamage(a, b)...)
	j.reasons = append(j.reasons, wholeDamage(j.src, j.dst)...)
	if len(j.reasons) == 0 {
		j.reasons = append(j.reasons, mailproof.Reason{Code: ReasonContent, Evidence: "message: " + sizes(j.src.Fingerprint.Octets, j.dst.Fingerprint.Octets)})
	}
	switch {
	case a.DKIM == mailproof.DKIMBodyGood && b.DKIM == mailproof.DKIMBodyBad:
		j.reasons = append(j.reasons, mailproof.Reason{Code: ReasonDKIMBody, Evidence: "a DKIM body hash agrees on the source and not on the destination"})
	case a.DKIM == mailproof.DKIMBodyBad && b.DKIM == mailproof.DKIMBodyGood:
		j.reasons = append(j.reasons, mailproof.Reason{Code: ReasonDKIMSource, Evidence: "a DKIM body hash agrees on the destination and not on the source"})
	}
}

// wholeDamage names what shows on the message as a whole.
func wholeDamage(src, dst *mailproof.Message) []mailproof.Reason {
	a, b := &src.Fingerprint, &dst.Fingerprint
	var out []mailproof.Reason
	appeared := b.Detail.Anomalies &^ a.Detail.Anomalies
	if appeared&mailproof.AnomalyUnterminated != 0 && b.Octets < a.Octets {
		out = append(out, mailproof.Reason{Code: ReasonTruncated, Evidence: fmt.Sprintf("message: %s, without its closing delimiter", sizes(a.Octets, b.Octets))})
	}
	if appeared&mailproof.AnomalyNUL != 0 {
		out = append(out, mailproof.Reason{Code: ReasonNUL, Evidence: "NUL octets on the destination that the source does not have"})
	}
	return out
}

// relocate turns "intact" into "relocated" for a pair in two folders.
func (e *engine) relocate(p *pair, j *judgement) {
	from, to := &e.src.boxes[p.src.Mailbox], &e.dst.boxes[p.dst.Mailbox]
	where := mailproof.Reason{Code: ReasonRelocated, Evidence: quote(from.Name) + " → " + quote(to.Name)}
	if purged(to.Mailbox) && !purged(from.Mailbox) {
		where.Code = ReasonToTrash
	}
	j.reasons = append([]mailproof.Reason{where}, j.reasons...)
	if j.verdict != mailproof.Altered {
		j.verdict = mailproof.Relocated
	}
}
