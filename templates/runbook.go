package templates

import _ "embed"

// Runbook is the runbook of a migration: phases, gates and steps as data.
//
//go:embed runbook.toml
var Runbook string
