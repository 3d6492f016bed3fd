package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/zalando/go-keyring"

	"github.com/mailproof/mailproof"
)

const secret = "s3cr3t-Käse;\"x"

// answers is a prompter that knows its answers by label.
type answers struct {
	mu    sync.Mutex
	by    map[string]string
	asked []string
}

func (a *answers) Prompt(_ context.Context, label string) (mailproof.Secret, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, label)
	return mailproof.NewSecret(a.by[label]), nil
}

func mustParse(t *testing.T, s string) Ref {
	t.Helper()
	r, err := Parse(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return r
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestParse(t *testing.T) {
	good := func(s string, kind Kind, printed string) {
		t.Helper()
		r, err := Parse(s)
		if err != nil || r.Kind() != kind || r.String() != printed {
			t.Errorf("%q: kind %d, prints %q, error %v; want %d, %q", s, r.Kind(), r.String(), err, kind, printed)
		}
	}
	good("env:OLD_PW", Env, "env:OLD_PW")
	good("ENV:_x9", Env, "env:_x9")
	good("file:/run/secrets/a b", File, "file:/run/secrets/a b")
	good("cmd:pass", Command, "cmd:pass")
	good("cmd:pass show 'mail/anna s'", Command, "cmd:pass …")
	good("keyring:anna@example.com", Keyring, "keyring:anna@example.com")
	good("keyring:old/anna", Keyring, "keyring:old/anna")
	good("age:pw.age#anna", Age, "age:pw.age#anna")
	good("prompt", Prompt, "prompt")
	good("prompt:the administrator", Prompt, "prompt:the administrator")

	for _, s := range []string{
		"", "env", "file", "env:", "env:9X", "env:A-B", "env:A B", "file:", "cmd:", "cmd:  ", "cmd:''", "cmd:a 'b", `cmd:a \`,
		"keyring:", "keyring:/x", "keyring:x/", "age:", "age:#k", "age:f#", "prompts", "hunter2", "hunter:2", "file:a\nb", "env:\x00",
	} {
		if r, err := Parse(s); err == nil || !r.IsZero() {
			t.Errorf("%q: accepted as %v", s, r)
		}
	}
}

// Whatever stands where a reference should stand may be a password.
func TestParseNeverEchoes(t *testing.T) {
	for _, s := range []string{"MARK", "x:MARK", "evn:MARK", "MARK:env", "env:MARK-", "env:9MARK", "cmd:'MARK", "age:#MARK", "file:MARK\n", "PROMPTMARK"} {
		_, err := Parse(s)
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("%q: %v", s, err)
		}
		if text := fmt.Sprint(err, e.Hints(), e.Ref); strings.Contains(text, "MARK") {
			t.Errorf("%q is echoed: %s", s, text)
		}
	}
}

func TestPrintingHidesArguments(t *testing.T) {
	for _, r := range []Ref{mustParse(t, "cmd:curl -u anna:MARK https://vault.example"), FromSecret(mailproof.NewSecret("MARK"))} {
		j, err := json.Marshal(struct{ R Ref }{r})
		if err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprintf("%v %+v %#v %s %q %x %d %s", r, r, r, r, r, r, struct{ R Ref }{r}, j); strings.Contains(text, "MARK") || strings.Contains(text, "4d41524b") {
			t.Errorf("leaked: %s", text)
		}
	}
}

func TestSplitWords(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{"", nil}, {"  ", nil}, {"a", []string{"a"}}, {" a  b\t c ", []string{"a", "b", "c"}},
		{`a "b c" 'd e'`, []string{"a", "b c", "d e"}}, {`a b\ c`, []string{"a", "b c"}}, {`""`, []string{""}}, {`a ''`, []string{"a", ""}},
		{`'a\b'`, []string{`a\b`}}, {`"a\b\"\\\$"`, []string{`a\b"\$`}}, {`x"y z"'w'`, []string{"xy zw"}},
		{`a $HOME *.c | b > c; d`, []string{"a", "$HOME", "*.c", "|", "b", ">", "c;", "d"}},
	} {
		got, err := splitWords(tt.in)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, %v; want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("MP_SET", secret)
	t.Setenv("MP_EMPTY", "")
	t.Setenv("MP_LINES", "a\nb")
	writeFile(t, filepath.Join(dir, "pw"), secret+"\n")
	writeFile(t, filepath.Join(dir, "pw-crlf"), "\ufeff"+secret+"\r\n")
	writeFile(t, filepath.Join(dir, "pw-bare"), secret)
	writeFile(t, filepath.Join(dir, "blank-kept"), "a \n")
	writeFile(t, filepath.Join(dir, "empty"), "\n")
	writeFile(t, filepath.Join(dir, "void"), "")
	writeFile(t, filepath.Join(dir, "lines"), "MARK\nMARK\n")
	writeFile(t, filepath.Join(dir, "huge"), strings.Repeat("MARK", maxSecret))
	keyring.MockInit()
	if err := keyring.Set("mailproof", "anna", secret); err != nil {
		t.Fatal(err)
	}
	if err := keyring.Set("old", "a/b", secret); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	people := &answers{by: map[string]string{"password": secret, "password of root": "r"}}

	for ref, want := range map[string]string{
		"env:MP_SET": secret, "file:pw": secret, "file:pw-crlf": secret, "file:pw-bare": secret, "file:blank-kept": "a ",
		"file:" + dir + "/pw": secret, "cmd:cat " + dir + "/pw": secret, `cmd:printf "%s\\nnotes\\n" 'a b'`: "a b",
		"keyring:anna": secret, "keyring:old/a/b": secret, "prompt": secret, "prompt:root": "r",
	} {
		r := mustParse(t, ref).In(dir)
		if err := r.Check(); err != nil {
			t.Errorf("%s: check: %v", ref, err)
		}
		if got, err := r.Resolve(ctx, people); err != nil || got.Reveal() != want {
			t.Errorf("%s: %q, %v; want %q", ref, got.Reveal(), err, want)
		}
	}
	for ref, want := range map[string]string{
		"env:MP_UNSET":  `credential reference "env:MP_UNSET" names a variable that is not set`,
		"env:MP_EMPTY":  `credential reference "env:MP_EMPTY" names a variable that is empty`,
		"env:MP_LINES":  `credential reference "env:MP_LINES" holds more than one line; a password is one line`,
		"file:none":     `credential reference "file:none" names a file that does not exist`,
		"file:.":        `credential reference "file:." names a directory`,
		"file:empty":    `credential reference "file:empty" names a file that is empty`,
		"file:void":     `credential reference "file:void" names a file that is empty`,
		"file:lines":    `credential reference "file:lines" holds more than one line; a password is one line`,
		"file:huge":     `credential reference "file:huge" names a file that cannot be read: larger than 65536 octets`,
		"keyring:nobod": `credential reference "keyring:nobod" names an entry that the keyring does not have`,
		"cmd:/no/such":  `credential reference "cmd:/no/such" failed: no such file or directory`,
		"cmd:true":      `credential reference "cmd:true" printed no password in its first line`,
		"prompt:nobody": `credential reference "prompt:nobody" was answered with an empty password`,
		`cmd:sh -c "echo MARK; echo no MARK here >&2; exit 3"`: `credential reference "cmd:sh …" failed and said "no •••••• here": exit status 3`,
	} {
		r := mustParse(t, ref).In(dir)
		got, err := r.Resolve(ctx, people)
		if ref == "file:." {
			err = r.Check()
		}
		if err == nil || err.Error() != want || !got.IsZero() {
			t.Errorf("%s: %q, error %v; want %s", ref, got.Reveal(), err, want)
		}
	}
	if s, err := (Ref{}).Resolve(ctx, nil); err != nil || !s.IsZero() {
		t.Errorf("the zero reference: %v, %v", s, err)
	}
	if _, err := mustParse(t, "prompt").Resolve(ctx, nil); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("prompt without a prompter: %v", err)
	}
}

func TestCheckFindsWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "void"), "")
	for _, ref := range []string{"env:MP_UNSET_VARIABLE", "file:none", "file:void", "age:none", "age:void#k", "cmd:no-such-program-here x", "file:" + dir} {
		if err := mustParse(t, ref).In(dir).Check(); err == nil {
			t.Errorf("%s: nothing found", ref)
		}
	}
}

func TestRelativePathsBesideTheFileFirst(t *testing.T) {
	beside, cwd := t.TempDir(), t.TempDir()
	t.Chdir(cwd)
	writeFile(t, filepath.Join(cwd, "pw"), "cwd")
	r := mustParse(t, "file:pw").In(beside)
	if s, err := r.Resolve(t.Context(), nil); err != nil || s.Reveal() != "cwd" {
		t.Errorf("working directory: %q, %v", s.Reveal(), err)
	}
	writeFile(t, filepath.Join(beside, "pw"), "beside")
	if s, err := r.Resolve(t.Context(), nil); err != nil || s.Reveal() != "beside" {
		t.Errorf("beside the list: %q, %v", s.Reveal(), err)
	}
}

func TestResolverAsksOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pw")
	writeFile(t, path, "x")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	people := &answers{by: map[string]string{"password of admin": "a", "password of anna": "b"}}
	v := NewResolver(people)
	var wg sync.WaitGroup
	for i := range 40 {
		refs := []Ref{mustParse(t, "prompt:admin"), mustParse(t, "prompt").For("password of anna"), mustParse(t, "file:"+path)}
		wg.Go(func() {
			if _, err := v.Resolve(t.Context(), refs[i%3]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(people.asked)
	if !slices.Equal(people.asked, []string{"password of admin", "password of anna"}) {
		t.Errorf("asked %q", people.asked)
	}
	if w := v.Warnings(); len(w) != 1 || !strings.Contains(w[0], "chmod 600 "+path) {
		t.Errorf("warnings %q", w)
	}
}

// A reading that was cancelled is tried again; one that failed is not.
func TestCancelledIsNotRemembered(t *testing.T) {
	dir := t.TempDir()
	v := NewResolver(nil)
	r := mustParse(t, "file:pw").In(dir)
	writeFile(t, filepath.Join(dir, "pw"), "x")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Resolve(cancelled, r); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := v.Resolve(t.Context(), r); err != nil {
		t.Errorf("after the cancelled one: %v", err)
	}
}

func TestCancelEndsACommand(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	started := filepath.Join(t.TempDir(), "started")
	if err := mkfifo(started); err != nil {
		t.Skip(err)
	}
	go func() {
		_, _ = os.ReadFile(started) // returns when the command has opened it
		cancel()
	}()
	if _, err := mustParse(t, "cmd:sh -c 'echo > "+started+"; exec sleep 600'").Resolve(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	// A pipe that nobody writes to must not hang either.
	if _, err := mustParse(t, "file:"+started).Resolve(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("pipe: error %v", err)
	}
}

func encrypt(t *testing.T, armoured bool, text string, to age.Recipient) string {
	t.Helper()
	var buf bytes.Buffer
	dst := io.WriteCloser(struct {
		io.Writer
		io.Closer
	}{&buf, io.NopCloser(nil)})
	if armoured {
		dst = armor.NewWriter(&buf)
	}
	w, err := age.Encrypt(dst, to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), dst.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func TestAge(t *testing.T) {
	dir := t.TempDir()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	phrase, err := age.NewScryptRecipient("open sesame")
	if err != nil {
		t.Fatal(err)
	}
	phrase.SetWorkFactor(10)
	const many = "# passwords\n\nanna@example.com = x=y \nbob=MARK\r\nempty=\n"
	writeFile(t, filepath.Join(dir, "one.age"), encrypt(t, false, secret+"\n", id.Recipient()))
	writeFile(t, filepath.Join(dir, "many.age"), encrypt(t, true, many, id.Recipient()))
	writeFile(t, filepath.Join(dir, "other.age"), encrypt(t, false, secret, other.Recipient()))
	writeFile(t, filepath.Join(dir, "phrase.age"), encrypt(t, true, many, phrase))
	writeFile(t, filepath.Join(dir, "damaged.age"), encrypt(t, false, secret, id.Recipient())[:190])
	writeFile(t, filepath.Join(dir, "plain.age"), "MARK")
	writeFile(t, filepath.Join(dir, "id"), id.String()+"\n")
	writeFile(t, filepath.Join(dir, "id.age"), encrypt(t, false, id.String()+"\n", phrase))
	writeFile(t, filepath.Join(dir, "id.bad"), "AGE-SECRET-KEY-MARK")

	right := map[string]string{}
	for _, name := range []string{"phrase.age", "id.age"} {
		right["passphrase of "+filepath.Join(dir, name)] = "open sesame"
	}
	good := func(identity, ref, want string) {
		t.Helper()
		t.Setenv(IdentityVariable, identity)
		got, err := mustParse(t, ref).In(dir).Resolve(t.Context(), &answers{by: right})
		if err != nil || got.Reveal() != want {
			t.Errorf("%s: %q, %v; want %q", ref, got.Reveal(), err, want)
		}
	}
	plain := filepath.Join(dir, "id")
	good(plain, "age:one.age", secret)
	good(plain, "age:many.age#anna@example.com", " x=y ")
	good(plain, "age:many.age#bob", "MARK")
	good("", "age:phrase.age#bob", "MARK")
	good(plain, "age:phrase.age#bob", "MARK")
	good(filepath.Join(dir, "id.age"), "age:one.age", secret)

	bad := func(identity, ref, want string) {
		t.Helper()
		t.Setenv(IdentityVariable, identity)
		_, err := mustParse(t, ref).In(dir).Resolve(t.Context(), &answers{by: map[string]string{"passphrase of " + filepath.Join(dir, "phrase.age"): "wrong"}})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "MARK") {
			t.Errorf("%s: %v; want %s", ref, err, want)
		}
	}
	bad("", "age:one.age", "cannot be decrypted without an identity")
	bad(plain, "age:other.age", "is not encrypted to the identity")
	bad(plain, "age:many.age", "several lines")
	bad(plain, "age:many.age#carol", "names a key that the file does not have")
	bad(plain, "age:many.age#empty", "password is empty")
	bad(plain, "age:damaged.age", "cannot be decrypted")
	bad(plain, "age:plain.age", "cannot be decrypted")
	bad(plain, "age:phrase.age#bob", "the passphrase is wrong")
	bad(filepath.Join(dir, "id.bad"), "age:one.age", "holds no age identities")
	bad(filepath.Join(dir, "none"), "age:one.age", "cannot be read")

	t.Setenv(IdentityVariable, "")
	people := &answers{by: right}
	v := NewResolver(people)
	for _, key := range []string{"bob", "anna@example.com", "bob"} {
		if _, err := v.Resolve(t.Context(), mustParse(t, "age:phrase.age#"+key).In(dir)); err != nil {
			t.Error(err)
		}
	}
	if len(people.asked) != 1 {
		t.Errorf("asked %q for one file", people.asked)
	}
}

func TestReadPassword(t *testing.T) {
	ask := func(ctx context.Context, typed string) (string, string, error) {
		in, typing := io.Pipe()
		go func() { _, _ = io.WriteString(typing, typed) }()
		var out syncBuffer
		s, err := readPassword(ctx, struct {
			io.Reader
			io.Writer
		}{in, &out}, "password of a\x1b[2Jnna")
		return s.Reveal(), out.String(), err
	}
	got, shown, err := ask(t.Context(), "hunteX\x7fr2é\r")
	if err != nil || got != "hunter2é" {
		t.Errorf("typed %q, error %v", got, err)
	}
	if strings.Contains(shown, "hunte") || strings.Contains(shown, "\x1b[2J") || !strings.HasPrefix(shown, "password of a\ufffd[2Jnna: ") {
		t.Errorf("the terminal shows %q", shown)
	}
	if _, _, err := ask(t.Context(), "hunt\x03"); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupt: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := ask(ctx, "hunt"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.buf.String() }

func FuzzParse(f *testing.F) {
	for _, s := range []string{"env:A", "file:~/x", `cmd:a "b c"`, "keyring:a/b", "age:a#b", "prompt", "prompt:x", "hunter2", "cmd:'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			if !r.IsZero() {
				t.Errorf("%q: an error and a reference", s)
			}
			return
		}
		if again, err := Parse(r.String()); r.kind != Command && (err != nil || again != r) {
			t.Errorf("%q prints as %q, which reads as %v, %v", s, r.String(), again, err)
		}
	})
}

func TestFill(t *testing.T) {
	values := map[string]string{"user": "web 1'p", "address": "anna@example.com", "domain": ""}
	for in, want := range map[string]string{
		"env:PW": "env:PW", "file:/run/{address}": "file:/run/anna@example.com", "age:pw.age#{address}": "age:pw.age#anna@example.com",
		"keyring:old/{user}": "keyring:old/web 1'p", "prompt:{user}": "prompt:{user}", "file:{other}": "file:{other}",
	} {
		if got, err := mustParse(t, in).Fill(values); err != nil || got.String() != want {
			t.Errorf("%s: %s, %v; want %s", in, got, err, want)
		}
	}
	r, err := mustParse(t, `cmd:printf %s- {user} "<{address}>"`).Fill(values)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := r.Resolve(t.Context(), nil); err != nil || s.Reveal() != "web 1'p-<anna@example.com>-" {
		t.Errorf("%q, %v", s.Reveal(), err)
	}
	for in, value := range map[string]string{
		"file:/run/{user}": "../MARK", "file:/run/{user}x": ".MARK", "age:{user}": "MARK#y", "cmd:a {user}": "-MARK", "cmd:{user} b": "MARK", "env:{user}": "MARK MARK",
		"keyring:{user}": "", "file:{user}": "MARK\n",
	} {
		r, err := Parse(in)
		if in == "env:{user}" {
			if err == nil {
				t.Errorf("%s was accepted", in)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Fill(map[string]string{"user": value}); err == nil || strings.Contains(err.Error(), "MARK") || !got.IsZero() {
			t.Errorf("%s with %q: %v, %v", in, value, got, err)
		}
	}
}

// Whatever the values, a filled command has the words of its template and no
// more.
func FuzzFillCommand(f *testing.F) {
	f.Add("a'b \"c\" \\ $x")
	f.Fuzz(func(t *testing.T, value string) {
		r, err := mustParse(t, "cmd:prog --for={user} x{user}").Fill(map[string]string{"user": value})
		if err != nil {
			return
		}
		words, err := splitWords(r.arg)
		if err != nil || !slices.Equal(words, []string{"prog", "--for=" + value, "x" + value}) {
			t.Errorf("%q: %q, %v", value, words, err)
		}
	})
}

func TestAsk(t *testing.T) {
	people := &answers{by: map[string]string{"password of a": "x"}}
	v := NewResolver(people)
	refs := []Ref{mustParse(t, "env:NOT_SET_AT_ALL"), mustParse(t, "prompt").For("password of nobody"), mustParse(t, "prompt").For("password of a")}
	if err := v.Ask(t.Context(), refs...); err != nil {
		t.Error(err)
	}
	for range 2 {
		if s, err := v.Resolve(t.Context(), refs[2]); err != nil || s.Reveal() != "x" {
			t.Errorf("%v, %v", s, err)
		}
	}
	if len(people.asked) != 2 {
		t.Errorf("asked %q", people.asked)
	}
	if err := NewResolver(interrupter{}).Ask(t.Context(), refs...); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

type interrupter struct{}

func (interrupter) Prompt(context.Context, string) (mailproof.Secret, error) {
	return mailproof.Secret{}, context.Canceled
}
