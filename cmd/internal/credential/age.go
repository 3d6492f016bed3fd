package credential

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/mailproof/mailproof"
)

// IdentityVariable names the environment variable that holds the path of the
// identity file for age references: age identities, one a line, or an SSH key.
// The file may itself be encrypted with a passphrase.
const IdentityVariable = "MAILPROOF_AGE_IDENTITY"

// maxAgeFile bounds an encrypted file, in octets: some 10,000 passwords.
const maxAgeFile = 1 << 20

// ageFile is a file that was decrypted once for all of its keys.
type ageFile struct {
	mu    sync.Mutex
	known bool
	text  string
	err   error
}

// readAge reads an age-encrypted file. Without a key it holds one password;
// with a key it holds lines KEY=PASSWORD, of which what follows the first = is
// taken as it stands. Blank lines and lines that begin with # are skipped.
func (v *Resolver) readAge(ctx context.Context, ref Ref) (mailproof.Secret, error) {
	file, key, hash := ref.ageEntry()
	path, err := ref.find(file)
	if err != nil {
		return mailproof.Secret{}, err
	}
	text, err := v.decryptOnce(ctx, ref, path)
	if err != nil {
		return mailproof.Secret{}, err
	}
	if !hash {
		value := cutNewline(text)
		if value == "" {
			return mailproof.Secret{}, ref.fail("names a file that is empty", "", nil)
		}
		if strings.ContainsAny(value, "\r\n") {
			return mailproof.Secret{}, ref.fail("names a file of several lines and not which of them", "write age:FILE#KEY for the line KEY=PASSWORD", nil)
		}
		return ref.oneLine(value)
	}
	value, ok := lookUp(text, key)
	switch {
	case !ok:
		return mailproof.Secret{}, ref.fail("names a key that the file does not have", "the file needs a line KEY=PASSWORD", nil)
	case value == "":
		return mailproof.Secret{}, ref.fail("names a key whose password is empty", "", nil)
	}
	return ref.oneLine(value)
}

func lookUp(text, key string) (string, bool) {
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		line = cutNewline(line)
		if trimmed := strings.TrimSpace(line); trimmed == "" || trimmed[0] == '#' {
			continue
		}
		if k, value, ok := strings.Cut(line, "="); ok && strings.TrimSpace(k) == key {
			return value, true
		}
	}
	return "", false
}

func (v *Resolver) decryptOnce(ctx context.Context, ref Ref, path string) (string, error) {
	v.mu.Lock()
	f := v.ageFiles[path]
	if f == nil {
		f = &ageFile{}
		v.ageFiles[path] = f
	}
	v.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.known {
		f.text, f.err = v.decrypt(ctx, ref, path)
		f.known = ctx.Err() == nil
	}
	return f.text, f.err
}

func (v *Resolver) decrypt(ctx context.Context, ref Ref, path string) (string, error) {
	data, err := readBounded(ctx, path, maxAgeFile)
	if err != nil {
		return "", ref.fail("names a file that cannot be read", "", pathCause(err))
	}
	identities, err := v.identities(ctx, ref)
	if err != nil {
		return "", err
	}
	phrase := &passphrase{ask: func() (mailproof.Secret, error) { return v.ask(ctx, "passphrase of "+path) }}
	text, err := decryptAge(data, append(identities, phrase)...)
	var none *age.NoIdentityMatchError
	switch {
	case phrase.err != nil:
		return "", ref.fail("needs a passphrase", "", phrase.err)
	case err != nil && phrase.asked:
		return "", ref.fail("cannot be decrypted: the passphrase is wrong, or the file is damaged", "", nil)
	case errors.As(err, &none) && os.Getenv(IdentityVariable) == "":
		return "", ref.fail("cannot be decrypted without an identity", "set "+IdentityVariable+" to the path of the identity file", nil)
	case errors.As(err, &none):
		return "", ref.fail("is not encrypted to the identity of "+IdentityVariable, "", nil)
	case err != nil:
		// The cause may repeat what stands in the file, where it is no age file.
		return "", ref.fail("cannot be decrypted: it is no age file, or it is damaged", "", nil)
	}
	return text, nil
}

// decryptAge decrypts a file, armoured or not.
func decryptAge(data []byte, identities ...age.Identity) (string, error) {
	var src io.Reader = bytes.NewReader(data)
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); bytes.HasPrefix(trimmed, []byte(armor.Header)) {
		src = armor.NewReader(bytes.NewReader(trimmed))
	}
	r, err := age.Decrypt(bufio.NewReader(src), identities...)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(r, maxAgeFile))
	return string(text), err
}

// identities reads the identity file, if one is named.
func (v *Resolver) identities(ctx context.Context, ref Ref) ([]age.Identity, error) {
	path := os.Getenv(IdentityVariable)
	if path == "" {
		return nil, nil
	}
	path = expandHome(path)
	fail := func(reason string, err error) ([]age.Identity, error) {
		return nil, ref.fail(fmt.Sprintf("needs the identity file of %s, which %s", IdentityVariable, reason), "", err)
	}
	data, err := readBounded(ctx, path, maxSecret)
	if err != nil {
		return fail("cannot be read", err)
	}
	v.warn(permissionWarning(path))
	switch {
	case bytes.HasPrefix(data, []byte("age-encryption.org/")), bytes.HasPrefix(data, []byte(armor.Header)):
		phrase := &passphrase{ask: func() (mailproof.Secret, error) { return v.ask(ctx, "passphrase of "+path) }}
		text, err := decryptAge(data, phrase)
		if phrase.err != nil {
			return fail("needs a passphrase", phrase.err)
		}
		if err != nil {
			return fail("cannot be decrypted: the passphrase is wrong, or the file is damaged", nil)
		}
		data = []byte(text)
	case bytes.HasPrefix(data, []byte("-----BEGIN")):
		return fail("is no age identity; age-keygen makes one, SSH keys are not read", nil)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil {
		return fail("holds no age identities", nil) // the cause repeats the line
	}
	return identities, nil
}

// passphrase is an identity that asks only if the file wants a passphrase.
type passphrase struct {
	ask   func() (mailproof.Secret, error)
	asked bool
	err   error
}

// Unwrap implements [age.Identity].
func (p *passphrase) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type != "scrypt" {
			continue
		}
		secret, err := p.ask()
		if err != nil {
			p.err = err
			return nil, err
		}
		p.asked = true
		identity, err := age.NewScryptIdentity(secret.Reveal())
		if err != nil {
			return nil, errors.New("the passphrase is empty")
		}
		return identity.Unwrap(stanzas)
	}
	return nil, age.ErrIncorrectIdentity
}
