package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// AgeFile is a file encrypted with age as a cache. It holds two armoured age
// files one after the other: an X25519 identity, encrypted with the passphrase,
// and the grants, encrypted to that identity. So the passphrase, whose check is
// slow on purpose, is used once in a process and not for every new token. Where
// the passphrase is itself an age identity (AGE-SECRET-KEY-1…) the first part
// is left out.
type AgeFile struct {
	path       string
	passphrase SecretFunc
	work       int // scrypt's, for tests; 0: age's own

	mu       sync.Mutex
	identity *age.X25519Identity
	locked   []byte // the identity, encrypted, as it stands in the file
}

// NewAgeFile returns a cache in the file at path. The passphrase is fetched when
// it is first needed.
func NewAgeFile(path string, passphrase SecretFunc) *AgeFile {
	return &AgeFile{path: path, passphrase: passphrase}
}

// maxAgeFile bounds the file, in octets: thousands of grants.
const maxAgeFile = 64 << 20

// Place says where the grants are.
func (f *AgeFile) Place() string { return f.path }

// Lock implements [Cache].
func (f *AgeFile) Lock(ctx context.Context, _, _ string) (func() error, error) {
	return lockFile(ctx, f.path+".lock")
}

// shelf is what the file holds, by section and key.
type shelf map[string]map[string]Grant

// Load implements [Cache].
func (f *AgeFile) Load(ctx context.Context, section, key string) (Grant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all, err := f.read(ctx)
	return all[section][key], err
}

// Store implements [Cache].
func (f *AgeFile) Store(ctx context.Context, section, key string, g Grant) error {
	return f.edit(ctx, func(all shelf) {
		if all[section] == nil {
			all[section] = map[string]Grant{}
		}
		all[section][key] = g
	})
}

// Delete implements [Cache].
func (f *AgeFile) Delete(ctx context.Context, section, key string) (found bool, err error) {
	err = f.edit(ctx, func(all shelf) {
		_, found = all[section][key]
		delete(all[section], key)
	})
	return found, err
}

// List implements [Cache].
func (f *AgeFile) List(ctx context.Context) ([]Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all, err := f.read(ctx)
	var out []Entry
	for section, grants := range all {
		for key, g := range grants {
			out = append(out, entryOf(section, key, g))
		}
	}
	return sorted(out), err
}

// edit changes the file as it is now. The caller holds the lock of the file
// across processes.
func (f *AgeFile) edit(ctx context.Context, change func(shelf)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	all, err := f.read(ctx)
	if err != nil {
		return err
	}
	change(all)
	return f.write(ctx, all)
}

// read decrypts the file; where there is none, nothing is kept.
func (f *AgeFile) read(ctx context.Context) (shelf, error) {
	all := shelf{}
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return all, nil
	case err != nil:
		return nil, err
	case info.Size() > maxAgeFile:
		return nil, fmt.Errorf("%s is larger than %d octets", f.path, maxAgeFile)
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	blocks := splitArmor(data)
	if len(blocks) == 0 || len(blocks) > 2 {
		return nil, fmt.Errorf("%s is no token cache of mailproof", f.path)
	}
	if len(blocks) == 2 {
		err = f.unlock(ctx, blocks[0])
	} else {
		err = f.direct(ctx)
	}
	if err != nil {
		return nil, err
	}
	text, err := decrypt(blocks[len(blocks)-1], f.identity)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be decrypted with this passphrase, or is damaged", f.path)
	}
	defer clear(text)
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s is no token cache of mailproof", f.path)
	}
	return all, nil
}

const ageIdentityPrefix = "AGE-SECRET-KEY-1"

// secret fetches the passphrase.
func (f *AgeFile) secret(ctx context.Context) (string, error) {
	phrase, err := reveal(ctx, f.passphrase)
	if err == nil && phrase == "" {
		err = errors.New("no passphrase is given: write cache_passphrase")
	}
	if err != nil {
		return "", fmt.Errorf("passphrase of %s: %w", f.path, err)
	}
	return phrase, nil
}

// direct takes the passphrase for the identity itself.
func (f *AgeFile) direct(ctx context.Context) error {
	if f.identity != nil {
		return nil
	}
	phrase, err := f.secret(ctx)
	if err != nil {
		return err
	}
	if f.identity, err = age.ParseX25519Identity(strings.TrimSpace(phrase)); err != nil {
		f.identity = nil
		return fmt.Errorf("%s is encrypted to an age identity, and cache_passphrase is none", f.path) // the cause repeats it
	}
	return nil
}

// unlock decrypts the identity that the file carries, once.
func (f *AgeFile) unlock(ctx context.Context, block []byte) error {
	if f.identity != nil && bytes.Equal(block, f.locked) {
		return nil
	}
	phrase, err := f.secret(ctx)
	if err != nil {
		return err
	}
	opener, err := age.NewScryptIdentity(phrase)
	if err != nil {
		return fmt.Errorf("passphrase of %s: it cannot be used", f.path)
	}
	text, err := decrypt(block, opener)
	if err != nil {
		return fmt.Errorf("%s: the passphrase is wrong, or the file is damaged", f.path)
	}
	defer clear(text)
	identity, err := age.ParseX25519Identity(strings.TrimSpace(string(text)))
	if err != nil {
		return fmt.Errorf("%s is no token cache of mailproof", f.path)
	}
	f.identity, f.locked = identity, bytes.Clone(block)
	return nil
}

// create makes an identity for a new file.
func (f *AgeFile) create(ctx context.Context) error {
	phrase, err := f.secret(ctx)
	if err != nil {
		return err
	}
	if strings.HasPrefix(strings.ToUpper(phrase), ageIdentityPrefix) {
		return f.direct(ctx)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	recipient, err := age.NewScryptRecipient(phrase)
	if err != nil {
		return fmt.Errorf("passphrase of %s: it cannot be used", f.path)
	}
	if f.work > 0 {
		recipient.SetWorkFactor(f.work)
	}
	locked, err := encrypt([]byte(identity.String()+"\n"), recipient)
	if err != nil {
		return err
	}
	f.identity, f.locked = identity, locked
	return nil
}

// write replaces the file as a whole.
func (f *AgeFile) write(ctx context.Context, all shelf) (err error) {
	if f.identity == nil {
		if err := f.create(ctx); err != nil {
			return err
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	defer clear(text)
	sealed, err := encrypt(text, f.identity.Recipient())
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	_, err = tmp.Write(append(bytes.Clone(f.locked), sealed...))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), f.path)
}

func encrypt(text []byte, to age.Recipient) ([]byte, error) {
	var out bytes.Buffer
	a := armor.NewWriter(&out)
	w, err := age.Encrypt(a, to)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(text)
	if err = errors.Join(err, w.Close(), a.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func decrypt(block []byte, identity age.Identity) ([]byte, error) {
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(block)), identity)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, maxAgeFile))
}

// splitArmor parts a file into its armoured blocks.
func splitArmor(data []byte) (blocks [][]byte) {
	for {
		i := bytes.Index(data, []byte(armor.Header))
		if i < 0 {
			return blocks
		}
		j := bytes.Index(data[i:], []byte(armor.Footer))
		if j < 0 {
			return blocks
		}
		end := i + j + len(armor.Footer)
		blocks = append(blocks, append(bytes.Clone(data[i:end]), '\n'))
		data = data[end:]
	}
}
