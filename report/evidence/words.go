package evidence

import (
	_ "embed"
	"strings"
	"text/template"
)

//go:embed VERIFY.md.tmpl
var verifyTemplate string

var verifyWords = template.Must(template.New(fileVerify).Parse(verifyTemplate))

// verifyText is VERIFY.md: how to check a bundle with public tools and without
// mailproof.
func verifyText(p Profile, fingerprint string, timestamp bool) []byte {
	var out strings.Builder
	err := verifyWords.Execute(&out, struct {
		Profile     string
		Lines       bool
		Redacted    bool
		Fingerprint string
		Timestamp   bool
		Namespace   string
	}{p.String(), p.HasLines(), p != Full, fingerprint, timestamp, sshNamespace})
	if err != nil {
		panic(err) // the template is our own, and a test executes all of it
	}
	return []byte(out.String())
}
