package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
)

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "print the version of the program and of the fingerprint",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return json.NewEncoder(a.out).Encode(map[string]string{"version": version, "fingerprint": mailproof.FingerprintAlgorithm, "go": runtime.Version()})
			}
			_, err := fmt.Fprintf(a.out, "mailproof %s, fingerprint %s, %s %s/%s\n", version, mailproof.FingerprintAlgorithm, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}
