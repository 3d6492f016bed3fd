package imapmem

import (
	"fmt"
	"strings"

	mailproof "github.com/mailproof/mailproof"
)

// GmailLike are the options of a server in the manner of Gmail: labels are
// folders, one message may be under several of them, and All Mail has them
// all. See [Account.Label].
func GmailLike() Options {
	return Options{
		Name: "Gimap", Gmail: true, MaxConnections: 15, AppendLimit: 35651584,
		Hide: []string{"CREATE-SPECIAL-USE", "MULTIAPPEND", "LIST-STATUS", "STATUS=SIZE"},
		Folders: []Folder{
			{"[Gmail]/All Mail", mailproof.UseAll}, {"[Gmail]/Drafts", mailproof.UseDrafts}, {"[Gmail]/Important", ""},
			{"[Gmail]/Sent Mail", mailproof.UseSent}, {"[Gmail]/Spam", mailproof.UseJunk}, {"[Gmail]/Starred", mailproof.UseFlagged},
			{"[Gmail]/Trash", mailproof.UseTrash},
		},
	}
}

// ExchangeLike are the options of a server in the manner of Exchange: it
// announces little, rebuilds what it stores, takes no message above limit
// octets (0: 35 MiB) without saying so beforehand, and names its folders in
// German, those that hold no mail among them.
func ExchangeLike(limit int64) Options {
	if limit <= 0 {
		limit = 36700160
	}
	return Options{
		Name: "The Microsoft Exchange IMAP4 service is",
		Hide: []string{
			"CONDSTORE", "SPECIAL-USE", "CREATE-SPECIAL-USE", "QUOTA", "ENABLE", "MULTIAPPEND", "ESEARCH", "LIST-EXTENDED", "LIST-STATUS", "STATUS=SIZE", "APPENDLIMIT",
		},
		AppendLimit: limit,
		Folders: []Folder{
			{"Aufgaben", ""}, {"Entwürfe", ""}, {"Gelöschte Elemente", ""}, {"Gesendete Elemente", ""}, {"Journal", ""}, {"Junk-E-Mail", ""},
			{"Kalender", ""}, {"Kontakte", ""}, {"Notizen", ""}, {"Postausgang", ""},
		},
		OnAppend: func(_, _ string, raw []byte) ([]byte, error) { return Exchange(raw), nil },
	}
}

// systemLabel is what Gmail calls the label of one of its own mailboxes; empty
// where the label has the mailbox's name.
func systemLabel(b *mailbox) string {
	switch {
	case b.name == "INBOX":
		return `\Inbox`
	case strings.HasPrefix(b.name, "[Gmail]/") && b.use == "":
		return `\` + strings.TrimPrefix(b.name, "[Gmail]/") // \Important
	}
	return map[mailproof.SpecialUse]string{
		mailproof.UseSent: `\Sent`, mailproof.UseDrafts: `\Draft`, mailproof.UseFlagged: `\Starred`, mailproof.UseJunk: `\Spam`, mailproof.UseTrash: `\Trash`,
	}[b.use]
}

// HideLabel gives a message labels that IMAP does not show as mailboxes, as
// Gmail does where "Show in IMAP" is off: X-GM-LABELS alone tells of them.
func (a *Account) HideLabel(name string, uid mailproof.UID, labels ...string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, err := a.find(canonical(name), []mailproof.UID{uid})
	if err != nil {
		return fmt.Errorf("label: %w", err)
	}
	if a.hidden == nil {
		a.hidden = map[uint64][]string{}
	}
	id := found[0].gmail
	a.hidden[id] = append(a.hidden[id], labels...)
	a.setFlags(a.boxes[canonical(name)], found[0], found[0].flags) // MODSEQ counts labels, too
	return nil
}

// Label puts a message into another mailbox as well, as a further label of
// Gmail does: the copies share X-GM-MSGID. The mailbox is made if need be.
func (a *Account) Label(name string, uid mailproof.UID, labels ...string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, err := a.find(canonical(name), []mailproof.UID{uid})
	if err != nil {
		return fmt.Errorf("label: %w", err)
	}
	m := found[0]
	for _, label := range labels {
		label = canonical(label)
		b := a.boxes[label]
		if b == nil {
			b = a.create(label, "")
			a.subscribed[label] = true
		}
		a.store(b, m.raw, m.flags, m.date, m.gmail)
	}
	return nil
}
