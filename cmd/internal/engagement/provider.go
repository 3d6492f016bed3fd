package engagement

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/provider"
	"github.com/mailproof/mailproof/diff"
)

// providerOf is whose server a side of an account is on: the one that was
// named, else the one that it is recognised as; nil where nothing is known.
func (r Rules) providerOf(account string, side mailproof.Side, info mailproof.ServerInfo) *provider.Provider {
	own := r.Accounts[account]
	if side == mailproof.Source {
		return provider.Choose(cmp.Or(own.SourceProvider, r.SourceProvider), info)
	}
	return provider.Choose(cmp.Or(own.DestinationProvider, r.DestinationProvider), info)
}

// annotated is an inventory whose special folders are known by the names that
// its provider gives them.
type annotated struct {
	diff.Inventory
	boxes []mailproof.MailboxScan
}

// Mailboxes implements [diff.Inventory].
func (a annotated) Mailboxes() []mailproof.MailboxScan { return a.boxes }

// annotate has the provider say what the folders of an inventory are. It rests
// on what the ledger has of the server, so that every comparison of the same
// inventories maps folders alike.
func (e *Engagement) annotate(inv diff.Inventory) diff.Inventory {
	scan := inv.Scan()
	p := e.Rules.providerOf(scan.Account, scan.Side, scan.Server)
	if p == nil {
		return inv
	}
	scans := slices.Clone(inv.Mailboxes())
	boxes := make([]mailproof.Mailbox, len(scans))
	for i, s := range scans {
		boxes[i] = s.Mailbox
	}
	for i, m := range p.Annotate(scan.Side, boxes) {
		scans[i].Mailbox = m
	}
	return annotated{inv, scans}
}

// lister is what deciding on the folders of a source needs of its reader.
type lister interface {
	Server() mailproof.ServerInfo
	Mailboxes(ctx context.Context) ([]mailproof.Mailbox, error)
	Examine(ctx context.Context, mailbox string) (mailproof.MailboxState, error)
	Metadata(ctx context.Context, yield func(mailproof.Metadata) error) error
}

// omissions are the folders of one account that stay behind because of what is
// known of its provider.
type omissions struct {
	rules map[string]string // folder to the rule that leaves it out
	kept  []keptFolder
}

// keptFolder is a folder that would have stayed behind, had each of its
// messages been seen in another folder.
type keptFolder struct {
	Folder string
	Alone  int64 // messages that are in no other folder; -1: it could not be told
}

// excluded joins them with the user's own rules, which come first.
func (o omissions) excluded(rules func(mailproof.Mailbox) (string, bool)) func(mailproof.Mailbox) (string, bool) {
	if len(o.rules) == 0 {
		return rules
	}
	return func(m mailproof.Mailbox) (string, bool) {
		if rule, out := rules(m); out {
			return rule, true
		}
		rule, out := o.rules[m.Name]
		return rule, out
	}
}

// omit decides which folders of a source stay behind by its provider's preset.
// A folder that --map names stays in, and so does one that is said to be a view
// of other folders until each of its messages was seen there: a message that is
// archived at Gmail without a label is in All Mail and nowhere else.
func (e *Engagement) omit(ctx context.Context, account string, r lister) (omissions, error) {
	o := omissions{rules: map[string]string{}}
	p := e.Rules.providerOf(account, mailproof.Source, r.Server())
	rules := e.rulesOf(account)
	if p == nil || len(p.Omit) == 0 {
		return o, nil
	}
	boxes, err := r.Mailboxes(ctx)
	if err != nil {
		return o, err
	}
	var views, rest []mailproof.Mailbox
	for _, m := range p.Annotate(0, boxes) {
		omission, out := p.Omitted(m)
		_, byRule := rules.Excluded(m)
		switch {
		case m.NoSelect || byRule:
		case !out || e.Rules.maps(account, m):
			rest = append(rest, m)
		case omission.Verified:
			views = append(views, m)
		default:
			o.rules[m.Name] = p.Rule(omission)
		}
	}
	if len(views) == 0 {
		return o, nil
	}
	// All Mail first: if it stays in, the other views are views of it.
	slices.SortStableFunc(views, func(a, b mailproof.Mailbox) int { return rank(a) - rank(b) })
	err = e.omitViews(ctx, r, p, views, rest, &o)
	return o, err
}

func rank(m mailproof.Mailbox) int {
	if m.SpecialUse == mailproof.UseAll {
		return 0
	}
	return 1
}

// omitViews leaves out those views whose messages all lie in other folders, by
// X-GM-MSGID. Eight octets are held for each message of the account.
func (e *Engagement) omitViews(ctx context.Context, r lister, p *provider.Provider, views, rest []mailproof.Mailbox, o *omissions) error {
	var elsewhere []uint64
	for _, m := range rest {
		ids, _, err := gmailIDs(ctx, r, m.Name)
		if err != nil {
			return err
		}
		elsewhere = append(elsewhere, ids...)
	}
	slices.Sort(elsewhere)
	for _, m := range views {
		ids, nameless, err := gmailIDs(ctx, r, m.Name)
		if err != nil {
			return err
		}
		alone := int64(0)
		for _, id := range ids {
			if _, found := slices.BinarySearch(elsewhere, id); !found {
				alone++
			}
		}
		switch {
		case nameless > 0:
			o.kept = append(o.kept, keptFolder{m.Name, -1})
		case alone > 0:
			o.kept = append(o.kept, keptFolder{m.Name, alone})
			elsewhere = append(elsewhere, ids...)
			slices.Sort(elsewhere)
		default:
			omission, _ := p.Omitted(m)
			o.rules[m.Name] = p.Rule(omission) + "; each of its messages was seen there"
		}
	}
	return nil
}

// gmailIDs returns the X-GM-MSGIDs of a folder, and how many of its messages
// have none. A folder that cannot be opened is the inventory's to record; here
// it counts as one of whose messages nothing is known.
func gmailIDs(ctx context.Context, r lister, mailbox string) (ids []uint64, nameless int, err error) {
	if _, err := r.Examine(ctx, mailbox); err != nil {
		if ctx.Err() != nil || mailproof.KindOf(err) == mailproof.ErrConnection {
			return nil, 0, err
		}
		return nil, 1, nil
	}
	err = r.Metadata(ctx, func(md mailproof.Metadata) error {
		if md.GmailID == 0 {
			nameless++
			return nil
		}
		ids = append(ids, md.GmailID)
		return nil
	})
	return ids, nameless, err
}

// maps reports whether a --map rule names the folder itself.
func (r Rules) maps(account string, m mailproof.Mailbox) bool {
	path := strings.Join(m.Path(), "/")
	return slices.ContainsFunc(append(slices.Clone(r.Accounts[account].Map), r.Map...), func(rule string) bool {
		old := oldOf(rule)
		return old == m.Name || old == path
	})
}

// oldOf is the source folder of a map OLD=NEW.
func oldOf(rule string) string {
	old, _, _ := strings.Cut(strings.ReplaceAll(rule, `\=`, "\x00"), "=")
	return strings.ReplaceAll(old, "\x00", "=")
}

// CheckProviders reports names of providers that are not known.
func (r Rules) CheckProviders() error {
	var errs []error
	check := func(what, name string) {
		if err := provider.CheckName(name); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	check("provider of the source", r.SourceProvider)
	check("provider of the destination", r.DestinationProvider)
	for name, own := range r.Accounts {
		check("account "+name+": provider of the source", own.SourceProvider)
		check("account "+name+": provider of the destination", own.DestinationProvider)
	}
	return errors.Join(errs...)
}

// refusedCharacters are those that a destination takes in no folder name.
func (e *Engagement) refusedCharacters(account string, server mailproof.ServerInfo) string {
	refused := diff.RefusedBy(server)
	if p := e.Rules.providerOf(account, mailproof.Destination, server); p != nil && refused == "" {
		refused = p.RefusedCharacters
	}
	return refused
}
