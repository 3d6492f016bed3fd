package evidence

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mailproof/mailproof"
)

// writeRecords writes the files of data that are no trees.
func (b *builder) writeRecords(r *Records) error {
	for _, f := range []struct {
		name  string
		lines []line
	}{
		{fileDispositions, append(b.dispositions(r.Decisions), b.findingDecisions(r.FindingDecisions)...)},
		{fileDNS, b.dns(r)},
		{filePasses, b.passes(r.Passes)},
		{fileAttestations, b.attestations(r.Attestations)},
		{fileDeletions, b.deletions(r.Deletions)},
	} {
		var text []byte
		for _, l := range f.lines {
			text = append(encode(text, l), '\n')
		}
		if err := b.write(f.name, text); err != nil {
			return err
		}
		b.files[f.name] = sha256.Sum256(text)
	}
	return nil
}

func (b *builder) dispositions(list []Decision) []line {
	out := make([]line, len(list))
	for i, d := range list {
		out[i] = &dispositionLine{
			Exception: d.Exception, Verdict: d.Verdict.String(), Disposition: d.Disposition.String(), By: b.of(FieldPerson, d.By), Why: b.plain(d.Why),
			At: timeText(d.At), Pass: int64(d.Pass),
		}
	}
	return out
}

func (b *builder) findingDecisions(list []FindingDecision) []line {
	out := make([]line, len(list))
	for i, d := range list {
		out[i] = &findingDecisionLine{
			Check: d.Check, Subject: b.of(d.Field, d.Subject), Outcome: d.Outcome.String(), Observed: b.plain(d.Observed), Disposition: d.Disposition.String(),
			By: b.of(FieldPerson, d.By), Why: b.plain(d.Why), At: timeText(d.At),
		}
	}
	return out
}

func (b *builder) attestations(list []mailproof.Attestation) []line {
	out := make([]line, len(list))
	for i, a := range list {
		out[i] = &attestationLine{Step: a.Step, By: b.of(FieldPerson, a.By), Note: b.plain(a.Note), Withdrawn: a.Withdrawn, NotApplicable: a.NotApplicable, At: timeText(a.When)}
	}
	return out
}

// deletions name their messages as the lines of the inventories do; a redacted
// bundle tells of every deletion, and by pseudonyms of what.
func (b *builder) deletions(list []Deletion) []line {
	out := make([]line, len(list))
	for i, d := range list {
		out[i] = &deletionLine{
			Pass: int64(d.Pass), Account: b.of(FieldAccount, d.Destination.Account), Folder: b.of(FieldFolder, d.Destination.Mailbox),
			UIDValidity: int64(d.Destination.UIDValidity), UID: int64(d.Destination.UID), T0: b.of(FieldT0, d.T0.String()), Octets: d.Octets,
			SourceFolder: b.of(FieldFolder, d.Source.Mailbox), SourceValidity: int64(d.Source.UIDValidity), SourceUID: int64(d.Source.UID),
			CopiedBy: int64(d.CopiedBy), State: d.State, Reason: b.plain(d.Reason), Finished: timeText(d.Finished),
		}
	}
	return out
}

func (b *builder) dns(r *Records) []line {
	var out []line
	for _, f := range r.Findings {
		out = append(out, &findingLine{
			Kind: kindFinding, Domain: b.of(FieldDomain, f.Domain), Phase: f.Phase.String(), Check: f.Check, Outcome: f.Outcome.String(),
			Expected: b.plain(f.Expected), Observed: b.plain(f.Observed), Reference: f.Reference, Remedy: b.plain(f.Remedy), Time: timeText(f.Time),
		})
	}
	for _, o := range r.Observations {
		l := &observationLine{
			Kind: kindObservation, Domain: b.of(FieldDomain, o.Domain), Time: timeText(o.Time), Question: b.plain(o.Question), Type: o.Type,
			Server: b.plain(o.Server), Role: o.Role, Network: o.Network, RCode: o.RCode, AA: o.AA, AD: o.AD,
			MinTTL: int64(o.MinTTL), MaxTTL: int64(o.MaxTTL), Error: b.plain(o.Error), Millis: max(o.Millis, 0),
		}
		if b.alias == nil {
			l.Records = o.Records
		}
		out = append(out, l)
	}
	return out
}

func (b *builder) passes(list []Pass) []line {
	out := make([]line, len(list))
	for i, p := range list {
		l := &passLine{
			ID: int64(p.ID), Kind: p.Kind.String(), Depth: p.Depth.String(), State: p.State.String(), Started: timeText(p.Started), Finished: timeText(p.Finished),
			Tool: p.Tool, Command: b.plain(p.Command), Err: b.plain(p.Error), Messages: p.Messages, Bytes: p.Bytes, Root: p.Root, Previous: p.Previous,
		}
		if p.Side != 0 {
			l.Side = p.Side.String()
		}
		if b.alias != nil && strings.ContainsRune(l.Tool, '@') {
			l.Tool = ""
		}
		out[i] = l
	}
	return out
}

// writeCheckpoints signs the three roots and makes the bundle's id of them.
func (b *builder) writeCheckpoints() (id string, err error) {
	var all [3][]byte
	for i, t := range treeNames {
		for _, r := range b.roots {
			if r.Tree != t {
				continue
			}
			if all[i], err = (checkpoint{originOf(b.Series, t), r}).sign(b.Key); err != nil {
				return "", fmt.Errorf("seal: %w", err)
			}
		}
		if err := b.write(checkpointFile(t), all[i]); err != nil {
			return "", err
		}
		b.files[checkpointFile(t)] = sha256.Sum256(all[i])
	}
	return bundleID(all), nil
}

// bundleID is "mp1-" and the first 16 hexadecimal digits of SHA-256 over the
// three checkpoints.
func bundleID(checkpoints [3][]byte) string {
	sum := sha256.Sum256(bytes.Join(checkpoints[:], nil))
	return "mp1-" + hex.EncodeToString(sum[:8])
}

func randomHex(octets int) (string, error) {
	b := make([]byte, octets)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// payload counts the files of data and their octets.
func (b *builder) payload() (octets int64, err error) {
	for name := range b.files {
		info, err := os.Stat(filepath.Join(b.out, filepath.FromSlash(name)))
		if err != nil {
			return 0, fmt.Errorf("seal: %w", err)
		}
		octets += info.Size()
	}
	return octets, nil
}

// info is what bag-info.txt says.
func (b *builder) info(s *Sealed, octets int64) bagInfo {
	info := bagInfo{
		labelID: s.Bundle, labelAgent: b.Tool, labelDate: b.Now.Format("2006-01-02"), labelOxum: oxum(octets, len(b.files)), labelFormat: Format,
		labelProfile: b.Profile.String(), labelVerdict: s.Verdict.String(), labelAlgorithm: mailproof.FingerprintAlgorithm, labelSeries: b.Series,
		labelSealed: timeText(b.Now), labelKey: s.Fingerprint,
	}
	if b.Timestamp != nil {
		info[labelTSA] = b.Timestamp.URL
	}
	return info
}
