package main

import (
	"testing"

	"github.com/spf13/cobra"
)

// Who forgets an argument is told which.
func TestWants(t *testing.T) {
	cmd := &cobra.Command{Use: "convert IN OUT"}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"a", "b"}, ""},
		{[]string{"a"}, "no OUT is given"},
		{nil, "no IN and no OUT is given"},
		{[]string{"a", "b", "c"}, `"c" is more than is wanted`},
	} {
		got := ""
		if err := wants("IN", "OUT")(cmd, tt.args); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: %s, want %s", tt.args, got, tt.want)
		}
	}
}
