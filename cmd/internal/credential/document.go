package credential

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// Document reads a secret of several lines, such as a private key: the whole
// file, the whole output of a program, the whole text of an age file. It is read
// anew each time, and kept by nobody.
func (v *Resolver) Document(ctx context.Context, ref Ref) (mailproof.Secret, error) {
	text, err := v.document(ctx, ref)
	switch {
	case err != nil:
		return mailproof.Secret{}, err
	case strings.TrimSpace(text) == "":
		return mailproof.Secret{}, ref.fail("leads to nothing but blanks", "", nil)
	case strings.ContainsRune(text, 0):
		return mailproof.Secret{}, ref.fail("holds a NUL octet, and a text is wanted", "", nil)
	}
	secret := mailproof.NewSecret(text)
	v.handedOut(secret)
	return secret, nil
}

// CheckDocument is [Ref.Check] for a secret of several lines.
func (r Ref) CheckDocument() error {
	if r.kind != Env {
		return r.Check()
	}
	if _, set := os.LookupEnv(r.arg); !set {
		_, err := r.readEnv() // which has the words for it
		return err
	}
	return nil
}

func (v *Resolver) document(ctx context.Context, ref Ref) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	switch ref.kind {
	case None:
		return "", nil
	case Env:
		return os.Getenv(ref.arg), nil
	case File:
		path, err := ref.find(ref.arg)
		if err != nil {
			return "", err
		}
		v.warn(permissionWarning(path))
		data, err := readBounded(ctx, path, maxSecret)
		if err != nil {
			return "", ref.fail("names a file that cannot be read", "", pathCause(err))
		}
		return strings.TrimPrefix(string(data), "\ufeff"), nil
	case Age:
		file, _, hash := ref.ageEntry()
		if hash {
			secret, err := v.readAge(ctx, ref)
			return secret.Reveal(), err
		}
		path, err := ref.find(file)
		if err != nil {
			return "", err
		}
		return v.decryptOnce(ctx, ref, path)
	case Command:
		return ref.output(ctx)
	}
	secret, err := v.Resolve(ctx, ref)
	return secret.Reveal(), err
}

// output is all that a program prints.
func (r Ref) output(ctx context.Context) (string, error) {
	words, err := splitWords(r.arg)
	if err != nil {
		return "", r.fail(err.Error(), "", nil)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stdout, stderr := &boundedBuffer{limit: maxSecret}, &boundedBuffer{limit: 4 << 10}
	defer clear(stdout.buf)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.WaitDelay = stdout, stderr, Environ(), time.Second
	err = cmd.Run()
	said := lastWords(stderr.String(), stdout.String())
	switch {
	case ctx.Err() != nil:
		return "", r.fail("did not answer in time"+said, "", ctx.Err())
	case err != nil:
		return "", r.fail("failed"+said, "", lookPathCause(err))
	case stdout.cut:
		return "", r.fail("printed more than can be read", "", nil)
	}
	return stdout.String(), nil
}
