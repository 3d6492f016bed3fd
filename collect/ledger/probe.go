package ledger

import (
	"context"
	"time"
)

// Probe is what became of a message that was sent to see where mail for an
// address arrives.
type Probe struct {
	Account   string    `json:"account"`
	Recipient string    `json:"recipient"`
	Domain    string    `json:"domain"`
	MessageID string    `json:"message_id"`
	Exchange  string    `json:"exchange"`      // that took it; empty: none did
	TLS       string    `json:"tls,omitempty"` // "TLS 1.3"; empty: none
	Reply     string    `json:"reply"`         // in the exchange's words, or why it was not sent
	Sent      time.Time `json:"sent,omitzero"`
	Ended     time.Time `json:"ended"` // until when it was looked for
	// Where it was seen on each side, and when first; empty where it was not.
	// An error says that a side could not be watched, so that its not being
	// seen there says nothing.
	SourceFolder      string    `json:"source_folder,omitempty"`
	SourceSeen        time.Time `json:"source_seen,omitzero"`
	SourceError       string    `json:"source_error,omitempty"`
	DestinationFolder string    `json:"destination_folder,omitempty"`
	DestinationSeen   time.Time `json:"destination_seen,omitzero"`
	DestinationError  string    `json:"destination_error,omitempty"`
}

// RecordProbe records what became of a probe message, and puts it into the
// chain.
func (l *Ledger) RecordProbe(ctx context.Context, p Probe) error {
	err := l.write(ctx, durable, 1, func(t *tx) error {
		_, err := t.exec(`INSERT INTO probe (account, recipient, domain, message_id, exchange, tls, reply, sent, ended, source_folder, source_seen, source_error,
			destination_folder, destination_seen, destination_error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			p.Account, p.Recipient, p.Domain, p.MessageID, p.Exchange, p.TLS, p.Reply, timeText(p.Sent), timeText(p.Ended), p.SourceFolder, timeText(p.SourceSeen), p.SourceError,
			p.DestinationFolder, timeText(p.DestinationSeen), p.DestinationError)
		return err
	})
	if err != nil {
		return err
	}
	return l.Link(ctx)
}

// Probes returns every probe in the order in which they ended.
func (l *Ledger) Probes(ctx context.Context) ([]Probe, error) {
	var list []Probe
	err := l.each(ctx, `SELECT account, recipient, domain, message_id, exchange, tls, reply, sent, ended, source_folder, source_seen, source_error,
		destination_folder, destination_seen, destination_error FROM probe ORDER BY seq`, nil, func(row scanFunc) error {
		var p Probe
		err := row(&p.Account, &p.Recipient, &p.Domain, &p.MessageID, &p.Exchange, &p.TLS, &p.Reply, textTime{&p.Sent}, textTime{&p.Ended}, &p.SourceFolder, textTime{&p.SourceSeen}, &p.SourceError,
			&p.DestinationFolder, textTime{&p.DestinationSeen}, &p.DestinationError)
		list = append(list, p)
		return err
	})
	return list, err
}
