package fingerprint

import (
	"fmt"
	"strings"
	"testing"
)

// Each notice of the table is recognised, in whatever way it is written; what
// answers, forwards or quotes one, or only resembles it, is a message.
func TestNotices(t *testing.T) {
	is := func(subject, text string) bool {
		raw := fmt.Sprintf("From: Microsoft Exchange Server\r\nSubject: %s\r\n\r\n%s\r\n", subject, text)
		fp, err := Compute(strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		return fp.Detail.Stub
	}
	for _, n := range notices {
		if n.subject == "" && n.text == "" || n.server == "" || n.source == "" {
			t.Errorf("%+v: a line of the table lacks something", n)
		}
		for _, s := range []string{n.subject + n.text, strings.ToUpper(n.subject + n.text), strings.ReplaceAll(n.subject+n.text, "'", "\u2019")} {
			subject, text := s+": 17", "x"
			if n.text != "" {
				subject, text = "x", s+":\r\n\r\nSubject: \"x\""
			}
			if !is(subject, text) {
				t.Errorf("%q is no notice", s)
			}
		}
		for _, s := range []string{"Re: ", "FW: ", "> ", "Yesterday I read: "} {
			subject, text := s+n.subject, "x"
			if n.text != "" {
				subject, text = "x", s+n.text
			}
			if is(subject, text) {
				t.Errorf("%q is a notice", s+n.subject+n.text)
			}
		}
		if n.text != "" && is("x", n.text+strings.Repeat(" and so on\r\n", maxStub)) {
			t.Error("a long message is a notice")
		}
	}
}
