// Package templates holds what the report's HTML is made of: the page, its
// style sheet, and the script of the list of messages. It has no logic and
// imports nothing of ours.
package templates

import "embed"

// FS holds report.html, a template of html/template, report.css, list.js, and
// the texts of each language: texts/en.toml has all that there are.
//
//go:embed report.html report.css list.js texts/*.toml
var FS embed.FS
