package config

import (
	"fmt"
	"slices"
	"strings"
)

// Format is the form of a list of accounts.
type Format uint8

// The formats.
const (
	Own       Format = iota + 1 // name,source,source_password,destination,destination_password
	Microsoft                   // EmailAddress,UserName,Password
	Imapsync                    // host1;user1;password1;host2;user2;password2;
	Plain                       // address, user name, password, with or without a header
)

var formatNames = map[Format]string{
	Own: "mailproof's own list", Microsoft: "Microsoft's list", Imapsync: "imapsync's list", Plain: "a plain list of address, user name and password",
}

func (f Format) String() string { return formatNames[f] }

// Columns of the formats.
const (
	colName                = "name"
	colSource              = "source"
	colSourcePassword      = "source_password"
	colDestination         = "destination"
	colDestinationPassword = "destination_password"
	colNote                = "note"
	colMap                 = "map"
	colExclude             = "exclude"
	colAliases             = "aliases"
	colSourceProvider      = "source_provider"
	colDestinationProvider = "destination_provider"
)

var (
	ownColumns = []string{colName, colSource, colSourcePassword, colDestination, colDestinationPassword, colNote, colMap, colExclude, colAliases, colSourceProvider, colDestinationProvider}
	// guessed are those that a slip of the pen may be taken for: nearly
	// everything is nearly "map".
	guessed          = slices.DeleteFunc(slices.Clone(ownColumns), func(c string) bool { return c == colMap })
	microsoftColumns = []string{"EmailAddress", "UserName", "Password", "UserRoot"}
	imapsyncColumns  = []string{"host1", "user1", "password1", "host2", "user2", "password2"}
	plainColumns     = []string{"address", "user name", "password"}
)

// Words that stand over the three columns of a plain list.
var plainWords = map[string]int{
	"address": 0, "email": 0, "mail": 0, "emailaddress": 0, "mailaddress": 0, "adresse": 0, "emailadresse": 0, "mailadresse": 0, "mailbox": 0, "postfach": 0,
	"user": 1, "username": 1, "login": 1, "loginname": 1, "benutzer": 1, "benutzername": 1, "konto": 1, "account": 1,
	"password": 2, "passwort": 2, "kennwort": 2, "pass": 2, "pw": 2, "passwd": 2,
}

// layout is how the lines of a list are to be read.
type layout struct {
	format  Format
	sep     byte
	header  bool           // the first line is one
	columns []string       // names of the columns, in the order of the fields
	index   map[string]int // column name to field
}

func newLayout(f Format, sep byte, header bool, columns []string) *layout {
	l := &layout{format: f, sep: sep, header: header, columns: columns, index: map[string]int{}}
	for i, c := range columns {
		l.index[c] = i
	}
	return l
}

// detect finds out the format. What is wrong with the header goes to ps; then
// there is no layout.
func detect(lines []line, ps *problems) *layout {
	first := lines[0]
	sep := headerSeparator(first.text)
	fields, err := splitFields(first.text, sep)
	if err == nil {
		if l := microsoftHeader(fields, sep); l != nil {
			return l
		}
		if strings.Contains(first.text, "imaps://") || strings.Contains(first.text, "imap://") {
			ps.add(first.number, "", "there is no header", "write as the first line: "+strings.Join(ownColumns[:5], ","))
			return nil
		}
		if l := plainHeader(fields, sep); l != nil {
			return l
		}
		if isOwnHeader(fields) {
			return ownHeader(first, fields, sep, ps)
		}
	}
	if l := imapsyncLayout(lines); l != nil {
		return l
	}
	if l := plainLayout(lines); l != nil {
		return l
	}
	ps.add(first.number, "", "this is no list that can be read",
		"write as the first line: "+strings.Join(ownColumns[:5], ",")+", or give lines of address, user name and password")
	return nil
}

// headerSeparator is the separator that occurs most often in a line.
func headerSeparator(s string) byte {
	best := separators[0]
	for _, sep := range separators {
		if strings.Count(s, string(sep)) > strings.Count(s, string(best)) {
			best = sep
		}
	}
	return best
}

// bare is a heading without case, blanks, dashes and underscores.
func bare(s string) string {
	return strings.NewReplacer(" ", "", "-", "", "_", "", ".", "").Replace(strings.ToLower(s))
}

func microsoftHeader(fields []string, sep byte) *layout {
	columns, found := make([]string, len(fields)), map[string]bool{}
	for i, f := range fields {
		for _, c := range microsoftColumns {
			if bare(f) == strings.ToLower(c) && !found[c] {
				columns[i], found[c] = c, true
			}
		}
		if columns[i] == "" {
			return nil
		}
	}
	if !found["EmailAddress"] || !found["UserName"] || !found["Password"] {
		return nil
	}
	return newLayout(Microsoft, sep, true, columns)
}

func plainHeader(fields []string, sep byte) *layout {
	columns := make([]string, len(fields))
	for i, f := range fields {
		n, ok := plainWords[bare(f)]
		if !ok || slices.Contains(columns, plainColumns[n]) {
			return nil
		}
		columns[i] = plainColumns[n]
	}
	if len(fields) != len(plainColumns) {
		return nil
	}
	return newLayout(Plain, sep, true, columns)
}

// isOwnHeader tells a header of ours, with slips of the pen, from a row.
func isOwnHeader(fields []string) bool {
	hits := 0
	for _, f := range fields {
		if strings.ContainsAny(f, "@") {
			return false
		}
		name := strings.ToLower(f)
		if slices.Contains(ownColumns, name) {
			hits += 2
		} else if didYouMean(name, guessed) != "" {
			hits++
		}
	}
	return hits >= 2
}

func ownHeader(first line, fields []string, sep byte, ps *problems) *layout {
	columns := make([]string, len(fields))
	before := len(ps.list)
	for i, f := range fields {
		name := strings.ToLower(f)
		switch {
		case name == "":
			ps.add(first.number, "", "the header has a column without a name")
		case !slices.Contains(ownColumns, name):
			// Only what is nearly a heading is repeated; the rest may be a row
			// where the header should be.
			place := fmt.Sprintf("column %d", i+1)
			suggestion := didYouMean(name, guessed)
			if suggestion != "" {
				place = column(f)
			}
			ps.add(first.number, place, "not known"+suggestion, "the columns are "+strings.Join(ownColumns, ","))
		case slices.Contains(columns, name):
			ps.add(first.number, column(name), "stands twice in the header")
		}
		columns[i] = name
	}
	if !slices.Contains(columns, colName) && len(ps.list) == before {
		ps.add(first.number, "", `the header has no column "name"`, "the columns are "+strings.Join(ownColumns, ","))
	}
	if len(ps.list) > before {
		return nil
	}
	return newLayout(Own, sep, true, columns)
}

// sample bounds how many lines have a say in what the format is.
const sample = 100

// imapsyncLayout recognises lists of which most rows have the six fields.
func imapsyncLayout(lines []line) *layout {
	votes := 0
	head := lines[:min(len(lines), sample)]
	for _, l := range head {
		if n := strings.Count(l.text, ";"); n == 5 || n == 6 {
			votes++
		}
	}
	if votes*2 <= len(head) {
		return nil
	}
	fields := imapsyncFields(lines[0].text)
	header := len(fields) >= len(imapsyncColumns)
	for i := range imapsyncColumns {
		header = header && i < len(fields) && strings.EqualFold(fields[i], imapsyncColumns[i])
	}
	return newLayout(Imapsync, ';', header, imapsyncColumns)
}

// imapsyncFields parts a row of imapsync, which knows no quotes: a password may
// begin with one. A host cannot, so a row that begins with a quote came through
// a spreadsheet and is quoted as those do.
func imapsyncFields(s string) []string {
	if strings.HasPrefix(strings.TrimLeft(s, " \t"), `"`) {
		if fields, err := splitFields(s, ';'); err == nil {
			return fields
		}
	}
	return strings.Split(s, ";")
}

// plainLayout finds the separator by which most rows fall into three, the first
// of them an address.
func plainLayout(lines []line) *layout {
	best, most := byte(0), 0
	for _, sep := range separators {
		votes := 0
		for _, l := range lines[:min(len(lines), sample)] {
			if fields, err := splitFields(l.text, sep); err == nil && len(fields) == 3 && looksLikeAddress(fields[0]) {
				votes++
			}
		}
		if votes > most {
			best, most = sep, votes
		}
	}
	if most == 0 {
		return nil
	}
	return newLayout(Plain, best, false, plainColumns)
}

func looksLikeAddress(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at < len(s)-1 && !strings.ContainsAny(s, ",; \t\"") && visible(s) == ""
}
