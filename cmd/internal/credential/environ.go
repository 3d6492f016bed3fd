package credential

import (
	"os"
	"slices"
	"strings"
	"sync"
)

// secretVariables are the names of the variables that references name. What is
// in them is a password, and is no business of the programs that we start.
var secretVariables struct {
	sync.Mutex
	names []string
}

func keepFromChildren(name string) {
	secretVariables.Lock()
	defer secretVariables.Unlock()
	if !slices.Contains(secretVariables.names, name) {
		secretVariables.names = append(secretVariables.names, name)
	}
}

// Environ is the environment for programs that this process starts: its own,
// without the variables that hold passwords by an env:NAME reference.
func Environ() []string {
	secretVariables.Lock()
	defer secretVariables.Unlock()
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(secretVariables.names, name)
	})
}
