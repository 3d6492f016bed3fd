package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/credential"
)

const header = "name,source,source_password,destination,destination_password\n"

var hosts = Defaults{Source: Server{Host: "old.example"}, Destination: Server{Host: "new.example"}}

func read(text string, d Defaults) ([]Entry, Preview, error) {
	return parseAccounts("mailboxes.csv", []byte(text), d)
}

func mustRead(t *testing.T, text string, d Defaults) ([]Entry, Preview) {
	t.Helper()
	entries, preview, err := read(text, d)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return entries, preview
}

// show writes an entry with its passwords, for comparison.
func show(t *testing.T, e Entry) string {
	t.Helper()
	s := fmt.Sprintf("%d %s", e.Line, e.Name)
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		if e.Endpoint(side).Host == "" {
			continue
		}
		ref := e.Password(side)
		password := ref.String()
		if ref.Kind() == credential.InMemory {
			secret, err := ref.Resolve(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			password = "=" + secret.Reveal()
		}
		s += " | " + strings.TrimSuffix(e.Endpoint(side).String(), ":993") + " " + password
	}
	return s
}

func TestReadAccounts(t *testing.T) {
	t.Setenv("OLD", "x")
	t.Setenv("NEW", "y")
	master := hosts
	master.Source.User, master.Source.Password = "{user}*master", "env:OLD"
	sourceOnly := Defaults{Source: hosts.Source, Sides: []mailproof.Side{mailproof.Source}}
	for _, tt := range []struct {
		name, text string
		d          Defaults
		want       string
	}{
		{"own", header + "anna,imaps://anna@old,env:OLD,imaps://anna@new,env:NEW\n", Defaults{},
			"2 anna | imaps://anna@old env:OLD | imaps://anna@new env:NEW"},
		{"own, quotes, blanks, comments, CRLF, BOM", "\ufeff# list\r\n\r\n" + strings.ReplaceAll(header, "\n", "\r\n") +
			"  # more\r\n" + `"Anna ""A"" B, C" , imaps://anna@old , env:OLD,"imaps://anna@new",env:NEW` + "\r\n,,,,\r\n", Defaults{},
			`5 Anna "A" B, C | imaps://anna@old env:OLD | imaps://anna@new env:NEW`},
		{"own, other order, semicolons", "Destination;note;Source;NAME;source_password;destination_password\nimaps://b@new;hi;imaps://b@old;b;env:OLD;env:NEW\n", Defaults{},
			"2 b | imaps://b@old env:OLD | imaps://b@new env:NEW"},
		{"own, tabs", strings.ReplaceAll(header, ",", "\t") + "a\timaps://a@old\tenv:OLD\timaps://a@new\tenv:NEW", Defaults{},
			"2 a | imaps://a@old env:OLD | imaps://a@new env:NEW"},
		{"own, names alone", "name,source_password,destination_password\na@x.example,env:OLD,env:NEW", hosts,
			"2 a@x.example | imaps://a%40x.example@old.example env:OLD | imaps://a%40x.example@new.example env:NEW"},
		{"own, logins", header + "a@x.example,web1,env:OLD,,env:NEW", hosts,
			"2 a@x.example | imaps://web1@old.example env:OLD | imaps://a%40x.example@new.example env:NEW"},
		{"own, master", "name,destination_password\na@x.example,env:NEW", master,
			"2 a@x.example | imaps://a%40x.example%2Amaster@old.example env:OLD | imaps://a%40x.example@new.example env:NEW"},
		{"own, one side", "name,source,source_password\na,imaps://a@old,env:OLD", sourceOnly, "2 a | imaps://a@old env:OLD"},
		{"own, the other side's reference is not looked at", header + "a,imaps://a@old,env:OLD,imaps://a@new,env:NOT_SET_AT_ALL", sourceOnly,
			"2 a | imaps://a@old env:OLD | imaps://a@new env:NOT_SET_AT_ALL"},
		{"microsoft", "EmailAddress,UserName,Password\na@x.example,web1,p,w\n"[:36] + "\n", hosts, ""},
		{"microsoft", "EmailAddress,UserName,Password\na@x.example,web1,\"p,w\"\n", hosts,
			"2 a@x.example | imaps://web1@old.example =p,w | imaps://a%40x.example@new.example =p,w"},
		{"microsoft, semicolons", "Password;emailaddress;username;UserRoot\npw;a@x.example;web1;\n", hosts,
			"2 a@x.example | imaps://web1@old.example =pw | imaps://a%40x.example@new.example =pw"},
		{"imapsync", "host1;user1;password1;host2;user2;password2;\n# c\nold;a@x;p\"1;new;a@y; p2 ;\n", Defaults{},
			"3 a@x | imaps://a%40x@old =p\"1 | imaps://a%40y@new = p2 "},
		{"imapsync without a header", "old:1993;a;\"p1;new;a@y;p2\n", Defaults{},
			"1 a@y | imaps://a@old:1993 =\"p1 | imaps://a%40y@new =p2"},
		{"imapsync through a spreadsheet", `"old";"a";"p;""1";"new";"a@y";"p2"`, Defaults{},
			"1 a@y | imaps://a@old =p;\"1 | imaps://a%40y@new =p2"},
		{"imapsync, one side", "old;a@x;p;;;\n", Defaults{Sides: []mailproof.Side{mailproof.Source}}, "1 a@x | imaps://a%40x@old =p"},
		{"plain, commas", "a@x.example, web1, p:w\n", hosts,
			"1 a@x.example | imaps://web1@old.example =p:w | imaps://web1@new.example =p:w"},
		{"plain, semicolons, commas in the password", "a@x.example;web1;p,w,z\nb@x.example;web2;p,w\n", hosts,
			"1 a@x.example | imaps://web1@old.example =p,w,z | imaps://web1@new.example =p,w,z"},
		{"plain, one row that commas would part too", "a@x.example;web1;p,w,z", hosts,
			"1 a@x.example | imaps://web1@old.example =p,w,z | imaps://web1@new.example =p,w,z"},
		{"plain, tabs", "a@x.example\tweb1\tp;w,z \n", hosts,
			"1 a@x.example | imaps://web1@old.example =p;w,z | imaps://web1@new.example =p;w,z"},
		{"plain, quoted", `"a@x.example";"web1";" p""w; "`, hosts,
			`1 a@x.example | imaps://web1@old.example = p"w;  | imaps://web1@new.example = p"w; `},
		{"plain, header", "Passwort;E-Mail-Adresse;Benutzername\npw;a@x.example;web1", hosts,
			"2 a@x.example | imaps://web1@old.example =pw | imaps://web1@new.example =pw"},
		{"plain, master", "a@x.example;web1;pw", master,
			"1 a@x.example | imaps://web1%2Amaster@old.example env:OLD | imaps://web1@new.example =pw"},
		{"plain, password like an address", "a@x.example;web1;http://x", hosts,
			"1 a@x.example | imaps://web1@old.example =http://x | imaps://web1@new.example =http://x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entries, preview, err := read(tt.text, tt.d)
			if tt.want == "" {
				if err == nil {
					t.Fatalf("accepted as %v", entries)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := show(t, entries[0]); got != tt.want {
				t.Errorf("read\n%s, want\n%s", got, tt.want)
			}
			if preview.Rows != len(entries) || preview.First == "" {
				t.Errorf("preview %+v", preview)
			}
		})
	}
}

func TestPreviewMasksThePassword(t *testing.T) {
	_, preview := mustRead(t, "a@x.example;web1;MARK\n", hosts)
	want := "mailboxes.csv: 1 account, read as a plain list of address, user name and password with semicolons; first row: a@x.example; " +
		"source imaps://web1@old.example:993, password ••••••; destination imaps://web1@new.example:993, password ••••••"
	if preview.String() != want || !preview.CarriesPasswords() {
		t.Errorf("preview\n%s, want\n%s", preview, want)
	}
}

// The two examples of how errors are to look, and the rest of the ways in
// which a row can be bad, all in one list.
func TestAllBadRowsAtOnce(t *testing.T) {
	t.Setenv("PW", "x")
	list := header +
		"a,imaps://a@old,env:PW,imaps://a@new,env:OLD_PW\n" + // 2
		"b,imaps://b@old,env:PW,imaps://b@new\n" +
		"c,imaps://c@old,env:PW,imaps://c@new,MARK\n" +
		"d,imaps://d@old,env:PW,imaps://d@new,env:PW,MARK\n" + // 5
		"e,imaps://e:MARK@old,env:PW,MARK,env:PW\n" +
		",imaps://f@old,,imaps://f@new,env:PW\n" +
		"g,\"imaps://g@old,env:PW,imaps://g@new,MARK\n" + // 8
		"h\u200b,imaps://h@old,env:PW,imaps://h@new,env:PW\n" +
		"i,imaps://i@same,env:PW,imaps://I@SAME:993,env:PW\n" + // 10
		"j,imaps://j@old,env:PW,imaps://j@new,env:PW\n" +
		"J,imaps://j2@old,env:PW,imaps://j2@new,env:PW\n" +
		"j,imaps://j3@old,env:PW,imaps://j3@new,env:PW\n" + // 13
		"k,imaps://k@old,env:PW,imaps://J@new,env:PW\n" +
		"l,imaps://l@old:x,file:/no/such/file,imaps://l@new?MARK=1,cmd:no-such-program MARK\n"
	_, _, err := read(list, Defaults{})
	var e *Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	want := `mailboxes.csv:2: column "destination_password": credential reference "env:OLD_PW" names a variable that is not set
mailboxes.csv:3: 4 columns, the header has 5
mailboxes.csv:4: column "destination_password": not a credential reference (its text is not shown)
mailboxes.csv:5: 6 columns, the header has 5
mailboxes.csv:6: column "source": a password (or an unescaped colon) stands before the @ of the address: give passwords by reference, as env:NAME or file:PATH, and write %3A for a colon in the user
mailboxes.csv:6: column "destination": not the address of a server
mailboxes.csv:7: column "name": empty
mailboxes.csv:7: column "source_password": empty
mailboxes.csv:8: a quote is opened and not closed
mailboxes.csv:9: column "name": holds the invisible character U+200B
mailboxes.csv:10: column "destination": the destination is the same login on the same server as the source
mailboxes.csv:12: column "name": the same account as in line 11 but for upper and lower case
mailboxes.csv:13: column "name": the same account as in line 11
mailboxes.csv:14: column "destination": the same login on the destination as in line 11
mailboxes.csv:15: column "source": port … is not a number from 1 to 65535
mailboxes.csv:15: column "source_password": credential reference "file:/no/such/file" names a file that does not exist
mailboxes.csv:15: column "destination": an option is not known: there are tls=none, ca=FILE, insecure=skip-verify, compress=deflate, auth=MECHANISM, admin=ADMIN, authzid=USER, admin_separator=CHARACTERS, cert=FILE and key=FILE
mailboxes.csv:15: column "destination_password": credential reference "cmd:no-such-program …" names a program that cannot be run: executable file not found in $PATH`
	if err.Error() != want {
		t.Errorf("got\n%s\nwant\n%s", err, want)
	}
	if e.Summary() != "13 bad rows of 14, nothing was run" {
		t.Errorf("summary %q", e.Summary())
	}
	if h := e.Hints(); len(h) < 2 || h[0] != "export OLD_PW" || h[1] != "put the missing comma in line 3" {
		t.Errorf("hints %q", h)
	}
}

func TestBadLists(t *testing.T) {
	t.Setenv("PW", "x")
	for _, tt := range []struct {
		name, text string
		d          Defaults
		want       string
	}{
		{"empty", "", hosts, "mailboxes.csv: there is no account in it"},
		{"only comments", "# a\n\n", hosts, "mailboxes.csv: there is no account in it"},
		{"typo in the header", "name,sorce,source_password,destination,destinaton_password\n", Defaults{},
			"mailboxes.csv:1: column \"sorce\": not known; did you mean \"source\"?\nmailboxes.csv:1: column \"destinaton_password\": not known; did you mean \"destination_password\"?"},
		{"unknown column", "name,source,source_password,destination,destination_password,MARK\n", Defaults{}, "mailboxes.csv:1: column 6: not known"},
		{"column twice", "name,source,source\n", Defaults{}, "mailboxes.csv:1: column \"source\": stands twice in the header"},
		{"no name", "source,source_password,destination,destination_password\n", Defaults{}, "mailboxes.csv:1: the header has no column \"name\""},
		{"no passwords", "name,source,destination\n", Defaults{}, "mailboxes.csv:1: the header has no column \"source_password\", and no password is given for the source\nmailboxes.csv:1: the header has no column \"destination_password\", and no password is given for the destination"},
		{"no header", "a,imaps://a@old,env:PW,imaps://a@new,env:PW\n", Defaults{}, "mailboxes.csv:1: there is no header"},
		{"nonsense", "MARK\nMARK MARK\n", hosts, "mailboxes.csv:1: this is no list that can be read"},
		{"plain without servers", "a@x.example;web1;MARK", Defaults{}, "mailboxes.csv: a plain list of address, user name and password names no server, and none is given for the source\nmailboxes.csv: a plain list of address, user name and password names no server, and none is given for the destination"},
		{"plain rows without servers", "a@x.example;web1;MARK\nweb2;MARK;b@x\nc@x.example;;MARK\nd@x.example;web4;\ne@x.example;web5;MARK;MARK\nA@x.example;web6;MARK", Defaults{},
			"mailboxes.csv: a plain list of address, user name and password names no server, and none is given for the source\nmailboxes.csv: a plain list of address, user name and password names no server, and none is given for the destination\n" +
				"mailboxes.csv:2: column \"address\": not an e-mail address\nmailboxes.csv:3: column \"user name\": empty\nmailboxes.csv:4: column \"password\": empty\nmailboxes.csv:5: 4 columns, the list has 3\nmailboxes.csv:6: column \"address\": the same account as in line 1 but for upper and lower case"},
		{"Microsoft's rows without servers", "EmailAddress,UserName,Password\na@x.example,,MARK\nb,b,MARK\n", Defaults{Sides: []mailproof.Side{mailproof.Source}},
			"mailboxes.csv: Microsoft's list names no server, and none is given for the source\nmailboxes.csv:2: column \"UserName\": empty\nmailboxes.csv:3: column \"EmailAddress\": not an e-mail address"},
		{"own rows without columns", "name,source,destination\na,,imaps://a@new\n,imaps://b@old,nowhere\n", Defaults{},
			"mailboxes.csv:1: the header has no column \"source_password\", and no password is given for the source\nmailboxes.csv:1: the header has no column \"destination_password\", and no password is given for the destination\n" +
				"mailboxes.csv:2: column \"source\": empty, and no server is given for the source\nmailboxes.csv:3: column \"name\": empty\nmailboxes.csv:3: column \"destination\": not the address of a server"},
		{"own rows without a server", "name,source_password,destination,destination_password\na,env:PW,imaps://a@new,env:NONE\nb,env:PW,imaps://b@new,\n", Defaults{},
			"mailboxes.csv:1: the header has no column \"source\", and no server is given for the source\nmailboxes.csv:2: column \"destination_password\": credential reference \"env:NONE\" names a variable that is not set\nmailboxes.csv:3: column \"destination_password\": empty"},
		{"plain rows", "a@x.example;web1;MARK\nweb2;MARK;b@x\nc@x.example;;MARK\nd@x.example;web4;\ne@x.example;web5;MARK;MARK\nA@x.example;web6;MARK", hosts,
			"mailboxes.csv:2: column \"address\": not an e-mail address\nmailboxes.csv:3: column \"user name\": empty\nmailboxes.csv:4: column \"password\": empty\nmailboxes.csv:5: 4 columns, the list has 3\nmailboxes.csv:6: column \"address\": the same account as in line 1 but for upper and lower case"},
		{"imapsync rows", "old;a;MARK;new;a;MARK;\nold;b;MARK;new;b\nold;c;MARK;new;c;MARK;--ssl1 MARK\no d;d;;new;d;MARK;\nold;e;MARK;new;A;MARK;", Defaults{},
			"mailboxes.csv:2: 5 columns, imapsync's list has 6\nmailboxes.csv:3: something follows the sixth column: options of imapsync are not read, and a password that holds a semicolon cannot be told apart\nmailboxes.csv:4: column \"host1\": not the name of a host\nmailboxes.csv:4: column \"password1\": empty\nmailboxes.csv:5: column \"user2\": the same login on the destination as in line 1"},
		{"user root", "EmailAddress,UserName,Password,UserRoot\na@x.example,a,MARK,/MARK\n", hosts, "mailboxes.csv:2: column \"UserRoot\": not empty: a part of a mailbox cannot be chosen here"},
		{"latin 1", "a@x.example;web1;pw\nb@x.example;web2;K\xe4se\n", hosts, "mailboxes.csv: not UTF-8 in line 2: it is in an older encoding, such as Windows-1252 or Latin-1"},
		{"UTF-16 without its mark", "a\x00@\x00x\x00;\x00w\x00", hosts, "mailboxes.csv: UTF-16 without a byte order mark"},
		{"half a character in UTF-16", "\xff\xfea\x00\x00\xd8b\x00", hosts, "mailboxes.csv: begins as UTF-16 and is damaged"},
		{"no-break blank", "a@x.example;web\u00a01;MARK", hosts, "mailboxes.csv:1: column \"user name\": holds the invisible character U+00A0"},
		{"damaged UTF-16", "\xff\xfea\x00b", hosts, "mailboxes.csv: begins as UTF-16 and is damaged"},
		{"bad defaults", "a@x.example;web1;MARK", Defaults{Source: Server{Host: "h", Password: "MARK"}, Destination: Server{URL: "MARK"}},
			"mailboxes.csv: defaults of the source: key \"password\": not a credential reference (its text is not shown)\nmailboxes.csv: defaults of the destination: key \"url\": … has no scheme: write imaps://USER@HOST\nmailboxes.csv: a plain list of address, user name and password names no server, and none is given for the destination"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			entries, _, err := read(tt.text, tt.d)
			if err == nil {
				t.Fatalf("accepted: %v", entries)
			}
			if err.Error() != tt.want || entries != nil {
				t.Errorf("got\n%s\nwant\n%s", err, tt.want)
			}
		})
	}
}

func TestSameSourceTwiceIsAWarning(t *testing.T) {
	t.Setenv("PW", "x")
	entries, preview := mustRead(t, header+"a,imaps://shared@old,env:PW,imaps://a@new,env:PW\nb,imaps://Shared@old,env:PW,imaps://b@new,env:PW\n", Defaults{})
	if len(entries) != 2 || len(preview.Warnings) != 1 || preview.Warnings[0] != `mailboxes.csv:3: column "source": the same login on the source as in line 2` {
		t.Errorf("%d entries, warnings %q", len(entries), preview.Warnings)
	}
}

func TestUTF16(t *testing.T) {
	const list = "a@x.example;web1;Käse€😀\r\nb@x.example;web2;q\r\n"
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		data := order.AppendUint16(nil, 0xfeff)
		for _, u := range utf16.Encode([]rune(list)) {
			data = order.AppendUint16(data, u)
		}
		entries, _ := mustRead(t, string(data), hosts)
		if got := show(t, entries[0]); len(entries) != 2 || !strings.Contains(got, "=Käse€😀 |") {
			t.Errorf("%d entries, the first %s", len(entries), got)
		}
	}
}

func TestUncheckedReferences(t *testing.T) {
	const list = header + "a,imaps://a@old,env:NOT_SET_AT_ALL,imaps://a@new,file:/no/such\n"
	if _, _, err := read(list, Defaults{}); err == nil {
		t.Error("references that lead nowhere were accepted")
	}
	if _, _, err := read(list, Defaults{Unchecked: true}); err != nil {
		t.Error(err)
	}
}

// Relative paths are looked up beside the file in which they stand.
func TestPathsBesideTheList(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "pw", "secret\n")
	write(t, dir, "ca.pem", "x")
	list := write(t, dir, "list.csv", header+"a,imaps://a@old?ca=ca.pem,file:pw,imaps://a@new,file:pw\n")
	entries, _, err := ReadAccounts(list, Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	if got := entries[0].Source.CAFile; got != dir+"/ca.pem" {
		t.Errorf("trust anchors %q", got)
	}
	if s, err := entries[0].SourcePassword.Resolve(t.Context(), nil); err != nil || s.Reveal() != "secret" {
		t.Errorf("%v, %v", s, err)
	}
}

func TestDefaultPasswordsOfEachAccount(t *testing.T) {
	d := Defaults{
		Source:      Server{Host: "old", Password: "file:{user}.pw"},
		Destination: Server{Host: "new", User: "{address}", Password: "cmd:echo {address} {domain} {local}"},
		Unchecked:   true,
	}
	for _, text := range []string{"name,source,destination\nanna@x.example,web1,\n", "anna@x.example;web1;ignored", "name,source\nanna@x.example,imaps://web1@old\n"} {
		entries, _ := mustRead(t, text, d)
		e := entries[0]
		if e.SourcePassword.String() != "file:web1.pw" {
			t.Errorf("%q: source password %s", text, e.SourcePassword)
		}
		if s, err := e.DestinationPassword.Resolve(t.Context(), nil); err != nil || s.Reveal() != "anna@x.example x.example anna" {
			t.Errorf("%q: %q, %v", text, s.Reveal(), err)
		}
	}
	_, _, err := read("name,source,destination\nanna@x.example,../../etc/passwd,\n", d)
	if err == nil || !strings.HasPrefix(err.Error(), `mailboxes.csv:2: column "source_password": credential reference "file:{user}.pw" cannot be filled in: the account's {user} is empty`) {
		t.Errorf("a login that is a path: %v", err)
	}
	d.Source.Password = "file:{usr}.pw"
	if _, _, err := read("a@x.example;web1;p", d); err == nil || !strings.Contains(err.Error(), `there is no placeholder {usr}; did you mean "user"?`) {
		t.Errorf("unknown placeholder: %v", err)
	}
}

func TestListsOfPasswordsThatOthersCanRead(t *testing.T) {
	list := write(t, t.TempDir(), "list.txt", "a@x.example;web1;p\n")
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o640: 1} {
		if err := os.Chmod(list, mode); err != nil {
			t.Fatal(err)
		}
		_, preview, err := ReadAccounts(list, hosts)
		if err != nil || len(preview.Warnings) != want {
			t.Errorf("mode %o: warnings %q, %v", mode, preview.Warnings, err)
		}
	}
}

func TestPromptsAreLabelled(t *testing.T) {
	entries, _ := mustRead(t, header+"a,imaps://a@old,prompt,imaps://a@new,prompt:admin\n", Defaults{})
	p := &recorder{}
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		if _, err := entries[0].Password(side).Resolve(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(p.labels, ", "); got != "password of a at old, password of admin" {
		t.Errorf("asked for %s", got)
	}
}

func TestSingle(t *testing.T) {
	t.Setenv("PW", "x")
	e, err := Single("imaps://web1@old", "imaps://a%40x@new", "env:PW", "")
	if err != nil || e.Name != "a@x" || e.SourcePassword.String() != "env:PW" || e.DestinationPassword.Kind() != credential.Prompt {
		t.Errorf("%+v, %v", e, err)
	}
	for _, args := range [][4]string{
		{"imaps://a@h", "imaps://A@H", "env:PW", "env:PW"}, {"imaps://a:MARK@h", "", "env:PW", ""}, {"imaps://a@h", "", "MARK", ""}, {"imaps://a@h", "", "env:NOT_SET_AT_ALL", ""},
	} {
		if e, err := Single(args[0], args[1], args[2], args[3]); err == nil || strings.Contains(err.Error(), "MARK") {
			t.Errorf("%q: %v, %v", args, e, err)
		}
	}
}

func bigList(rows int) string {
	var b strings.Builder
	b.WriteString(header)
	for i := range rows {
		fmt.Fprintf(&b, "user%d@example.com,imaps://user%d%%40example.com@old.example,env:PW,imaps://user%d%%40example.com@new.example,env:PW\n", i, i, i)
	}
	return b.String()
}

func TestManyRows(t *testing.T) {
	t.Setenv("PW", "x")
	list := bigList(50_000)
	began := time.Now()
	entries, _ := mustRead(t, list, Defaults{})
	t.Logf("%d rows in %s", len(entries), time.Since(began))
	if len(entries) != 50_000 {
		t.Errorf("%d entries", len(entries))
	}
	// As many bad ones: all are found, and the text stays readable.
	_, _, err := read(strings.ReplaceAll(list, "env:PW", "env:NOT_SET_AT_ALL"), Defaults{})
	var e *Error
	if !errors.As(err, &e) || len(e.Problems) != 100_000 || len(e.Details()) != printed+1 || e.Summary() != "50000 bad rows of 50000, nothing was run" {
		t.Errorf("%d problems, summary %q", len(e.Problems), e.Summary())
	}
}

func BenchmarkReadAccounts(b *testing.B) {
	b.Setenv("PW", "x")
	list := []byte(bigList(50_000))
	for b.Loop() {
		if _, _, err := parseAccounts("mailboxes.csv", list, Defaults{}); err != nil {
			b.Fatal(err)
		}
	}
}
