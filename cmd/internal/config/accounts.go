package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/credential"
)

// maxList bounds a list, in octets: half a million rows.
const maxList = 64 << 20

// Entry is one account of a list, with where its passwords are kept.
type Entry struct {
	mailproof.Account
	Line                int // of the list; 0 where there is none
	SourcePassword      credential.Ref
	DestinationPassword credential.Ref
	Note                string // the list's own remark
	Own                 Overrides
	AliasFile           string // that Own.Aliases came from, as written
}

// Overrides are what a row says about its own account alone. They come before
// what the engagement says.
type Overrides struct {
	Map, Exclude                        []string          // as of --map and --exclude
	Aliases                             map[string]string // as of [ReadAliases]
	SourceProvider, DestinationProvider string
}

// IsZero reports whether the row says nothing of the kind.
func (o Overrides) IsZero() bool {
	return len(o.Map)+len(o.Exclude)+len(o.Aliases) == 0 && o.SourceProvider == "" && o.DestinationProvider == ""
}

// Password returns the reference to the password of one side.
func (e Entry) Password(side mailproof.Side) credential.Ref {
	if side == mailproof.Source {
		return e.SourcePassword
	}
	return e.DestinationPassword
}

// Defaults is what a list of accounts is completed with.
type Defaults struct {
	Source, Destination Server
	Dir                 string           // relative paths in the two start here
	Sides               []mailproof.Side // that the work needs; none means both
	// Unchecked leaves out the look at whether the references lead anywhere.
	Unchecked bool
	// OAuth holds the sections that oauth:NAME may name.
	OAuth map[string]OAuth
}

func (d Defaults) needs(side mailproof.Side) bool {
	return len(d.Sides) == 0 || slices.Contains(d.Sides, side)
}

// Preview says how a list was understood, for the user to see before anything
// is run.
type Preview struct {
	File      string
	Format    Format
	Separator string // "comma", "semicolon" or "tab"
	Rows      int
	First     string   // the first row, the password masked
	Warnings  []string // what may be meant, and should be looked at
}

// String returns the preview as one line.
func (p Preview) String() string {
	s := fmt.Sprintf("%s: %d accounts", p.File, p.Rows)
	if p.Rows == 1 {
		s = fmt.Sprintf("%s: 1 account", p.File)
	}
	return fmt.Sprintf("%s, read as %s with %ss; first row: %s", s, p.Format, p.Separator, p.First)
}

// CarriesPasswords reports whether the list itself holds passwords: they are
// in memory only.
func (p Preview) CarriesPasswords() bool { return p.Format != Own }

// ReadAccounts reads a list of accounts in any of the four formats. If any row
// is bad the error is an [*Error] that lists them all, and nothing is
// returned.
func ReadAccounts(path string, d Defaults) ([]Entry, Preview, error) {
	data, err := readFile(path, maxList)
	if err != nil {
		return nil, Preview{}, err
	}
	entries, preview, err := parseAccounts(path, data, d)
	if err == nil && preview.CarriesPasswords() && credential.OthersCanRead(path) {
		preview.Warnings = append(preview.Warnings, fmt.Sprintf("%s holds passwords and can be read by others than its owner: chmod 600 %s", path, path))
	}
	return entries, preview, err
}

func parseAccounts(path string, data []byte, d Defaults) ([]Entry, Preview, error) {
	ps := &problems{file: path, cells: true}
	none := func(rows int) ([]Entry, Preview, error) { return nil, Preview{}, ps.err(rows) }
	text, err := decode(data)
	if err != nil {
		ps.addError(0, "", err)
		return none(0)
	}
	lines := contentLines(text)
	if len(lines) == 0 {
		ps.add(0, "", "there is no account in it")
		return none(0)
	}
	r := &reader{ps: ps, Defaults: d, dir: filepath.Dir(path), checked: map[credential.Ref]error{}}
	if r.layout = detect(lines, ps); r.layout == nil {
		return none(0)
	}
	// What is missing beside the rows keeps none of them from being looked at:
	// a list is mended in one go.
	r.prepare(lines[0].number)
	if r.layout.header {
		ps.header = lines[0].number
		lines = lines[1:]
	}
	if len(lines) == 0 && len(ps.list) > 0 {
		return none(0)
	}
	if len(lines) == 0 {
		ps.add(0, "", "there is a header and no account below it", "write a row for each account below the header; mailproof list check reads it")
		return none(0)
	}
	entries, logins := make([]Entry, 0, len(lines)), make([]logins, 0, len(lines))
	for _, l := range lines {
		if e, of, ok := r.row(l); ok {
			entries, logins = append(entries, e), append(logins, of)
		}
	}
	warnings := r.duplicates(entries, logins)
	if err := ps.err(len(lines)); err != nil {
		return nil, Preview{}, err
	}
	return entries, Preview{File: path, Format: r.layout.format, Separator: separatorNames[r.layout.sep], Rows: len(entries),
		First: r.describe(entries[0]), Warnings: warnings}, nil
}

// reader makes entries of rows.
type reader struct {
	Defaults
	ps      *problems
	layout  *layout
	dir     string // of the list
	sides   [2]sideDefaults
	checked map[credential.Ref]error
	aliases map[string]map[string]string // files of aliases that rows name, read once
}

// sideDefaults is what is known of a side before the first row.
type sideDefaults struct {
	side     mailproof.Side
	template mailproof.Endpoint
	given    bool // the template names a host
	password credential.Ref
	// What was reported of the side for all rows at once is not reported of
	// each.
	noServer, noPassword bool
}

// prepare reads the defaults of both sides, and reports what the list's columns
// and the defaults together leave open.
func (r *reader) prepare(header int) {
	for i, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		server := r.Source
		if side == mailproof.Destination {
			server = r.Destination
		}
		if r.layout.format == Microsoft && side == mailproof.Destination && server.URL == "" && server.User == "" {
			server.User = "{address}" // the user name of that list is the old server's
		}
		s := sideDefaults{side: side}
		var err error
		if s.template, s.given, err = server.template(r.Dir); err != nil {
			r.ps.addError(0, fmt.Sprintf("defaults of the %s", side), err)
		}
		if s.password, err = server.reference(r.Dir); err != nil {
			r.ps.addError(0, fmt.Sprintf("defaults of the %s", side), err)
			s.noPassword = true
		}
		if r.needs(side) {
			r.requireColumns(header, &s)
		}
		r.sides[i] = s
	}
}

func (r *reader) requireColumns(header int, s *sideDefaults) {
	has := func(name string) bool { _, ok := r.layout.index[name]; return ok }
	switch r.layout.format {
	case Own:
		if !has(s.side.String()) && !s.given && !has(s.side.String()+"_provider") {
			s.noServer = true
			r.ps.add(header, "", fmt.Sprintf("the header has no column %q, and no server is given for the %s", s.side, s.side),
				fmt.Sprintf("add the column, or give url or host in [%s] of %s", s.side, FileName))
		}
		if name := s.side.String() + "_password"; !s.noPassword && !has(name) && s.password.IsZero() && s.template.CertFile == "" {
			s.noPassword = true
			r.ps.add(header, "", fmt.Sprintf("the header has no column %q, and no password is given for the %s", name, s.side),
				fmt.Sprintf("add the column, or give password in [%s] of %s", s.side, FileName))
		}
	case Microsoft, Plain:
		if !s.given {
			s.noServer = true
			r.ps.add(0, "", fmt.Sprintf("%s names no server, and none is given for the %s", r.layout.format, s.side),
				fmt.Sprintf("give url or host in [%s] of %s", s.side, FileName))
		}
	}
}

// row makes an entry of one line. What is wrong with it goes to the problems,
// all of it at once.
func (r *reader) row(l line) (e Entry, of logins, ok bool) {
	before := len(r.ps.list)
	fields, ok := r.fields(l)
	if !ok {
		return e, of, false
	}
	e.Line = l.number
	switch r.layout.format {
	case Own:
		r.ownRow(&e, fields)
	case Imapsync:
		r.imapsyncRow(&e, fields)
	default:
		r.addressRow(&e, fields)
	}
	if len(r.ps.list) > before {
		return e, of, false
	}
	of = loginsOf(e)
	// An account that would be copied into itself: every message of it would be
	// found on the destination.
	if of[0] != "" && of[0] == of[1] {
		r.ps.add(e.Line, column(r.columnOf(mailproof.Destination)), "the destination is the same login on the same server as the source")
		return e, of, false
	}
	return e, of, true
}

// fields parts a line and checks that each column has its field.
func (r *reader) fields(l line) ([]string, bool) {
	want := len(r.layout.columns)
	if r.layout.format == Imapsync {
		fields := imapsyncFields(l.text)
		extra := len(fields) > want && strings.TrimSpace(strings.Join(fields[want:], "")) != ""
		switch {
		case len(fields) < want:
			r.ps.add(l.number, "", fmt.Sprintf("%d columns, imapsync's list has %d", len(fields), want))
		case extra:
			r.ps.add(l.number, "", "something follows the sixth column: options of imapsync are not read, and a password that holds a semicolon cannot be told apart")
		default:
			return fields[:want], true
		}
		return nil, false
	}
	fields, err := splitFields(l.text, r.layout.sep)
	if err != nil {
		r.ps.add(l.number, "", err.Error(), fmt.Sprintf(`in line %d write a value that begins with a quote as """value"`, l.number))
		return nil, false
	}
	for len(fields) > want && fields[len(fields)-1] == "" {
		fields = fields[:len(fields)-1] // a separator at the end of the line
	}
	if len(fields) == want {
		return fields, true
	}
	name := separatorNames[r.layout.sep]
	against := fmt.Sprintf("the header has %d", want)
	if !r.layout.header {
		against = fmt.Sprintf("the list has %d", want)
	}
	hint := fmt.Sprintf("put the missing %s in line %d", name, l.number)
	if len(fields) > want {
		hint = fmt.Sprintf("put the value that holds a %s in quotes in line %d", name, l.number)
	}
	r.ps.add(l.number, "", fmt.Sprintf("%d columns, %s", len(fields), against), hint)
	return nil, false
}

// named checks a name or login.
func (r *reader) named(number int, col, value string) {
	if value == "" {
		r.ps.add(number, column(col), "empty")
	} else if reason := visible(value); reason != "" {
		r.ps.add(number, column(col), reason)
	} else if len(value) > 512 {
		r.ps.add(number, column(col), "longer than 512 octets")
	}
}

// serverHint says the two ways in which a row comes by its server.
func serverHint(side string) string {
	return fmt.Sprintf("write imaps://USER@HOST, or say where the accounts live: --%s imaps://HOST, or [%s] in mailproof.toml", side, side)
}

func (r *reader) ownRow(e *Entry, fields []string) {
	get := func(name string) string {
		if i, ok := r.layout.index[name]; ok {
			return fields[i]
		}
		return ""
	}
	e.Name, e.Note = get(colName), get(colNote)
	r.named(e.Line, colName, e.Name)
	r.overrides(e, get)
	e.Source, e.SourcePassword = r.ownSide(e, r.sides[0].at(e.Own.SourceProvider), get(colSource), get(colSourcePassword))
	e.Destination, e.DestinationPassword = r.ownSide(e, r.sides[1].at(e.Own.DestinationProvider), get(colDestination), get(colDestinationPassword))
}

func (r *reader) ownSide(e *Entry, s sideDefaults, cell, password string) (endpoint mailproof.Endpoint, ref credential.Ref) {
	col := s.side.String()
	w := who{address: e.Name, user: cell}
	if cell == "" {
		w.user = e.Name
	} else if !strings.Contains(e.Name, "@") {
		w.address = cell
	}
	switch {
	case strings.Contains(cell, "://"):
		var err error
		if endpoint, err = mailproof.ParseEndpoint(cell); err != nil {
			r.ps.add(e.Line, column(col), withoutValues(err))
		} else if option, err := findFiles(r.dir, &endpoint); isReference(err) {
			r.ps.addError(e.Line, column(col), err)
		} else if err != nil {
			r.ps.add(e.Line, column(col), fmt.Sprintf("the file of the option %s cannot be read", option))
		}
	case s.given:
		endpoint = r.fill(e.Line, col, s.template, w)
	case !r.needs(s.side), s.noServer && cell == "":
	case cell == "":
		r.ps.add(e.Line, column(col), "empty, and no server is given for the "+col, serverHint(col))
	default:
		r.ps.add(e.Line, column(col), "not the address of a server", serverHint(col))
	}
	if endpoint.Host != "" {
		r.named(e.Line, col, endpoint.User)
	}
	if strings.Contains(cell, "://") {
		w.user = endpoint.Identity()
	}
	col += "_password"
	if password != "" {
		parsed, err := credential.Parse(password)
		if err != nil {
			r.ps.addError(e.Line, column(col), err)
			return endpoint, ref
		}
		return endpoint, r.reference(e.Line, col, s.side, parsed.In(r.dir), endpoint)
	}
	if s.password.IsZero() && !s.noPassword && r.needs(s.side) && endpoint.CertFile == "" {
		r.ps.add(e.Line, column(col), "empty", credentialHint)
	}
	return endpoint, r.reference(e.Line, col, s.side, r.defaultPassword(e.Line, col, s, w), endpoint)
}

// isReference reports whether an error is about a reference, whose text shows
// nothing that was not meant to be shown.
func isReference(err error) bool {
	var of *credential.Error
	return errors.As(err, &of)
}

// defaultPassword is what the configuration says of the passwords of a side,
// for one row.
func (r *reader) defaultPassword(number int, col string, s sideDefaults, w who) credential.Ref {
	ref, err := w.reference(s.password)
	if err != nil && r.needs(s.side) {
		r.ps.addError(number, column(col), err)
	}
	return ref
}

// fill makes the endpoint of a row from the side's template.
func (r *reader) fill(number int, col string, template mailproof.Endpoint, w who) mailproof.Endpoint {
	if reason := visible(w.user + w.address); reason != "" {
		r.ps.add(number, column(col), reason)
		return mailproof.Endpoint{}
	}
	endpoint, err := fill(template, w)
	if err != nil {
		r.ps.add(number, column(col), err.Error())
	}
	return endpoint
}

// reference labels a reference and looks whether it leads anywhere, each
// distinct one once.
func (r *reader) reference(number int, col string, side mailproof.Side, ref credential.Ref, endpoint mailproof.Endpoint) credential.Ref {
	if !r.Unchecked && r.needs(side) && ref.Kind() != credential.InMemory { // what is in memory leads somewhere
		err, known := r.checked[ref]
		if !known {
			err = ref.Check()
			r.checked[ref] = err
		}
		if err == nil {
			err = r.checkSection(ref)
		}
		if err != nil {
			r.ps.addError(number, column(col), err)
		}
	}
	return ref.For("password of " + endpoint.Identity() + " at " + endpoint.Host)
}

// addressRow reads a row of Microsoft's list or of a plain one.
func (r *reader) addressRow(e *Entry, fields []string) {
	cols := plainColumns
	if r.layout.format == Microsoft {
		cols = microsoftColumns
		if i, ok := r.layout.index["UserRoot"]; ok && fields[i] != "" {
			r.ps.add(e.Line, column("UserRoot"), "not empty: a part of a mailbox cannot be chosen here", "leave the column empty")
		}
	}
	address, user, password := fields[r.layout.index[cols[0]]], fields[r.layout.index[cols[1]]], fields[r.layout.index[cols[2]]]
	if !looksLikeAddress(address) {
		r.ps.add(e.Line, column(cols[0]), "not an e-mail address")
	}
	r.named(e.Line, cols[1], user)
	e.Name = address
	for _, s := range r.sides {
		if !s.given {
			if s.password.IsZero() {
				r.carried(e.Line, cols[2], s.side, password)
			}
			continue
		}
		w := who{address: address, user: user}
		endpoint := r.fill(e.Line, cols[1], s.template, w)
		// What the configuration says of a side in so many words, as of a
		// master user, comes before the list's one password.
		var ref credential.Ref
		if s.password.IsZero() {
			ref = r.carried(e.Line, cols[2], s.side, password)
		} else {
			ref = r.defaultPassword(e.Line, cols[2], s, w)
		}
		r.set(e, s.side, endpoint, r.reference(e.Line, cols[2], s.side, ref, endpoint))
	}
}

func (r *reader) imapsyncRow(e *Entry, fields []string) {
	for i, s := range r.sides {
		cols, cells := imapsyncColumns[3*i:3*i+3], fields[3*i:3*i+3]
		host, user, password := strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), cells[2]
		if user == "" && host == "" && !r.needs(s.side) {
			continue
		}
		r.named(e.Line, cols[1], user)
		template := s.template
		if parsed, err := mailproof.ParseEndpoint("imaps://x@" + host); err != nil || visible(host) != "" || strings.ContainsAny(host, "@?") {
			r.ps.add(e.Line, column(cols[0]), "not the name of a host")
		} else {
			template.Host = parsed.Host
			if strings.Contains(host, ":") && parsed.Port != 993 {
				template.Port = parsed.Port
			}
		}
		w := who{address: user, user: user}
		endpoint := r.fill(e.Line, cols[1], template, w)
		var ref credential.Ref
		switch {
		case password != "":
			ref = r.carried(e.Line, cols[2], s.side, password)
		case s.password.IsZero() && r.needs(s.side):
			r.ps.add(e.Line, column(cols[2]), "empty")
		default:
			ref = r.defaultPassword(e.Line, cols[2], s, w)
		}
		r.set(e, s.side, endpoint, r.reference(e.Line, cols[2], s.side, ref, endpoint))
		if e.Name == "" || !strings.Contains(e.Name, "@") && strings.Contains(user, "@") {
			e.Name = user
		}
	}
}

// carried takes a password that the list itself holds. It stays in memory.
func (r *reader) carried(number int, col string, side mailproof.Side, password string) credential.Ref {
	switch {
	case password == "" && r.needs(side):
		r.ps.add(number, column(col), "empty")
	case strings.ContainsFunc(password, func(c rune) bool { return c < 0x20 || c == 0x7f }):
		r.ps.add(number, column(col), "holds a control character")
	case password != "":
		return credential.FromSecret(mailproof.NewSecret(password))
	}
	return credential.Ref{}
}

func (r *reader) set(e *Entry, side mailproof.Side, endpoint mailproof.Endpoint, ref credential.Ref) {
	if side == mailproof.Source {
		e.Source, e.SourcePassword = endpoint, ref
		return
	}
	e.Destination, e.DestinationPassword = endpoint, ref
}

// columnOf names the column from which a side's login comes.
func (r *reader) columnOf(side mailproof.Side) string {
	switch {
	case r.layout.format == Own:
		return side.String()
	case r.layout.format == Imapsync && side == mailproof.Source:
		return "user1"
	case r.layout.format == Imapsync:
		return "user2"
	case r.layout.format == Microsoft:
		return "UserName"
	}
	return "user name"
}

// nameColumn names the column from which the account's name comes.
func (r *reader) nameColumn() string {
	return map[Format]string{Own: colName, Microsoft: "EmailAddress", Imapsync: "user1", Plain: "address"}[r.layout.format]
}

// logins are the keys of an account's logins on source and destination; empty
// where it has none there.
type logins [2]string

func loginsOf(e Entry) (of logins) {
	for i, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		if endpoint := e.Endpoint(side); endpoint.Host != "" {
			of[i] = loginKey(endpoint)
		}
	}
	return of
}

// loginKey is equal for logins that servers take as one: most know no case in
// user names.
func loginKey(e mailproof.Endpoint) string { return fold(e.Address() + "\x00" + e.Identity()) }

func fold(s string) string {
	if isASCII(s) { // which has one form only
		return strings.ToLower(s)
	}
	return strings.ToLower(norm.NFC.String(s))
}

// duplicates reports accounts that occur twice. One source for two
// destinations may be meant, and is a warning.
func (r *reader) duplicates(entries []Entry, of []logins) (warnings []string) {
	names := make(map[string]int, len(entries))
	seen := [2]map[string]int{make(map[string]int, len(entries)), make(map[string]int, len(entries))}
	for i, e := range entries {
		name := fold(e.Name)
		if j, ok := names[name]; ok {
			reason := "the same account as in line %d"
			if entries[j].Name != e.Name {
				reason += " but for upper and lower case"
			}
			r.ps.add(e.Line, column(r.nameColumn()), fmt.Sprintf(reason, entries[j].Line))
			continue
		}
		names[name] = i
		for n, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
			login := of[i][n]
			if login == "" {
				continue
			}
			switch j, ok := seen[n][login]; {
			case !ok:
				seen[n][login] = i
			case side == mailproof.Destination:
				r.ps.add(e.Line, column(r.columnOf(side)), fmt.Sprintf("the same login on the destination as in line %d", entries[j].Line),
					"give each account a destination of its own: of two that share one, nobody could tell whose message is missing")
			default:
				warnings = append(warnings, fmt.Sprintf("%s:%d: %s: the same login on the source as in line %d", r.ps.file, e.Line, column(r.columnOf(side)), entries[j].Line))
			}
		}
	}
	return warnings
}

// describe shows a row as it was understood, with its passwords masked.
func (r *reader) describe(e Entry) string {
	parts := []string{e.Name}
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		endpoint := e.Endpoint(side)
		if endpoint.Host == "" {
			continue
		}
		if key, is := KeyReference(endpoint); is {
			endpoint.KeyFile = key.String()
		}
		password := "no password"
		switch ref := e.Password(side); ref.Kind() {
		case credential.None:
		case credential.InMemory:
			password = "password " + mailproof.SecretMask
		default:
			password = "password " + ref.String()
		}
		parts = append(parts, fmt.Sprintf("%s %s, %s", side, endpoint, password))
	}
	return strings.Join(parts, "; ")
}

// Single makes the one account that the command line names by itself. Either
// address may be empty where the work does not need that side.
func Single(source, destination, sourcePassword, destinationPassword string) (Entry, error) {
	var e Entry
	for _, s := range []struct {
		side              mailproof.Side
		address, password string
		endpoint          *mailproof.Endpoint
		ref               *credential.Ref
	}{
		{mailproof.Source, source, sourcePassword, &e.Source, &e.SourcePassword},
		{mailproof.Destination, destination, destinationPassword, &e.Destination, &e.DestinationPassword},
	} {
		if s.address == "" {
			continue
		}
		var err error
		if *s.endpoint, err = mailproof.ParseEndpoint(s.address); err != nil {
			return Entry{}, fmt.Errorf("--%s: %w", s.side, err)
		}
		if e.Name == "" || !strings.Contains(e.Name, "@") && strings.Contains(s.endpoint.Identity(), "@") {
			e.Name = s.endpoint.Identity()
		}
		password := s.password
		if password == "" && s.endpoint.CertFile != "" {
			continue // the certificate says who it is
		}
		if password == "" {
			password = "prompt"
		}
		ref, err := credential.Parse(password)
		if err == nil {
			err = ref.Check()
		}
		if err != nil {
			return Entry{}, fmt.Errorf("--%s-password: %w", s.side, err)
		}
		*s.ref = ref.For(fmt.Sprintf("password of %s at %s", s.endpoint.Identity(), s.endpoint.Host))
	}
	if e.Source.Host != "" && e.Destination.Host != "" && loginKey(e.Source) == loginKey(e.Destination) {
		return Entry{}, fmt.Errorf("--destination: the same login on the same server as --source")
	}
	return e, nil
}
