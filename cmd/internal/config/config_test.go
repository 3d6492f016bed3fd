package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, FileName, text)
	c, err := Load(dir)
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""))
	}
	return c, err
}

func TestLoad(t *testing.T) {
	c, err := load(t, "\ufeff"+`
accounts = "list.csv"
[engagement]
id = "NG-2026-11"
customer = "Example Ltd"
domains = ["example.com", "bücher.example"]
cutover = 2026-11-30T18:00:00Z
[source]
url = "imaps://{user}*master@imap.{domain}"
password = "prompt:master"
[destination]
host = "imap.new.example"
security = "starttls"
connections = 3
[copy]
exclude = ["Spam/*"]
map = { "Sent Items" = "Sent" }
[dns]
profile = "new"
old_profile = "old.toml"
phase = "readiness"
resolvers = ["9.9.9.9", "[2620:fe::fe]:53"]
servers = { "ns1.example.net" = "192.0.2.53:5353" }
[limits]
accounts = 8
stall_timeout = "90s"
[report]
customers = [{ name = "A", role = "DPO" }, { organisation = "Other", name = "B" }]
`)
	if err != nil {
		t.Fatal(err)
	}
	if c.ListPath() != filepath.Join(c.Dir, "list.csv") || c.Copy.Map["Sent Items"] != "Sent" || c.Limits.StallTimeout != 90*time.Second ||
		c.DNS.Phase != mailproof.Readiness || c.Engagement.CutOver.Unix() != 1796061600 || !slices.Equal(c.Domains(), c.Engagement.Domains) {
		t.Errorf("read %+v", c)
	}
	if c.DNS.Profile != "new" || c.DNS.OldProfile != filepath.Join(c.Dir, "old.toml") {
		t.Errorf("profiles %q and %q", c.DNS.Profile, c.DNS.OldProfile)
	}
	if got := c.Customers(); !slices.Equal(got, []Party{{"Example Ltd", "A", "DPO"}, {"Other", "B", ""}}) || c.Providers() != nil {
		t.Errorf("parties %v", got)
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	_, err := load(t, `
acounts = "x"
[engagement]
id = "a/b"
[source]
hots = "MARK"
port = 70000
password = "MARK"
[destination]
url = "imaps://{usr}@h"
host = "x"
[sorce]
a = 1
b = 2
[dns]
resolvers = ["dns.example"]
servers = { "ns1.example.net" = "nonsense" }
[limits]
stall_timeout = 30
connect_timeout = "-5s"
accounts = -1
[report]
customers = [{ nmae = "x" }]
`)
	want := `mailproof.toml:2: key "acounts": not known; did you mean "accounts"?
mailproof.toml:4: key "engagement.id": holds more than 64 characters, or others than letters, digits, dots, dashes and underscores
mailproof.toml:6: key "source.hots": not known; did you mean "host"?
mailproof.toml:7: key "source.port": not a number from 1 to 65535
mailproof.toml:8: key "source.password": not a credential reference (its text is not shown)
mailproof.toml:10: key "destination.url": goes without host, port, security, user, authzid, admin, auth, cert, key, ca and insecure: it says all of that itself
mailproof.toml:12: key "sorce": not known; did you mean "source"?
mailproof.toml:16: key "dns.resolvers": "dns.example" is no address: write IP or IP:PORT, as 9.9.9.9 or [2620:fe::fe]:53
mailproof.toml:17: key "dns.servers": "nonsense" is no address: write IP or IP:PORT, as 9.9.9.9 or [2620:fe::fe]:53
mailproof.toml:19: key "limits.stall_timeout": too short, or without its unit: write "30s" or "2m"
mailproof.toml:20: key "limits.connect_timeout": too short, or without its unit: write "30s" or "2m"
mailproof.toml:21: key "limits.accounts": not a number from 1`
	if err == nil {
		t.Fatal("accepted")
	}
	// The key in the inline table has no line of its own: it stands first.
	got := strings.ReplaceAll(err.Error(), "mailproof.toml: key \"report.customers.nmae\": not known; did you mean \"name\"?\n", "")
	if got == err.Error() || got != want {
		t.Errorf("got\n%s\nwant\n%s", err, want)
	}
}

func TestLoadNeverEchoesValues(t *testing.T) {
	for _, text := range []string{
		"[source]\npassword = MARK\n", "[source]\npassword = \"MARK\n", "[source]\npassword = 'MARK\n", "[source]\npassword = [\"MARK\"]\n",
		"[source]\npassword = \"MARK\"\n", "[source]\nport = \"MARK\"\n", "[source]\nurl = \"imaps://a:MARK@h\"\n", "[source]\nurl = \"MARK\"\n",
		"[source]\nurl = \"imaps://a@h?pass=MARK\"\n", "[source]\nurl = \"imaps://a@MARK:x:y\"\n", "password MARK\n", "[source]\npassword = \"\\MARK\"\n",
		"[source]\nhost = \"a@MARK\"", "[dns]\nphase = \"MARK\"", "[source]\nsecurity=\"MARK\"\ninsecure=\"MARK\"", "[source]\npassword = \"a\"MARK\n",
		"[source]\npassword = 1MARK\n", "[source]\npassword = \"cmd:'MARK\"\n", "[limits]\nstall_timeout = \"MARK\"", "[engagement]\ncutover = \"MARK\"",
	} {
		_, err := load(t, text)
		if err == nil {
			t.Errorf("%q: accepted", text)
		} else if strings.Contains(err.Error(), "MARK") {
			t.Errorf("%q is echoed: %v", text, err)
		}
	}
}

func TestLoadWithoutFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	c, err := LoadOrDefault(dir)
	if err != nil || c.Dir != dir || c.ListPath() != "" {
		t.Errorf("%+v, %v", c, err)
	}
	write(t, dir, ListName, "")
	if c.ListPath() != filepath.Join(dir, ListName) {
		t.Errorf("list %q", c.ListPath())
	}
}

func TestWriteTemplates(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	v := TemplateValues{ID: "X-1", Customer: "Quote \" Back \\ \x01 Ltd", Domains: []string{"a.example", "b.example"}, SourceHost: "old.example"}
	paths, err := WriteTemplates(dir, v)
	if err != nil || len(paths) != 2 {
		t.Fatal(paths, err)
	}
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if c.Engagement.Customer != v.Customer || c.Source.Host != "old.example" || !slices.Equal(c.Engagement.Domains, v.Domains) {
		t.Errorf("read back %+v", c)
	}
	if _, _, err := ReadAccounts(c.ListPath(), c.Defaults()); err == nil || !strings.Contains(err.Error(), "no account below it") {
		t.Errorf("the list to fill in: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("directory holds %v, %v", left, err)
	}

	before, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := WriteTemplates(dir, TemplateValues{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over existing files: %v", err)
	}
	// One of the two in the way: the other is not written either.
	if err := os.Remove(paths[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteTemplates(dir, TemplateValues{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an existing list: %v", err)
	}
	if _, err := os.Stat(paths[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half of it was written: %v", err)
	}
	if err := writeNew(paths[1], "x"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written over: %v", err)
	}
	if err := writeExclusive(paths[1], "x"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("written over: %v", err)
	}
	if err := errors.Join(writeExclusive(paths[0], string(before)), os.Remove(paths[1])); err != nil {
		t.Error(err)
	}
}

// Every key that is read is in the template, and what the template shows is
// read without complaint.
func TestTemplateDocumentsEveryKey(t *testing.T) {
	text, err := renderTemplate(TemplateValues{})
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`(?m)^# ([a-z_]+ = )`)
	all := regexp.MustCompile(`(?m)^# (\[oauth\.)`).ReplaceAllString(example.ReplaceAllString(text, "$1"), "$1")
	var walk func(t reflect.Type, path string)
	var missing []string
	walk = func(typ reflect.Type, path string) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			k := f.Tag.Get("toml")
			switch {
			case k == "-":
			case f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[time.Time]():
				walk(f.Type, path+k+".")
			case f.Type == reflect.TypeFor[[]Party](), f.Type == reflect.TypeFor[map[string]OAuth]():
				walk(f.Type.Elem(), path+k+".")
			case strings.Contains(path, "oauth."), strings.Contains(path, "customers.") || strings.Contains(path, "providers.") || strings.Contains(path, "reviewers."):
				if !strings.Contains(all, k+" = ") {
					missing = append(missing, path+k)
				}
			case keyLine(all, strings.Split(path+k, ".")) == 0:
				missing = append(missing, path+k)
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
	if len(missing) > 0 {
		t.Errorf("not in the template: %v", missing)
	}

	dir := t.TempDir()
	for _, name := range []string{"old-server-ca.pem", "new-server-ca.pem", "client.pem", "client-key.pem"} {
		write(t, dir, name, "x")
	}
	// A server is given by url or by its parts, and an administrator in one way; a logo is a picture, a font a font.
	all = regexp.MustCompile(`(?m)^(authzid|logo|pdf_fonts) = .*$`).ReplaceAllString(all, "")
	for _, drop := range []string{`(?m)^url = .*$`, `(?m)^(host|port|security|user|admin|admin_separator|auth|cert|key|ca|insecure) = .*$`} {
		if _, err := parse(FileName, dir, []byte(regexp.MustCompile(drop).ReplaceAllString(all, ""))); err != nil {
			t.Errorf("without %s: %v", drop, err)
		}
	}
	for l := range strings.Lines(text) {
		if strings.ContainsAny(l, "\t") || len(l) > 140 {
			t.Errorf("line %q", l)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	for given, want := range map[string]string{"hots": "host", "pasword": "password", "Port": "port", "xyz": "", "sorce_password": "", "": ""} {
		got := didYouMean(given, []string{"host", "port", "password"})
		if want != "" {
			want = fmt.Sprintf("; did you mean %q?", want)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"ab", "ba", 1}, {"kitten", "sitting", 3}, {"source", "sorce", 1}, {"ä", "a", 1}} {
		if got := editDistance(tt.a, tt.b); got != tt.want || editDistance(tt.b, tt.a) != tt.want {
			t.Errorf("%q %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestServerTemplate(t *testing.T) {
	w := who{address: "anna@bücher.example", user: "web1p7"}
	for _, tt := range []struct {
		server Server
		want   string
	}{
		{Server{Host: "h.example"}, "imaps://web1p7@h.example:993"},
		{Server{Host: "h.example", Security: "starttls", User: "{address}"}, "imap://anna%40b%C3%BCcher.example@h.example:143"},
		{Server{Host: "h.example", Security: "none", Port: 1143}, "imap://web1p7@h.example:1143?tls=none"},
		{Server{Host: "mail.{domain}", User: "{local}"}, "imaps://anna@mail.xn--bcher-kva.example:993"},
		{Server{Host: "h", User: "admin", Authzid: "{user}"}, "imaps://admin@h:993?authzid=web1p7"},
		{Server{Host: "[::1]", Insecure: "skip-verify"}, "imaps://web1p7@[::1]:993?insecure=skip-verify"},
		{Server{URL: "imaps://h.example"}, "imaps://web1p7@h.example:993"},
		{Server{URL: "imap://h.example:1143?tls=none"}, "imap://web1p7@h.example:1143?tls=none"},
		{Server{URL: "imaps://{address}*master@imap.{domain}"}, "imaps://anna%40b%C3%BCcher.example%2Amaster@imap.xn--bcher-kva.example:993"},
		{Server{URL: "imaps://admin@h?authzid={address}"}, "imaps://admin@h:993?authzid=anna%40b%C3%BCcher.example"},
	} {
		template, given, err := tt.server.template("")
		if err != nil || !given {
			t.Errorf("%+v: given %v, %v", tt.server, given, err)
			continue
		}
		got, err := fill(template, w)
		if err != nil {
			t.Errorf("%+v: %v", tt.server, err)
		}
		want, err := mailproof.ParseEndpoint(tt.want)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%+v: %s, want %s", tt.server, got, want)
		}
	}
	template, _, err := Server{Host: "mail.{domain}"}.template("")
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"anna", "anna@", "anna@x@/y", "anna@a b"} {
		if got, err := fill(template, who{address: address}); err == nil {
			t.Errorf("%q: %s", address, got)
		}
	}
}
