package main

import (
	"encoding/json"
	"io"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
)

// What inventory and copy print with --json: one object for the command, with
// one entry for each pass. The names are stable, new ones may appear.

// inventoryJSON is one inventory pass, schema mailproof/inventory/1.
type inventoryJSON struct {
	Pass       mailproof.PassID `json:"pass"`
	Side       string           `json:"side"`
	Accounts   int              `json:"accounts"`
	Folders    int              `json:"folders"`
	Messages   int64            `json:"messages"`
	Read       int64            `json:"read"`  // bodies that this pass read
	Bytes      int64            `json:"bytes"` // octets of those
	New        int64            `json:"new"`
	Vanished   int64            `json:"vanished"`
	Flagged    int64            `json:"flags_changed"`
	Unreadable int64            `json:"unreadable"`
	Changed    int64            `json:"changed"` // known messages whose octets were others when read again
	Drifted    int              `json:"folders_drifted"`
	Failed     int              `json:"folders_failed"`
	Failures   []failureJSON    `json:"failures"`
}

// copyJSON is one copy pass, schema mailproof/copy/1.
type copyJSON struct {
	Pass       mailproof.PassID `json:"pass"`
	Appended   int64            `json:"appended"`
	Bytes      int64            `json:"bytes"`
	Refused    int64            `json:"refused"`
	Failed     int64            `json:"failed"`
	Flagged    int64            `json:"flags_set"`
	Created    int              `json:"folders_created"`
	Subscribed int              `json:"folders_subscribed"`
	Failures   []failureJSON    `json:"failures"`
}

// planJSON is what a dry run would do to one account.
type planJSON struct {
	Account    string   `json:"name"`
	Append     int64    `json:"append"`
	Bytes      int64    `json:"bytes"`
	Flags      int64    `json:"flags_set"`
	Create     []string `json:"folders_created"`
	Subscribe  []string `json:"folders_subscribed"`
	NotPlanned string   `json:"not_planned,omitempty"`
	// What would be done to each folder of the destination.
	Folders []folderPlanJSON `json:"folders,omitempty"`
}

// failureJSON is an account that could not be worked on to the end.
type failureJSON struct {
	Account string `json:"name"`
	Side    string `json:"side"`
	Error   string `json:"error"`
	Remedy  string `json:"remedy,omitempty"` // what it means and what to do
}

func failuresJSON(list []engagement.Failure) []failureJSON {
	out := make([]failureJSON, len(list))
	for i, f := range list {
		out[i] = failureJSON{f.Account, f.Side.String(), f.Err.Error(), f.Hint()}
	}
	return out
}

func inventoryToJSON(r engagement.InventoryResult) inventoryJSON {
	s := r.Summary
	return inventoryJSON{
		Pass: r.Pass, Side: r.Side.String(), Accounts: r.Accounts, Folders: s.Mailboxes, Messages: s.Messages, Read: s.Read, Bytes: s.Bytes,
		New: s.New, Vanished: s.Vanished, Flagged: s.Flagged, Unreadable: s.Unreadable, Changed: s.Changed, Drifted: s.Drifted, Failed: s.Failed,
		Failures: failuresJSON(r.Failures),
	}
}

func copyToJSON(r engagement.CopyResult) *copyJSON {
	s := r.Summary
	return &copyJSON{
		Pass: r.Pass, Appended: s.Appended, Bytes: s.AppendedBytes, Refused: s.Refused, Failed: s.Failed, Flagged: s.Flagged,
		Created: s.Created, Subscribed: s.Subscribed, Failures: failuresJSON(r.Failures),
	}
}

func plansToJSON(plans []engagement.Plan) []planJSON {
	out := make([]planJSON, len(plans))
	for i, p := range plans {
		out[i] = planJSON{p.Account, p.Append, p.AppendBytes, p.Flags, orEmpty(p.CreateNames), orEmpty(p.SubscribeNames), "", foldersToJSON(p.Folders)}
		if p.NotPlanned != nil {
			out[i].NotPlanned = p.NotPlanned.Error()
		}
	}
	return out
}

// passesJSON is the whole of what inventory or copy prints.
type passesJSON struct {
	Schema      string          `json:"schema"`
	ExitCode    int             `json:"exit_code"`
	Inventories []inventoryJSON `json:"inventories"`
	Copy        *copyJSON       `json:"copy,omitempty"`
	Plan        []planJSON      `json:"plan,omitempty"`
	Deletions   []deletionJSON  `json:"deletions,omitempty"` // that would be made, of a dry run
	Deleted     *deletedJSON    `json:"deleted,omitempty"`
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// exitOf is the exit code that a command's result stands for.
func exitOf(result error) int {
	if e, ok := result.(exit); ok {
		return e.code
	}
	return 0
}
