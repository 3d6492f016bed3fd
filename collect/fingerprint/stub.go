package fingerprint

import (
	"bytes"
	"strings"
)

// notice is a text that a server hands out in the place of a message which it
// cannot produce. Only what was seen in public is listed: to take a person's
// message for a notice would be to call it unverifiable for ever.
type notice struct {
	server  string
	subject string // how its subject begins, in lower case; empty: any
	text    string // how its text begins, in lower case; empty: any
	source  string // where it was seen
}

// notices are data: a further server is a further line.
//
// Gmail, Dovecot, Cyrus and Courier answer NO, or break the connection, where
// they cannot produce a message; that is handled where bodies are read.
var notices = []notice{
	{
		server: "Exchange 2010 and later, Exchange Online", subject: "retrieval using the imap4 protocol failed for the following message",
		source: "offlineimap.org/server/imap/error/2016/01/27/error-no-such-number.html; test of MailKit for its issue 1451 (TestParseEnvelopeWithNilMailbox)",
	},
	{
		server: "Exchange 2007 and later", text: "the server couldn't retrieve the following message",
		source: "documentation and tests of mail archivers that import from Exchange, which quote the body with its Subject, From and Sent date lines",
	},
	{
		server: "Exchange, other builds", text: "the server could not retrieve the following message",
		source: "the same: the spelled-out form is accepted there beside the contracted one",
	},
}

// maxStub is longer than any such notice, with the subject and the names that
// it quotes.
const maxStub = 4096

// stubText reports whether a text begins like a server's notice.
func stubText(text []byte) bool {
	if len(text) > maxStub {
		return false
	}
	text = bytes.TrimLeft(text, " \t\n")
	if len(text) == 0 || !mayBegin(text[0], func(n *notice) string { return n.text }) {
		return false
	}
	head := plainQuotes(string(text[:min(len(text), 120)]))
	for _, n := range notices {
		if n.text != "" && strings.HasPrefix(head, n.text) {
			return true
		}
	}
	return false
}

// stubSubject reports whether a subject begins like that of a server's notice.
func stubSubject(subject string) bool {
	if subject == "" || !mayBegin(subject[0], func(n *notice) string { return n.subject }) {
		return false
	}
	subject = plainQuotes(subject)
	for _, n := range notices {
		if n.subject != "" && strings.HasPrefix(subject, n.subject) {
			return true
		}
	}
	return false
}

// mayBegin reports whether the text or the subject of some notice may begin with
// an octet. It spares nearly all messages what follows.
func mayBegin(c byte, text func(*notice) string) bool {
	if c >= 0x80 {
		return true // some letters are ASCII in lower case only
	}
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	for i := range notices {
		if t := text(&notices[i]); t != "" && t[0] == c {
			return true
		}
	}
	return false
}

// plainQuotes is a text in lower case with the typewriter's apostrophe.
func plainQuotes(s string) string {
	return strings.ReplaceAll(strings.ToLower(s), "\u2019", "'")
}
