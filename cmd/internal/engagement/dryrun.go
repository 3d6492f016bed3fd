package engagement

import (
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// TargetPlan is what would be done to one folder of the destination.
type TargetPlan struct {
	Folder      string
	Create      bool
	Subscribe   bool
	Append      int64
	AppendBytes int64
	Flags       int64 // messages whose flags would change
	Delete      int64 // messages that would be deleted, see [Engagement.DeletionPlans]
	DeleteBytes int64
}

// folder is the plan of one folder of an account.
func (p *Plan) folder(name string) *TargetPlan {
	i, found := slices.BinarySearchFunc(p.Folders, name, func(f TargetPlan, name string) int { return strings.Compare(f.Folder, name) })
	if !found {
		p.Folders = slices.Insert(p.Folders, i, TargetPlan{Folder: name})
	}
	return &p.Folders[i]
}

// countFolder adds a step to the plan of its folder.
func (p *Plan) countFolder(s *mailproof.Step) {
	switch s.Kind {
	case mailproof.CreateMailbox:
		p.folder(s.Target).Create = true
	case mailproof.SubscribeMailbox:
		p.folder(s.Target).Subscribe = true
	case mailproof.StoreFlags:
		p.folder(s.Destination.Mailbox).Flags++
	case mailproof.AppendMessage:
		f := p.folder(s.Target)
		f.Append++
		f.AppendBytes += s.Size
	}
}

// CountDeletions adds what would be deleted to the plans of their accounts.
func CountDeletions(plans []Plan, deletions []DeletionPlan) {
	for _, d := range deletions {
		i := slices.IndexFunc(plans, func(p Plan) bool { return p.Account == d.Account })
		if i < 0 {
			continue
		}
		for _, m := range d.Messages {
			f := plans[i].folder(m.Destination.Mailbox)
			f.Delete++
			f.DeleteBytes += m.Octets
		}
	}
}
