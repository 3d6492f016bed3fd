package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
	"github.com/zalando/go-keyring"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/credential"
)

// Vault is a place for the passwords of a list: they are kept there and nowhere
// in the clear. Put returns the reference under which a password will be found
// again; Close brings to the disk what was put.
type Vault interface {
	Put(key string, password mailproof.Secret) (reference string, err error)
	Close() error
}

// ErrPasswords says that a list carries passwords and that no vault was given
// for them.
var ErrPasswords = errors.New("the list carries passwords, which are never written in the clear")

// keyringVault is the system's keyring.
type keyringVault struct{ service string }

// NewKeyringVault keeps passwords in the system's keyring, under a service.
func NewKeyringVault(service string) Vault {
	if service == "" {
		service = credential.DefaultService
	}
	return keyringVault{service}
}

// Put implements [Vault].
func (v keyringVault) Put(key string, password mailproof.Secret) (string, error) {
	if err := keyring.Set(v.service, key, password.Reveal()); err != nil {
		return "", &hintedError{fmt.Sprintf("the keyring takes no password: %v", err), []string{"on machines without a desktop session keep them in a file: --passwords age:FILE --recipient age1…"}}
	}
	return "keyring:" + v.service + "/" + key, nil
}

// Close implements [Vault].
func (keyringVault) Close() error { return nil }

// ageVault is a file of lines KEY=PASSWORD, encrypted as a whole.
type ageVault struct {
	path       string
	name       string // as references name it
	recipients []age.Recipient
	lines      bytes.Buffer
}

// maxVault is the greatest file that references are looked up in, in octets.
const maxVault = 1<<20 - 4096

// NewAgeVault keeps passwords in a file that is encrypted with age, to the
// recipients age1…, or to the identity file that [credential.IdentityVariable]
// names. The file must not exist. References name it by name.
func NewAgeVault(path, name string, recipients []string) (Vault, error) {
	v := &ageVault{path: path, name: name}
	for _, text := range recipients {
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, &hintedError{"a recipient is none of age's", []string{"age-keygen prints it as \"Public key: age1…\""}}
		}
		v.recipients = append(v.recipients, r)
	}
	if len(recipients) == 0 {
		if err := v.ownIdentity(); err != nil {
			return nil, err
		}
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, &hintedError{path + ": exists already, and is not overwritten", []string{"give another file, or move that one away"}}
	}
	return v, nil
}

// ownIdentity encrypts to whoever will decrypt.
func (v *ageVault) ownIdentity() error {
	path := os.Getenv(credential.IdentityVariable)
	if path == "" {
		return &hintedError{"for whom are the passwords to be encrypted?",
			[]string{"age-keygen -o key.txt makes a key; then --recipient age1…, or export " + credential.IdentityVariable + "=key.txt"}}
	}
	data, err := readFile(path, 1<<20)
	if err != nil {
		return fmt.Errorf("age identity: %w", err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil {
		return &hintedError{path + " holds no age identity in the clear", []string{"name the recipient: --recipient age1…"}}
	}
	for _, i := range identities {
		if x, ok := i.(*age.X25519Identity); ok {
			v.recipients = append(v.recipients, x.Recipient())
		}
	}
	if len(v.recipients) == 0 {
		return &hintedError{path + " holds no age identity of the usual kind", []string{"name the recipient: --recipient age1…"}}
	}
	return nil
}

// Put implements [Vault].
func (v *ageVault) Put(key string, password mailproof.Secret) (string, error) {
	fmt.Fprintf(&v.lines, "%s=%s\n", key, password.Reveal())
	if v.lines.Len() > maxVault {
		return "", &hintedError{"too many passwords for one encrypted file", []string{"split the list, or give --passwords keyring"}}
	}
	return "age:" + v.name + "#" + key, nil
}

// Close implements [Vault].
func (v *ageVault) Close() (err error) {
	defer func() { clear(v.lines.Bytes()) }()
	if v.lines.Len() == 0 {
		return nil
	}
	f, err := os.OpenFile(v.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(v.path))
		}
	}()
	w, err := age.Encrypt(f, v.recipients...)
	if err != nil {
		return err
	}
	if _, err = w.Write(v.lines.Bytes()); err == nil {
		err = w.Close()
	}
	return errors.Join(err, f.Sync())
}

// Convert writes entries as our own list, to a file that must not exist. Where
// they carry passwords these go into the vault; without one it is
// [ErrPasswords], and nothing is written. It returns how many passwords went
// there.
func Convert(ctx context.Context, entries []Entry, path string, vault Vault) (kept int, err error) {
	carried := slices.ContainsFunc(entries, func(e Entry) bool {
		return e.SourcePassword.Kind() == credential.InMemory || e.DestinationPassword.Kind() == credential.InMemory
	})
	if carried && vault == nil {
		return 0, ErrPasswords
	}
	if _, err := os.Lstat(path); err == nil {
		return 0, &hintedError{path + ": exists already, and is not overwritten", []string{"give another file, or move that one away"}}
	}
	c := &converter{vault: vault, resolver: credential.NewResolver(nil), keys: map[string]bool{}}
	rows := [][]string{slices.Clone(ownColumns[:5])}
	extra := slices.ContainsFunc(entries, func(e Entry) bool { return !e.Own.IsZero() || e.Note != "" })
	if extra {
		rows[0] = append(rows[0], colNote, colMap, colExclude, colAliases, colSourceProvider, colDestinationProvider)
	}
	for _, e := range entries {
		row := []string{e.Name}
		for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
			address := ""
			if ep := e.Endpoint(side); ep.Host != "" {
				address = ep.String()
			}
			ref, err := c.reference(ctx, e, side)
			if err != nil {
				return kept, fmt.Errorf("line %d: %w", e.Line, err)
			}
			row = append(row, address, ref)
		}
		if extra {
			row = append(row, e.Note, strings.Join(e.Own.Map, "|"), strings.Join(e.Own.Exclude, "|"), e.AliasFile, e.Own.SourceProvider, e.Own.DestinationProvider)
		}
		rows = append(rows, row)
	}
	if vault != nil {
		if err := vault.Close(); err != nil {
			return c.kept, err
		}
	}
	return c.kept, writeNew(path, csvText(rows))
}

type converter struct {
	vault    Vault
	resolver *credential.Resolver
	keys     map[string]bool
	kept     int
}

// reference is how the new list refers to a password.
func (c *converter) reference(ctx context.Context, e Entry, side mailproof.Side) (string, error) {
	ref := e.Password(side)
	if ref.Kind() != credential.InMemory {
		return ref.String(), nil
	}
	password, err := c.resolver.Resolve(ctx, ref)
	if err != nil {
		return "", err
	}
	c.kept++
	return c.vault.Put(c.key(side.String()+":"+e.Name), password)
}

// key makes a name that a vault's line can begin with, each once.
func (c *converter) key(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '#' || r == '=' || r <= ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, name)
	free := name
	for n := 2; c.keys[free]; n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	c.keys[free] = true
	return free
}

// csvText writes rows so that this package, and a spreadsheet, read the same.
func csvText(rows [][]string) string {
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				b.WriteByte(',')
			}
			if strings.ContainsAny(cell, ",;\"\t\n") || strings.TrimSpace(cell) != cell || strings.HasPrefix(cell, "#") {
				cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
			}
			b.WriteString(cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// VaultPath is where a vault's file goes, and the name by which a list beside
// it refers to it.
func VaultPath(list, vault string) (path, name string) {
	if filepath.IsAbs(vault) {
		return vault, vault
	}
	return filepath.Join(filepath.Dir(list), vault), vault
}
