package diff

import "context"

// Targets maps the mailboxes of a source as [Plan] and [Compare] do, before any
// message of it need have been read.
func Targets(source, destination Inventory, o Options) FolderMap {
	return newEngine(context.Background(), source, destination, o).folders
}
