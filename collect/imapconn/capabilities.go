package imapconn

import (
	"strconv"
	"strings"
)

// capabilities is what a server says it can do, in its own order (RFC 9051
// §7.2.2). Nil: it has not said.
type capabilities []string

func parseCapabilities(s string) capabilities {
	caps := capabilities{}
	for _, c := range strings.Fields(s) {
		if !caps.has(c) {
			caps = append(caps, printable(c))
		}
	}
	return caps
}

func (c capabilities) has(name string) bool {
	for _, have := range c {
		if strings.EqualFold(have, name) {
			return true
		}
	}
	return false
}

// appendLimit returns the value of APPENDLIMIT (RFC 7889), 0 where none is stated.
func (c capabilities) appendLimit() int64 {
	for _, have := range c {
		if len(have) > 12 && strings.EqualFold(have[:12], "APPENDLIMIT=") {
			if n, err := strconv.ParseInt(have[12:], 10, 64); err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}

// mechanisms returns the SASL mechanisms on offer.
func (c capabilities) mechanisms() []string {
	var out []string
	for _, have := range c {
		if len(have) > 5 && strings.EqualFold(have[:5], "AUTH=") {
			out = append(out, strings.ToUpper(have[5:]))
		}
	}
	return out
}

// utf8Names reports whether mailbox names are UTF-8: the server speaks
// IMAP4rev2 and nothing older. One that speaks both uses modified UTF-7 until
// IMAP4rev2 is enabled, which we do not do.
func (c capabilities) utf8Names() bool { return c.has("IMAP4rev2") && !c.has("IMAP4rev1") }

// forClient is what go-imap's client is told: enough for FETCH and SEARCH.
// Merely advertised, IMAP4rev2 would change how it writes.
func (c capabilities) forClient() string {
	out := "IMAP4rev1"
	if c.has("ESEARCH") || c.has("IMAP4rev2") {
		out += " ESEARCH"
	}
	return out
}
