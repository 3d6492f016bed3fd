package imapmem

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	mailproof "github.com/mailproof/mailproof"
)

// Account is the mail of one user. Its methods act as the user's other mail
// program would, behind the back of whoever is connected; names are whole
// mailbox names in UTF-8.
type Account struct {
	server *Server
	user   string

	mu           sync.Mutex
	password     string
	boxes        map[string]*mailbox
	subscribed   map[string]bool
	quota        int64 // octets; 0: none
	used         int64
	nextValidity uint32
	lastGmail    uint64              // X-GM-MSGID of the latest message
	hidden       map[uint64][]string // labels without a mailbox, by X-GM-MSGID: see HideLabel
	connections  int
	activity     Activity
}

// Activity is what was done to an account over IMAP.
type Activity struct {
	// Commands counts the commands carried out or refused since sign-in, by
	// name in capitals: "UID FETCH", "EXAMINE".
	Commands map[string]int
	// Writes counts the commands that changed something: mail, flags, mailboxes
	// or subscriptions; \Seen set by FETCH BODY[] counts, too.
	Writes int
	// Violations are commands that tried to change an examined mailbox, the
	// first hundred of them.
	Violations []string
	// Bodies and BodyOctets count the bodies and parts of bodies sent.
	Bodies     int
	BodyOctets int64
	// Appended and AppendedOctets count the messages that APPEND stored.
	Appended       int
	AppendedOctets int64
}

const maxViolations = 100

// Message is one stored message. Raw is shared and may not be changed.
type Message struct {
	UID   mailproof.UID
	Raw   []byte
	Flags mailproof.Flags
	Date  time.Time
	// GmailID is the message's X-GM-MSGID, whether or not it is offered: copies
	// within the account share it.
	GmailID uint64
}

// mailbox is guarded by the mutex of its account.
type mailbox struct {
	name     string
	use      mailproof.SpecialUse
	validity uint32
	uidNext  mailproof.UID
	messages []*message // by UID
	modseq   uint64     // of the latest change
	// expunges and changes let a connection see in one step whether there is
	// anything to tell its client.
	expunges uint64
	changes  uint64
	deleted  bool
}

// message is guarded by the mutex of its account, but for uid, raw, date and
// gmail, which never change.
type message struct {
	uid      mailproof.UID
	raw      []byte
	date     time.Time
	gmail    uint64          // X-GM-MSGID: copies share it
	flags    mailproof.Flags // replaced as a whole, never edited
	modseq   uint64
	expunged bool
}

func newAccount(s *Server, user, password string) *Account {
	a := &Account{
		server: s, user: user, password: password,
		boxes: map[string]*mailbox{}, subscribed: map[string]bool{}, nextValidity: 1000,
		activity: Activity{Commands: map[string]int{}},
	}
	for _, f := range append([]Folder{{Name: "INBOX"}}, s.opts.Folders...) {
		a.create(f.Name, f.Use)
		a.subscribed[f.Name] = true
	}
	return a
}

// User returns the account's login name.
func (a *Account) User() string { return a.user }

// Create makes a mailbox, subscribed, with at most one special use. A mailbox
// that exists is left as it is.
func (a *Account) Create(name string, use ...mailproof.SpecialUse) {
	a.mu.Lock()
	defer a.mu.Unlock()
	name = canonical(name)
	if a.boxes[name] == nil {
		a.create(name, append(use, "")[0])
	}
	a.subscribed[name] = true
}

func (a *Account) create(name string, use mailproof.SpecialUse) *mailbox {
	a.nextValidity++
	b := &mailbox{name: name, use: use, validity: a.nextValidity, uidNext: 1, modseq: 1}
	a.boxes[name] = b
	return b
}

// canonical gives the inbox, whose name has no case, its one name.
func canonical(name string) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	return name
}

// Subscribe sets or removes the subscription of a name, which need not exist.
func (a *Account) Subscribe(name string, subscribed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.subscribe(canonical(name), subscribed)
}

func (a *Account) subscribe(name string, subscribed bool) {
	if subscribed {
		a.subscribed[name] = true
	} else {
		delete(a.subscribed, name)
	}
}

// Append stores a message, without asking OnAppend, in a mailbox that it makes
// if need be. raw becomes part of the store and may be shared between messages
// but not changed. It is meant to fill a source and has no limit or quota.
func (a *Account) Append(name string, raw []byte, flags mailproof.Flags, date time.Time) mailproof.UID {
	a.mu.Lock()
	defer a.mu.Unlock()
	name = canonical(name)
	b := a.boxes[name]
	if b == nil {
		b = a.create(name, "")
		a.subscribed[name] = true
	}
	return a.store(b, raw, flags, date, a.newGmail())
}

// firstGmail is near the numbers that Gmail gives.
const firstGmail = 1_800_000_000_000_000_000

func (a *Account) newGmail() uint64 {
	a.lastGmail = max(a.lastGmail, firstGmail) + 1
	return a.lastGmail
}

func (a *Account) store(b *mailbox, raw []byte, flags mailproof.Flags, date time.Time, gmail uint64) mailproof.UID {
	b.modseq++
	m := &message{uid: b.uidNext, raw: raw, flags: a.fold(flags), date: date, gmail: gmail, modseq: b.modseq}
	b.uidNext++
	b.messages = append(b.messages, m)
	a.used += int64(len(raw))
	return m.uid
}

// fold makes the set that is stored.
func (a *Account) fold(flags []string) mailproof.Flags {
	set := mailproof.NewFlags(flags...)
	if a.server.opts.FoldKeywords {
		for i, f := range set {
			if !strings.HasPrefix(f, `\`) {
				set[i] = strings.ToLower(f)
			}
		}
	}
	return set
}

// Mailboxes returns the names of all mailboxes, sorted.
func (a *Account) Mailboxes() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.boxes))
}

// SpecialUse returns the special use of a mailbox, empty if it has none.
func (a *Account) SpecialUse(name string) mailproof.SpecialUse {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b := a.boxes[canonical(name)]; b != nil {
		return b.use
	}
	return ""
}

// Subscribed returns the subscribed names, sorted.
func (a *Account) Subscribed() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.subscribed))
}

// Messages returns what a mailbox holds, by UID; nil if there is no such
// mailbox or nothing in it.
func (a *Account) Messages(name string) []Message {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.boxes[canonical(name)]
	if b == nil {
		return nil
	}
	var out []Message
	for _, m := range b.messages {
		out = append(out, Message{UID: m.uid, Raw: m.raw, Flags: slices.Clone(m.flags), Date: m.date, GmailID: m.gmail})
	}
	return out
}

// Remove expunges messages. It is an error if one of them is not there.
func (a *Account) Remove(name string, uids ...mailproof.UID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, err := a.find(name, uids)
	if err != nil {
		return err
	}
	set := map[*message]bool{}
	for _, m := range found {
		set[m] = true
	}
	a.expunge(a.boxes[canonical(name)], func(m *message) bool { return set[m] })
	return nil
}

// SetFlags replaces the flags of a message.
func (a *Account) SetFlags(name string, uid mailproof.UID, flags mailproof.Flags) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, err := a.find(name, []mailproof.UID{uid})
	if err != nil {
		return err
	}
	a.setFlags(a.boxes[canonical(name)], found[0], flags)
	return nil
}

// ResetUIDValidity gives a mailbox a new UIDVALIDITY and its messages new
// UIDs from 1, as servers do after a restore from backup.
func (a *Account) ResetUIDValidity(name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.boxes[canonical(name)]
	if old == nil {
		return fmt.Errorf("imapmem: no mailbox %q", name)
	}
	old.deleted = true
	b := a.create(old.name, old.use)
	for _, m := range old.messages {
		a.used -= int64(len(m.raw))
		a.store(b, m.raw, m.flags, m.date, m.gmail)
	}
	return nil
}

// DeleteMailbox deletes a mailbox and all it holds.
func (a *Account) DeleteMailbox(name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.boxes[canonical(name)]
	if b == nil {
		return fmt.Errorf("imapmem: no mailbox %q", name)
	}
	a.drop(b)
	return nil
}

func (a *Account) drop(b *mailbox) {
	a.expunge(b, func(*message) bool { return true })
	b.deleted = true
	delete(a.boxes, b.name)
}

// SetQuota limits the account to so many octets; 0 lifts the limit.
func (a *Account) SetQuota(octets int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.quota = octets
}

// Activity returns a copy of what was done to the account so far.
func (a *Account) Activity() Activity {
	a.mu.Lock()
	defer a.mu.Unlock()
	act := a.activity
	act.Commands = maps.Clone(act.Commands)
	act.Violations = slices.Clone(act.Violations)
	return act
}

// ResetActivity starts the count anew.
func (a *Account) ResetActivity() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.activity = Activity{Commands: map[string]int{}}
}

func (a *Account) find(name string, uids []mailproof.UID) ([]*message, error) {
	b := a.boxes[canonical(name)]
	if b == nil {
		return nil, fmt.Errorf("imapmem: no mailbox %q", name)
	}
	found := make([]*message, 0, len(uids))
	for _, uid := range uids {
		i, ok := slices.BinarySearchFunc(b.messages, uid, byUID)
		if !ok {
			return nil, fmt.Errorf("imapmem: no uid %d in mailbox %q", uid, name)
		}
		found = append(found, b.messages[i])
	}
	return found, nil
}

func byUID(m *message, uid mailproof.UID) int { return int(m.uid) - int(uid) }

func (a *Account) setFlags(b *mailbox, m *message, flags []string) {
	b.modseq++
	b.changes++
	m.modseq = b.modseq
	m.flags = a.fold(flags)
}

// expunge removes the messages that match and returns how many there were.
func (a *Account) expunge(b *mailbox, match func(*message) bool) int {
	n := 0
	// A new slice, as connections may hold the old one.
	kept := make([]*message, 0, len(b.messages))
	for _, m := range b.messages {
		if !match(m) {
			kept = append(kept, m)
			continue
		}
		m.expunged = true
		a.used -= int64(len(m.raw))
		n++
	}
	if n > 0 {
		b.messages = kept
		b.modseq++
		b.expunges++
	}
	return n
}

func (a *Account) wrote() { a.activity.Writes++ }

func (a *Account) violation(text string) {
	if len(a.activity.Violations) < maxViolations {
		a.activity.Violations = append(a.activity.Violations, text)
	}
}
