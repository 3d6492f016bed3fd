package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof/cmd/internal/terminal"
)

// The help of the sign-off's commands fits on a screen of 100 columns.
func TestHelpWidth(t *testing.T) {
	a := &app{}
	root := a.root()
	var check func(*cobra.Command)
	check = func(cmd *cobra.Command) {
		var out bytes.Buffer
		cmd.SetOut(&out)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := terminal.Width(line); n > terminal.DefaultWidth {
				t.Errorf("%s --help: %d columns: %s", cmd.CommandPath(), n, line)
			}
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	for _, cmd := range append(a.evidenceCommands(), a.runbookCommand(), a.attestCommand(), a.disposeCommand(), a.serveCommand(), a.reportCommand(), a.statusCommand()) {
		for _, have := range root.Commands() {
			if have.Name() == cmd.Name() {
				check(have)
			}
		}
	}
}
