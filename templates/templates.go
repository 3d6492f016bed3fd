// Package templates holds what the report's HTML is made of: the page and its
// style sheet. It has no logic and imports nothing of ours.
package templates

import "embed"

// FS holds report.html, a template of html/template, and report.css.
//
//go:embed report.html report.css
var FS embed.FS
