package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// wants checks that a command is given exactly the arguments that its usage line
// names, and says which are missing.
func wants(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		usage := "write " + cmd.CommandPath() + " " + strings.Join(names, " ")
		switch {
		case len(args) < len(names):
			return hinted{fmt.Errorf("no %s is given", strings.Join(names[len(args):], " and no ")), usage}
		case len(args) > len(names):
			return hinted{fmt.Errorf("%q is more than is wanted", args[len(names)]), usage}
		}
		return nil
	}
}
