package fingerprint

import (
	"bytes"
	"strings"
)

// stubs are the beginnings of the texts that servers put in the place of a
// message that they cannot produce, in lower case.
var stubTexts = []string{
	"the server couldn't retrieve the following message", // Exchange 2007 and later, IMAP4 and POP3
	"the server could not retrieve the following message",
	"the message could not be retrieved",
	"this message could not be retrieved",
	"an error occurred while retrieving this message",
	"retrieval using the imap4 protocol failed for the following message",
}

// stubSubject begins the subject of Exchange's notices.
const stubSubject = "retrieval using the imap4 protocol failed for the following message"

// maxStub is longer than any such notice, with the subject and the names that
// it quotes.
const maxStub = 4096

// stubText reports whether a text begins like a server's notice.
func stubText(text []byte) bool {
	if len(text) > maxStub {
		return false
	}
	text = bytes.TrimLeft(text, " \t\n")
	head := strings.ReplaceAll(strings.ToLower(string(text[:min(len(text), 120)])), "\u2019", "'")
	for _, s := range stubTexts {
		if strings.HasPrefix(head, s) {
			return true
		}
	}
	return false
}
