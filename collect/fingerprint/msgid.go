package fingerprint

import (
	"crypto/md5"
	"strings"
)

// MIH is the message identification hash of EDRM: the MD5 of the Message-ID
// with its angle brackets, in the case in which it was written. It finds the
// same message in another tool's list; it proves nothing of the content.
func MIH(messageID string) [16]byte { return md5.Sum([]byte(messageID)) }

// messageID returns the identifier in the value of a Message-ID field: from
// the first "<" to the next ">", white space left out; without a pair of
// brackets the whole value.
func messageID(value string) string {
	if open := strings.IndexByte(value, '<'); open >= 0 {
		if n := strings.IndexByte(value[open:], '>'); n >= 0 {
			return removeSpace(value[open : open+n+1])
		}
	}
	return removeSpace(value)
}

// localPart returns what precedes the last "@" of a Message-ID, without the
// opening bracket.
func localPart(id string) string {
	id = strings.TrimSuffix(strings.TrimPrefix(id, "<"), ">")
	if at := strings.LastIndexByte(id, '@'); at >= 0 {
		id = id[:at]
	}
	return id
}

// messageIDs returns the identifiers of In-Reply-To or References in order: all
// bracketed ones, or, where there are none, the words.
func messageIDs(value string) []string {
	var ids []string
	for rest := value; ; {
		open := strings.IndexByte(rest, '<')
		if open < 0 {
			break
		}
		n := strings.IndexByte(rest[open:], '>')
		if n < 0 {
			break
		}
		ids = append(ids, removeSpace(rest[open:open+n+1]))
		rest = rest[open+n+1:]
	}
	if len(ids) == 0 {
		return strings.Fields(value)
	}
	return ids
}

func removeSpace(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < 0x80 && isSpace(byte(r)) }) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < 0x80 && isSpace(byte(r)) {
			return -1
		}
		return r
	}, s)
}
