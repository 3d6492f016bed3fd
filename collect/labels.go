package collect

import (
	"context"

	"github.com/mailproof/mailproof"
)

// labeller is a [MailboxRecorder] that keeps the labels of Gmail. They are no
// part of a message, change as flags do, and are of interest where the folder of
// a label is hidden from IMAP.
type labeller interface {
	// SetLabels records the labels that messages have now, those included that
	// are added later in the pass.
	SetLabels(ctx context.Context, labelled []mailproof.Labelled) error
}

// label keeps what a listing tells of a message's labels.
func (m *merger) label(ctx context.Context, md mailproof.Metadata) error {
	if md.Labels == nil {
		return nil
	}
	m.labels = append(m.labels, mailproof.Labelled{UID: md.UID, Labels: md.Labels})
	if len(m.labels) < 1000 {
		return nil
	}
	return m.flushLabels(ctx)
}

func (m *merger) flushLabels(ctx context.Context) error {
	w, can := m.w.(labeller)
	if !can || len(m.labels) == 0 {
		m.labels = m.labels[:0]
		return nil
	}
	err := recorded(w.SetLabels(ctx, m.labels))
	m.labels = m.labels[:0]
	return err
}
