package credential

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
)

// timeout bounds whatever a reference waits for but a person at a prompt: a
// keyring that wants to be unlocked and a smart card that wants its PIN are
// the slowest of them.
const timeout = 2 * time.Minute

// maxSecret bounds what is read of a file or a command, in octets.
const maxSecret = 64 << 10

// Prompter asks a person for a password. The label says for which.
type Prompter interface {
	Prompt(ctx context.Context, label string) (mailproof.Secret, error)
}

// Resolve reads the password that r refers to. Prompter may be nil where
// nobody can be asked. To resolve many references use a [Resolver].
func (r Ref) Resolve(ctx context.Context, p Prompter) (mailproof.Secret, error) {
	return NewResolver(p).Resolve(ctx, r)
}

// Resolver resolves references, each distinct one once: a person is not asked
// twice for the same password and an age file is decrypted once for all of its
// keys. It is safe for concurrent use, and asks one question at a time.
type Resolver struct {
	prompter Prompter
	prompts  sync.Mutex

	mu       sync.Mutex
	answers  map[Ref]*answer
	ageFiles map[string]*ageFile
	warnings map[string]bool
	warned   []string
	secrets  map[string]bool // all that were handed out, for Mask
}

type answer struct {
	mu     sync.Mutex
	known  bool
	secret mailproof.Secret
	err    error
}

// NewResolver returns a resolver that asks p; nil: nobody can be asked.
func NewResolver(p Prompter) *Resolver {
	return &Resolver{prompter: p, answers: map[Ref]*answer{}, ageFiles: map[string]*ageFile{}, warnings: map[string]bool{}, secrets: map[string]bool{}}
}

// Resolve reads the password that ref refers to. The zero Ref yields the zero
// Secret.
func (v *Resolver) Resolve(ctx context.Context, ref Ref) (mailproof.Secret, error) {
	switch ref.kind {
	case None:
		return mailproof.Secret{}, nil
	case InMemory:
		return ref.value, nil
	}
	v.mu.Lock()
	a := v.answers[ref]
	if a == nil {
		a = &answer{}
		v.answers[ref] = a
	}
	v.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.known {
		a.secret, a.err = v.read(ctx, ref)
		v.handedOut(a.secret)
		// A cancelled reading says nothing about the reference.
		a.known = ctx.Err() == nil
	}
	return a.secret, a.err
}

// Warnings returns what the user should know about the references resolved so
// far, such as a password file that others can read.
func (v *Resolver) Warnings() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.warned...)
}

func (v *Resolver) warn(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if text != "" && !v.warnings[text] {
		v.warnings[text] = true
		v.warned = append(v.warned, text)
	}
}

func (v *Resolver) read(ctx context.Context, ref Ref) (mailproof.Secret, error) {
	if err := ctx.Err(); err != nil {
		return mailproof.Secret{}, err
	}
	switch ref.kind {
	case Env:
		return ref.readEnv()
	case File:
		path, err := ref.find(ref.arg)
		if err != nil {
			return mailproof.Secret{}, err
		}
		v.warn(permissionWarning(path))
		return ref.readFile(ctx, path)
	case Command:
		return ref.run(ctx)
	case Keyring:
		return ref.readKeyring(ctx)
	case Age:
		return v.readAge(ctx, ref)
	case OAuth:
		return mailproof.Secret{}, ref.fail("stands for access tokens, and a password is wanted here", "write "+Forms, nil)
	default:
		secret, err := v.ask(ctx, ref.promptLabel())
		if err == nil && secret.IsZero() {
			return secret, ref.fail("was answered with an empty password", "", nil)
		}
		return secret, err
	}
}

// ask puts one question at a time.
func (v *Resolver) ask(ctx context.Context, label string) (mailproof.Secret, error) {
	if v.prompter == nil {
		return mailproof.Secret{}, &Error{Reason: fmt.Sprintf("nobody can be asked for the %s", label), Err: ErrNoTerminal,
			Hint: "give the password by another reference: " + Forms}
	}
	v.prompts.Lock()
	defer v.prompts.Unlock()
	if err := ctx.Err(); err != nil {
		return mailproof.Secret{}, err
	}
	return v.prompter.Prompt(ctx, label)
}

// Check reports, without reading the password and without asking anybody, what
// already shows that r cannot be resolved: a variable that is not set, a file
// that is not there, a program that is not installed. It is quick, so a list
// of accounts is checked whole before anything is run.
func (r Ref) Check() error {
	switch r.kind {
	case Env:
		_, err := r.readEnv()
		return err
	case File:
		path, err := r.find(r.arg)
		if err != nil {
			return err
		}
		return r.checkFile(path)
	case Command:
		words, err := splitWords(r.arg)
		if err != nil {
			return r.fail(err.Error(), "", nil)
		}
		if _, err := exec.LookPath(words[0]); err != nil {
			return r.fail("names a program that cannot be run", "install it, or write its whole path", lookPathCause(err))
		}
	case Age:
		file, _, _ := r.ageEntry()
		path, err := r.find(file)
		if err != nil {
			return err
		}
		return r.checkFile(path)
	}
	return nil
}

func isCancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func lookPathCause(err error) error {
	var e *exec.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return pathCause(err)
}

func (r Ref) readEnv() (mailproof.Secret, error) {
	value, ok := os.LookupEnv(r.arg)
	switch {
	case !ok:
		return mailproof.Secret{}, r.fail("names a variable that is not set", "export "+r.arg, nil)
	case value == "":
		return mailproof.Secret{}, r.fail("names a variable that is empty", "export "+r.arg, nil)
	}
	return r.oneLine(value)
}

// oneLine refuses what cannot be a password: it would have to be sent as a
// literal, and is most likely the wrong file.
func (r Ref) oneLine(value string) (mailproof.Secret, error) {
	for _, c := range value {
		switch c {
		case '\n', '\r':
			return mailproof.Secret{}, r.fail("holds more than one line; a password is one line", "", nil)
		case 0:
			return mailproof.Secret{}, r.fail("holds a NUL octet; a password has none", "", nil)
		}
	}
	return mailproof.NewSecret(value), nil
}
