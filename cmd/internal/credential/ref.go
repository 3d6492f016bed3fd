// Package credential turns references to passwords into passwords. A reference
// says where a password is kept and is all that a file of ours, a command line
// or a report may hold:
//
//	env:NAME                  environment variable NAME
//	file:PATH                 the one line of a file
//	cmd:PROGRAM ARGUMENTS     first line of what a program prints; no shell
//	keyring:[SERVICE/]USER    the system's keyring; SERVICE is mailproof
//	age:FILE[#KEY]            an age-encrypted file (age-encryption.org/v1)
//	prompt                    asked at the terminal, once for each account
//	prompt:NAME               asked at the terminal, once for all who name it
//	oauth:NAME                access tokens by the section [oauth.NAME] of mailproof.toml
//
// The package reads secrets and returns them as [mailproof.Secret]; it never
// stores, prints or logs one, and no error text holds one: errors name the
// reference, and of a command only its program.
package credential

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mailproof/mailproof"
)

// Kind is where a password is kept.
type Kind uint8

// The kinds of reference. The zero Kind is no reference at all.
const (
	None Kind = iota
	Env
	File
	Command
	Keyring
	Age
	Prompt
	OAuth    // access tokens, which are no password: the oauth room gets them
	InMemory // a password that a foreign list carried; it has no written form
)

var schemes = map[string]Kind{"env": Env, "file": File, "cmd": Command, "keyring": Keyring, "age": Age, "prompt": Prompt, "oauth": OAuth}

// Forms lists the ways to write a reference, for hints and help texts.
const Forms = "env:NAME, file:PATH, cmd:PROGRAM ARGUMENTS, keyring:[SERVICE/]USER, age:FILE[#KEY], oauth:NAME or prompt"

// DefaultService is the keyring service of references that name none.
const DefaultService = "mailproof"

// Ref is a reference to a password, or a password held in memory. It is
// comparable: equal references stand for the same password. The zero Ref
// stands for none.
type Ref struct {
	kind  Kind
	arg   string // what follows the colon, as written
	dir   string // where relative paths are looked up first
	label string // what a prompt asks for
	value mailproof.Secret
}

// FromSecret wraps a password that is in memory only.
func FromSecret(s mailproof.Secret) Ref { return Ref{kind: InMemory, value: s} }

// Parse reads a reference. What is not one may be a password that somebody
// wrote in its place, so the error never repeats it.
func Parse(s string) (Ref, error) {
	scheme, arg, colon := strings.Cut(s, ":")
	kind := schemes[strings.ToLower(scheme)]
	if kind == None || !colon && kind != Prompt {
		return Ref{}, &Error{
			Reason: "not a credential reference (its text is not shown)",
			Hint:   "write " + Forms + " instead of a password",
		}
	}
	r := Ref{kind: kind, arg: arg}
	if err := r.validate(); err != nil {
		return Ref{}, err
	}
	switch kind {
	case Prompt:
		r.label = arg
	case Env:
		keepFromChildren(arg)
	}
	return r, nil
}

// validate checks the form of the argument; it looks at nothing outside.
func (r Ref) validate() error {
	if strings.ContainsFunc(r.arg, isControl) {
		return &Error{Reason: "credential reference holds a control character"}
	}
	bad := func(reason, hint string) error {
		return &Error{Ref: schemeOf(r.kind) + ":", Reason: reason, Hint: hint}
	}
	switch r.kind {
	case Env:
		if !isVariableName(r.arg) {
			return bad("is not followed by the name of a variable (its text is not shown)", "write env:NAME, with letters, digits and _ in the name")
		}
	case File:
		if r.arg == "" {
			return bad("names no file", "write file:PATH")
		}
	case Command:
		words, err := splitWords(r.arg)
		if err != nil {
			return bad(err.Error(), "quote arguments as in a shell; nothing is expanded")
		}
		if len(words) == 0 || words[0] == "" {
			return bad("names no program", "write cmd:PROGRAM ARGUMENTS")
		}
	case Keyring:
		if service, user := r.keyringEntry(); service == "" || user == "" {
			return bad("names no user", "write keyring:USER or keyring:SERVICE/USER")
		}
	case OAuth:
		if !isSectionName(r.arg) {
			return bad("is not followed by the name of a section (its text is not shown)", "write oauth:NAME for the section [oauth.NAME], with letters, digits, dashes and _ in the name")
		}
	case Age:
		if file, key, hash := r.ageEntry(); file == "" || hash && key == "" {
			return bad("names no file, or no key after the #", "write age:FILE or age:FILE#KEY")
		}
	}
	return nil
}

// Kind says where the password is kept.
func (r Ref) Kind() Kind { return r.kind }

// IsZero reports whether there is no reference.
func (r Ref) IsZero() bool { return r.kind == None }

// In returns the reference with dir as the directory in which relative paths
// are looked up first; where nothing is found there, the working directory is
// next.
func (r Ref) In(dir string) Ref {
	if r.kind == File || r.kind == Age {
		r.dir = dir
	}
	return r
}

// For returns the reference with a label for whoever is asked at a prompt:
// "password of anna@example.com on imap.old.example". A prompt that names its
// own label keeps it, and so is asked once for all.
func (r Ref) For(label string) Ref {
	if r.kind == Prompt && r.arg == "" {
		r.label = label
	}
	return r
}

// String returns the reference as it was written, but for the arguments of a
// command, in which people put tokens. It is safe to print.
func (r Ref) String() string {
	switch r.kind {
	case None:
		return ""
	case InMemory:
		return "in memory"
	case Command:
		words, err := splitWords(r.arg)
		if err != nil || len(words) == 0 {
			return "cmd:"
		}
		if len(words) > 1 {
			return "cmd:" + words[0] + " …"
		}
		return "cmd:" + words[0]
	case Prompt:
		if r.arg == "" {
			return "prompt"
		}
	}
	return schemeOf(r.kind) + ":" + r.arg
}

// GoString keeps %#v from reaching into the struct.
func (r Ref) GoString() string { return r.String() }

// Format prints [Ref.String] under every verb.
func (r Ref) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(r.String())) }

// MarshalText writes [Ref.String].
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func schemeOf(k Kind) string {
	for scheme, kind := range schemes {
		if kind == k {
			return scheme
		}
	}
	return ""
}

// keyringEntry parts SERVICE/USER at the first slash.
func (r Ref) keyringEntry() (service, user string) {
	service, user, ok := strings.Cut(r.arg, "/")
	if !ok {
		return DefaultService, r.arg
	}
	return service, user
}

// ageEntry parts FILE#KEY at the last #.
func (r Ref) ageEntry() (file, key string, hash bool) {
	if i := strings.LastIndexByte(r.arg, '#'); i >= 0 {
		return r.arg[:i], r.arg[i+1:], true
	}
	return r.arg, "", false
}

// label or a stand-in for it.
func (r Ref) promptLabel() string {
	if r.label == "" {
		return "password"
	}
	if r.arg != "" {
		return "password of " + r.label
	}
	return r.label
}

func isVariableName(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// isSectionName reports whether s can be NAME in [oauth.NAME] without quotes.
func isSectionName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
	})
}

// Section returns NAME of oauth:NAME, and nothing for other references.
func (r Ref) Section() string {
	if r.kind != OAuth {
		return ""
	}
	return r.arg
}

func isControl(c rune) bool { return c < 0x20 || c == 0x7f }

// Error says why a reference is no use. It never holds a secret.
type Error struct {
	Ref    string // the reference, safe to print; empty where there is none
	Reason string // "names a variable that is not set"
	Hint   string // "export OLD_PW"
	Err    error  // the cause, if any
}

// Error returns the reference and the reason.
func (e *Error) Error() string {
	s := e.Reason
	if e.Ref != "" {
		s = fmt.Sprintf("credential reference %q %s", e.Ref, e.Reason)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Hints returns what to do about it.
func (e *Error) Hints() []string {
	if e.Hint == "" {
		return nil
	}
	return []string{e.Hint}
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// fail makes an error about r.
func (r Ref) fail(reason, hint string, cause error) error {
	return &Error{Ref: r.String(), Reason: reason, Hint: hint, Err: cause}
}

// candidates are the paths at which a path of this reference may lie, in the
// order in which they are tried.
func (r Ref) candidates(path string) []string {
	path = expandHome(path)
	if r.dir == "" || filepath.IsAbs(path) {
		return []string{path}
	}
	return []string{filepath.Join(r.dir, path), path}
}
