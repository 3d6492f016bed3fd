package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// The files of the n-th countersigner. None of them is covered by the tag
// manifest, which is signed before they exist: each is checked by what it has to
// be, to the octet.
func counterFiles(n int) (pem, allowed, raw, ssh, statement string) {
	name := counterName(n)
	return "keys/" + name + ".pem", "keys/" + name + ".allowed_signers", "sig/" + name + ".ed25519", "sig/" + name + ".sshsig", "sig/" + name + ".note"
}

func counterName(n int) string { return countersigner + "-" + strconv.Itoa(n) }

var counterPattern = regexp.MustCompile(`^(?:keys/countersigner-([1-9][0-9]?)\.(?:pem|allowed_signers)|sig/countersigner-([1-9][0-9]?)\.(?:ed25519|sshsig|note))$`)

// counterFile reports whether a file is one of a countersigner, and of which.
func counterFile(name string) (n int, ok bool) {
	m := counterPattern.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1] + m[2])
	return n, err == nil
}

// statement is what a countersigner signs beside the tag manifest: who they
// are, and when they signed, in their own words.
type statement struct {
	bundle, tagManifest, name, at string
}

func (s statement) text() string {
	return "mailproof countersignature\nbundle " + s.bundle + "\ntagmanifest-sha256 " + s.tagManifest + "\nname " + s.name + "\ntime " + s.at + "\n"
}

// CountersignOptions says who signs.
type CountersignOptions struct {
	Key  Key
	Name string // of the person and their organisation
	Now  time.Time
}

// maxName bounds the name of a countersigner in octets.
const maxName = 200

// Countersign adds a second signature to a bundle, a directory or a zip, and
// changes nothing that is signed. It does not verify the bundle: who signs does
// that first. It returns the signer's role, "countersigner-1".
func Countersign(ctx context.Context, name string, o CountersignOptions) (role string, err error) {
	if o.Key.IsZero() {
		return "", errors.New("countersign: no key to sign with")
	}
	if o.Name = oneLine(o.Name); o.Name == "" || len(o.Name) > maxName {
		return "", fmt.Errorf("countersign: the name of who signs has 1 to %d octets", maxName)
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	s, err := openStore(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	paths, wrong, err := s.list()
	if err != nil {
		return "", fmt.Errorf("countersign: %w", err)
	}
	if len(wrong) > 0 {
		return "", fmt.Errorf("countersign: %w: %v", ErrNoBundle, wrong[0])
	}
	n, err := nextCountersigner(s, paths, o.Key.Public())
	if err != nil {
		return "", err
	}
	files, err := counterContents(s, n, o)
	if err != nil {
		return "", err
	}
	if _, isDir := s.(*dirStore); isDir {
		err = addToDir(name, files)
	} else {
		err = addToZip(ctx, s.(*zipStore), name, paths, files)
	}
	return counterName(n), err
}

// nextCountersigner finds a free number. A key signs once.
func nextCountersigner(s store, paths []string, key PublicKey) (int, error) {
	last := 0
	for _, p := range paths {
		if n, ok := counterFile(p); ok {
			last = max(last, n)
		}
		if !strings.HasPrefix(p, "keys/") || !strings.HasSuffix(p, ".pem") {
			continue
		}
		data, err := readSmall(s, p, maxSmall)
		if err != nil {
			return 0, fmt.Errorf("countersign: %s: %w", p, err)
		}
		if have, err := ParsePublicKey(data); err == nil && have.Equal(key) {
			return 0, fmt.Errorf("countersign: the key %s has signed this bundle already, as %s", key.Fingerprint(), p)
		}
	}
	if last >= 99 {
		return 0, errors.New("countersign: 99 have signed already")
	}
	return last + 1, nil
}

func counterContents(s store, n int, o CountersignOptions) (map[string][]byte, error) {
	tagManifest, err := readSmall(s, fileTagManifest, maxSmall)
	if err != nil {
		return nil, fmt.Errorf("countersign: %s: %s", fileTagManifest, readError(err))
	}
	infoText, err := readSmall(s, fileBagInfo, maxSmall)
	if err != nil {
		return nil, fmt.Errorf("countersign: %s: %s", fileBagInfo, readError(err))
	}
	info, err := readBagInfo(infoText)
	if err != nil {
		return nil, fmt.Errorf("countersign: %s: %w", fileBagInfo, err)
	}
	sum := sha256.Sum256(tagManifest)
	public := o.Key.Public()
	signer, err := o.Key.noteSigner(counterName(n))
	if err != nil {
		return nil, err
	}
	text := statement{info[labelID], hex.EncodeToString(sum[:]), o.Name, timeText(o.Now.UTC().Truncate(time.Second))}.text()
	msg, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return nil, fmt.Errorf("countersign: %w", err)
	}
	armored, err := o.Key.sshSign(tagManifest)
	if err != nil {
		return nil, err
	}
	keyPEM, err := public.PEM()
	if err != nil {
		return nil, err
	}
	pem, allowed, raw, ssh, note := counterFiles(n)
	return map[string][]byte{pem: keyPEM, allowed: public.allowedSigners(counterName(n)), raw: o.Key.sign(tagManifest), ssh: armored, note: msg}, nil
}

// addToDir writes the files, and removes them again where not all can be
// written.
func addToDir(dir string, files map[string][]byte) (err error) {
	var written []string
	defer func() {
		if err == nil {
			return
		}
		for _, path := range written {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	for _, name := range sortedNames(files) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := writeSynced(path, files[name]); err != nil {
			return fmt.Errorf("countersign: %w", err)
		}
		written = append(written, path)
	}
	return errors.Join(syncDir(filepath.Join(dir, "keys")), syncDir(filepath.Join(dir, "sig")))
}

// addToZip writes the zip anew beside itself and puts it in its own place.
func addToZip(ctx context.Context, z *zipStore, name string, paths []string, files map[string][]byte) error {
	return writeZip(ctx, name, z.base, append(paths, sortedNames(files)...), func(path string) (io.ReadCloser, error) {
		if data, ok := files[path]; ok {
			return io.NopCloser(bytes.NewReader(data)), nil
		}
		return z.open(path)
	})
}

// checkCountersigners verifies every countersignature that is there.
func (v *verifier) checkCountersigners() {
	numbers := map[int]bool{}
	most := 0
	for name := range v.files {
		if n, ok := counterFile(name); ok {
			numbers[n] = true
			most = max(most, n)
		}
	}
	if most == 0 {
		return
	}
	for n := 1; n <= most; n++ {
		if !numbers[n] {
			v.problem(CheckCounter, "", 0, "%s is not there, and %s is", counterName(n), counterName(most))
			continue
		}
		v.checkCountersigner(n)
	}
	v.done(CheckCounter, "%d beside that of the signer", most)
}

func (v *verifier) checkCountersigner(n int) {
	pem, allowed, raw, ssh, statementFile := counterFiles(n)
	before := v.counts[CheckCounter]
	data := v.small(CheckCounter, pem)
	if data == nil {
		return
	}
	key := v.canonicalKey(CheckCounter, pem, data)
	if key.IsZero() {
		return
	}
	if have := v.small(CheckCounter, allowed); have != nil && !bytes.Equal(have, key.allowedSigners(counterName(n))) {
		v.problem(CheckCounter, allowed, 0, "is not about the key of %s", pem)
	}
	v.verifyPair(CheckCounter, key, raw, ssh)
	msg := v.small(CheckCounter, statementFile)
	if msg == nil {
		return
	}
	s, err := v.openStatement(n, key, msg)
	if err != nil {
		v.problem(CheckCounter, statementFile, 0, "%v", err)
		return
	}
	at, err := time.Parse(time.RFC3339, s.at)
	if err != nil {
		v.problem(CheckCounter, statementFile, 5, "states no time")
	}
	if v.counts[CheckCounter] == before {
		v.result.Signatures = append(v.result.Signatures, SignedBy{Role: counterName(n), Name: s.name, Fingerprint: key.Fingerprint(), Time: at})
	}
}

var errStatement = errors.New("is no statement of a countersigner about this bundle")

// openStatement verifies a countersigner's statement. It must be about this
// bundle.
func (v *verifier) openStatement(n int, key PublicKey, msg []byte) (s statement, err error) {
	verifier, err := key.noteVerifier(counterName(n))
	if err != nil {
		return s, err
	}
	opened, err := note.Open(msg, note.VerifierList(verifier))
	if err != nil || len(opened.Sigs) != 1 || len(opened.UnverifiedSigs) > 0 {
		return s, errStatement
	}
	_, signatures, _ := strings.Cut(string(msg), "\n\n")
	if err := strictSignatures(signatures); err != nil {
		return s, errStatement
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 6 {
		return s, errStatement
	}
	sum := sha256.Sum256(v.tagManifest)
	s = statement{v.info[labelID], hex.EncodeToString(sum[:]), strings.TrimPrefix(lines[3], "name "), strings.TrimPrefix(lines[4], "time ")}
	if s.text() != opened.Text || oneLine(s.name) != s.name {
		return s, errStatement
	}
	return s, nil
}
