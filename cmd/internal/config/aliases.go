package config

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// maxAliases bounds the file of aliases, in octets.
const maxAliases = 16 << 20

// ReadAliases reads a list of addresses that the new server rewrites on
// purpose: a CSV with two columns, old and new, parted by comma, semicolon or
// tab; a first row "old,new" is a heading. The result is in the form in which
// fingerprints hold addresses: lower case, domains as A-labels. If any row is
// bad the error is an [*Error] that lists them all, and nothing is returned.
func ReadAliases(path string) (map[string]string, error) {
	data, err := readFile(path, maxAliases)
	if err != nil {
		return nil, err
	}
	return parseAliases(path, data)
}

var aliasColumns = [2]string{"old", "new"}

func parseAliases(path string, data []byte) (map[string]string, error) {
	ps := &problems{file: path}
	text, err := decode(data)
	if err != nil {
		ps.addError(0, "", err)
		return nil, ps.err(0)
	}
	lines := contentLines(text)
	sep := byte(',')
	if len(lines) > 0 {
		for _, s := range separators {
			if strings.IndexByte(lines[0].text, s) >= 0 {
				sep = s
				break
			}
		}
		if fields, err := splitFields(lines[0].text, sep); err == nil && len(fields) == 2 && strings.EqualFold(fields[0], "old") && strings.EqualFold(fields[1], "new") {
			lines = lines[1:]
		}
	}
	if len(lines) == 0 {
		ps.add(0, "", "there is no alias in it")
		return nil, ps.err(0)
	}
	aliases, first := map[string]string{}, map[string]int{}
	for _, l := range lines {
		fields, err := splitFields(l.text, sep)
		switch {
		case err != nil:
			ps.addError(l.number, "", err)
			continue
		case len(fields) != 2:
			ps.add(l.number, "", "does not have the two columns old and new", "write one alias a line: old@old.example,new@new.example")
			continue
		}
		var address [2]string
		good := true
		for i, field := range fields {
			if address[i], err = canonicalAddress(field); err != nil {
				ps.add(l.number, column(aliasColumns[i]), err.Error())
				good = false
			}
		}
		switch before, known := aliases[address[0]]; {
		case !good:
		case known && before != address[1]:
			ps.add(l.number, column("old"), "has another alias in line "+strconv.Itoa(first[address[0]]))
		case address[0] == address[1]:
			ps.add(l.number, column("new"), "is the old address itself")
		default:
			if !known {
				first[address[0]] = l.number
			}
			aliases[address[0]] = address[1]
		}
	}
	if err := ps.err(len(lines)); err != nil {
		return nil, err
	}
	return aliases, nil
}

// canonicalAddress returns an address as fingerprints hold it.
func canonicalAddress(s string) (string, error) {
	if reason := visible(s); reason != "" {
		return "", errors.New(reason)
	}
	at := strings.LastIndexByte(s, '@')
	if !looksLikeAddress(s) || at <= 0 {
		return "", errors.New("not an e-mail address")
	}
	local, domain := strings.ToLower(norm.NFC.String(s[:at])), strings.ToLower(norm.NFC.String(strings.TrimSuffix(s[at+1:], ".")))
	ascii, err := idna.Punycode.ToASCII(domain)
	if err != nil || !isDomain(domain) || strings.ContainsAny(local, " ,;<>\"") {
		return "", errors.New("not an e-mail address")
	}
	return local + "@" + ascii, nil
}
