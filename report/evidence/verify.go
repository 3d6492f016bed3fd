package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// The checks of [Verify], in the order in which they are made.
const (
	CheckFiles       = "files"       // no file too many, none too few, none that leads elsewhere
	CheckManifest    = "manifest"    // the hashes of the payload
	CheckTagManifest = "tagmanifest" // the hashes of report, keys and words
	CheckSignature   = "signature"   // the signer's signatures over the tag manifest
	CheckCounter     = "countersignatures"
	CheckKey         = "key"         // whose key it is: only somebody outside of the bundle can tell
	CheckTimestamp   = "timestamp"   // RFC 3161
	CheckCheckpoints = "checkpoints" // signatures and origins of the three trees, and the bundle's id
	CheckLines       = "lines"       // form and order of every line
	CheckRoots       = "roots"       // the root and size of each tree, computed from its lines
	CheckVerdicts    = "verdicts"    // every message has one verdict, which cites its lines and holds for their hashes
	CheckEquation    = "equation"    // the ledger equation, counted from the verdicts
	CheckReport      = "report"      // the report cites these roots and says these numbers
	CheckRecords     = "records"     // the report repeats decisions, attestations, DNS, passes and deletions as they are in data
)

// Problem is one thing that is wrong with a bundle.
type Problem struct {
	Check string `json:"check"`
	File  string `json:"file,omitempty"`
	Line  int64  `json:"line,omitempty"` // from 1; 0 where it is the file as a whole
	Text  string `json:"text"`
}

// String returns "file:line: text".
func (p Problem) String() string {
	at := p.File
	if p.Line > 0 {
		at += ":" + strconv.FormatInt(p.Line, 10)
	}
	if at == "" {
		return p.Text
	}
	return at + ": " + p.Text
}

// Checked is the outcome of one check. Problems counts what was found wrong,
// also what is not listed.
type Checked struct {
	Check    string            `json:"check"`
	Outcome  mailproof.Outcome `json:"outcome"`
	Text     string            `json:"text"`
	Problems int64             `json:"problems,omitempty"`
}

// SignedBy is one signature that verifies.
type SignedBy struct {
	Role        string    `json:"role"` // "signer", "countersigner-1"
	Name        string    `json:"name,omitempty"`
	Fingerprint string    `json:"fingerprint"`
	Time        time.Time `json:"time,omitzero"` // as stated by the countersigner
	// Trusted says that the key is one that the verifier was given from
	// elsewhere.
	Trusted bool `json:"trusted"`
}

// VerifiedRoot is one tree as computed from its lines.
type VerifiedRoot struct {
	Tree string `json:"tree"`
	Size int64  `json:"size"`
	Hash string `json:"hash"`
}

// Verification is everything that [Verify] found.
type Verification struct {
	Bundle     string         `json:"bundle"`
	Profile    string         `json:"privacy"`
	Verdict    string         `json:"verdict"` // of the engagement, as the bundle states it
	Sealed     time.Time      `json:"sealed,omitzero"`
	Tool       string         `json:"tool"`
	Roots      []VerifiedRoot `json:"roots"`
	Signatures []SignedBy     `json:"signatures"`
	Timestamp  time.Time      `json:"timestamp,omitzero"`
	Checks     []Checked      `json:"checks"`
	Problems   []Problem      `json:"problems"`
}

// Outcome folds the checks: fail where one failed, unknown where one could not
// be made, else pass.
func (v *Verification) Outcome() mailproof.Outcome {
	worst := mailproof.OutcomePass
	for _, c := range v.Checks {
		switch {
		case c.Outcome == mailproof.OutcomeFail:
			return mailproof.OutcomeFail
		case c.Outcome == mailproof.OutcomeUnknown:
			worst = mailproof.OutcomeUnknown
		}
	}
	return worst
}

// Trust is what a verifier knows from elsewhere than the bundle.
type Trust struct {
	// Fingerprints of keys, "SHA256:…". Each must be one that signed.
	Fingerprints []string
	// TSA are the roots of timestamp authorities; nil where none are known.
	TSA *x509.CertPool
}

// VerifyOptions says how a bundle is verified.
type VerifyOptions struct {
	Trust
	// TempDir is where sorting may write; empty means the system's.
	TempDir string
	// Progress is told the number of lines read so far, and Planned, once, how
	// many there are by the signed sizes; nil is told nothing.
	Progress, Planned func(lines int64)
	runSize           int
}

// maxListed bounds the problems of one check in one file that are listed.
const maxListed = 20

// Verify checks a bundle, a directory or a zip, without any network. It does
// not stop at what it finds wrong: all of it is in the result. The error says
// that there is no bundle to verify, or that reading it failed.
func Verify(ctx context.Context, name string, o VerifyOptions) (*Verification, error) {
	s, err := openStore(name)
	if err != nil {
		return nil, err
	}
	v, err := verifyStore(ctx, s, o)
	return v, errors.Join(err, s.Close())
}

func verifyStore(ctx context.Context, s store, o VerifyOptions) (*Verification, error) {
	v := &verifier{store: s, VerifyOptions: o, listed: map[[2]string]int{}, counts: map[string]int64{},
		result: &Verification{Roots: []VerifiedRoot{}, Signatures: []SignedBy{}, Checks: []Checked{}, Problems: []Problem{}}}
	return v.result, v.run(ctx)
}

// verifier is one verification.
type verifier struct {
	VerifyOptions
	store  store
	result *Verification
	listed map[[2]string]int // problems listed, by check and file
	counts map[string]int64  // problems found, by check

	files       map[string]bool // that are there
	info        bagInfo
	profile     Profile
	payload     manifest // as manifest-sha256.txt says
	tags        manifest
	tagManifest []byte
	signer      PublicKey
	checkpoints map[string]checkpoint
	tally       *tally
	records     records
	lines       int64
}

// problem records that something is wrong.
func (v *verifier) problem(check, file string, line int64, format string, args ...any) {
	v.counts[check]++
	at := [2]string{check, file}
	if v.listed[at]++; v.listed[at] > maxListed {
		return
	}
	v.result.Problems = append(v.result.Problems, Problem{check, file, line, fmt.Sprintf(format, args...)})
}

// done records the outcome of a check.
func (v *verifier) done(check, format string, args ...any) {
	c := Checked{Check: check, Outcome: mailproof.OutcomePass, Text: fmt.Sprintf(format, args...), Problems: v.counts[check]}
	if c.Problems > 0 {
		c.Outcome = mailproof.OutcomeFail
	}
	v.result.Checks = append(v.result.Checks, c)
}

// unknown records a check that could not be made; what was found wrong in it
// stays wrong.
func (v *verifier) unknown(check, format string, args ...any) {
	v.done(check, format, args...)
	if c := &v.result.Checks[len(v.result.Checks)-1]; c.Outcome == mailproof.OutcomePass {
		c.Outcome = mailproof.OutcomeUnknown
	}
}

func (v *verifier) run(ctx context.Context) error {
	if err := v.readFrame(); err != nil {
		return err
	}
	v.checkFiles()
	if err := v.hashFiles(ctx); err != nil {
		return err
	}
	v.checkSignatures()
	v.checkTimestamp()
	v.checkCheckpoints()
	if v.Planned != nil && v.profile.HasLines() {
		v.Planned(v.size(treeSource) + v.size(treeDestination) + v.size(treeVerdicts))
	}
	if err := v.checkTrees(ctx); err != nil {
		return err
	}
	v.readRecords()
	v.done(CheckLines, "every line is of the one form and in its place")
	v.doneManifests()
	v.checkReport()
	slices.SortStableFunc(v.result.Checks, func(a, b Checked) int { return slices.Index(checkOrder, a.Check) - slices.Index(checkOrder, b.Check) })
	slices.SortStableFunc(v.result.Problems, func(a, b Problem) int { return slices.Index(checkOrder, a.Check) - slices.Index(checkOrder, b.Check) })
	return nil
}

var checkOrder = []string{CheckFiles, CheckManifest, CheckTagManifest, CheckSignature, CheckCounter, CheckKey, CheckTimestamp, CheckCheckpoints,
	CheckLines, CheckRoots, CheckVerdicts, CheckEquation, CheckReport, CheckRecords}

// maxSmall bounds a file that is read into memory, in octets.
const maxSmall = 1 << 20

// small reads a file that must be there; what is wrong is recorded.
func (v *verifier) small(check, name string) []byte {
	data, err := readSmall(v.store, name, maxSmall)
	if err != nil {
		v.problem(check, name, 0, "%s", readError(err))
		return nil
	}
	return data
}

func readError(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "is not there"
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return "cannot be read: " + err.Error()
}

// readFrame reads what tells how the bundle is to be read.
func (v *verifier) readFrame() error {
	paths, wrong, err := v.store.list()
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	v.files = map[string]bool{}
	for _, p := range paths {
		v.files[p] = true
	}
	if !v.files[fileBagIt] && !v.files[fileTagManifest] && !v.files[fileBagInfo] && len(wrong) == 0 {
		return fmt.Errorf("%w: there is no %s", ErrNoBundle, fileTagManifest)
	}
	for _, p := range wrong {
		v.problem(p.Check, p.File, p.Line, "%s", p.Text)
	}
	if data := v.small(CheckFiles, fileBagIt); data != nil && string(data) != bagItText {
		v.problem(CheckFiles, fileBagIt, 0, "is not the declaration of BagIt 1.0")
	}
	v.readInfo()
	read := func(name string) (manifest, []byte) {
		check := CheckManifest
		if name == fileTagManifest {
			check = CheckTagManifest
		}
		data := v.small(check, name)
		if data == nil {
			return manifest{}, nil
		}
		m, errs := readManifest(data)
		for _, e := range errs {
			v.problem(check, name, int64(e.line), "%v", e.err)
		}
		return m, data
	}
	v.payload, _ = read(fileManifest)
	v.tags, v.tagManifest = read(fileTagManifest)
	return nil
}

func (v *verifier) readInfo() {
	v.info = bagInfo{}
	data := v.small(CheckFiles, fileBagInfo)
	if data != nil {
		var err error
		if v.info, err = readBagInfo(data); err != nil {
			var at lineError
			errors.As(err, &at)
			v.problem(CheckFiles, fileBagInfo, int64(at.line), "%v", at.err)
		}
		if v.info[labelFormat] != Format {
			v.problem(CheckFiles, fileBagInfo, 0, "states the format %q, this program verifies %q", cutText(v.info[labelFormat]), Format)
		}
	}
	var err error
	if v.profile, err = ParseProfile(v.info[labelProfile]); err != nil && data != nil {
		v.problem(CheckFiles, fileBagInfo, 0, "%v", err)
	}
	r := v.result
	r.Bundle, r.Profile, r.Verdict, r.Tool = v.info[labelID], v.info[labelProfile], v.info[labelVerdict], v.info[labelAgent]
	if r.Sealed, err = time.Parse(time.RFC3339, v.info[labelSealed]); err != nil && data != nil {
		v.problem(CheckFiles, fileBagInfo, 0, "states no time of sealing")
	}
}

// required are the files of a bundle by the list that must hold them.
func (v *verifier) required() (payload, tags, signatures []string) {
	for _, t := range treeNames {
		payload = append(payload, checkpointFile(t))
		if v.profile.HasLines() {
			payload = append(payload, linesFile(t))
		}
	}
	payload = append(payload, fileDispositions, fileDNS, filePasses, fileAttestations, fileDeletions)
	tags = []string{fileBagIt, fileBagInfo, fileManifest, fileSignerPEM, fileSignerVKey, fileAllowedSigners, fileVerify, fileReportJSON}
	signatures = []string{fileEd25519, fileSSHSig}
	if v.info[labelTSA] != "" {
		signatures = append(signatures, fileQuery, fileReply, fileReplySign)
	}
	return payload, tags, signatures
}

// checkFiles compares the files that are there with those that the lists name.
func (v *verifier) checkFiles() {
	payload, tags, signatures := v.required()
	for _, name := range payload {
		if _, ok := v.payload[name]; !ok {
			v.problem(CheckManifest, fileManifest, 0, "does not list %s", name)
		}
	}
	for _, name := range tags {
		if _, ok := v.tags[name]; !ok {
			v.problem(CheckTagManifest, fileTagManifest, 0, "does not list %s", name)
		}
	}
	known := map[string]bool{fileTagManifest: true}
	for _, list := range [][]string{payload, signatures} {
		for _, name := range list {
			known[name] = true
		}
	}
	for name := range v.tags {
		known[name] = true
		if strings.HasPrefix(name, "data/") || strings.HasPrefix(name, "sig/") {
			v.problem(CheckTagManifest, fileTagManifest, 0, "lists %s, which it cannot cover", name)
		}
	}
	for name := range v.payload {
		if !known[name] {
			v.problem(CheckManifest, fileManifest, 0, "lists %s, which is no file of a bundle of this kind", name)
			known[name] = true
		}
	}
	for _, name := range signatures {
		if !v.files[name] {
			v.problem(CheckFiles, name, 0, "is not there")
		}
	}
	for _, name := range sortedNames(v.files) {
		if _, counter := counterFile(name); !known[name] && !counter {
			v.problem(CheckFiles, name, 0, "no list of the bundle names it")
		}
	}
	if want := v.info[labelOxum]; want != "" && v.counts[CheckFiles] == 0 {
		if _, files, ok := strings.Cut(want, "."); !ok || files != strconv.Itoa(len(v.payload)) {
			v.problem(CheckFiles, fileBagInfo, 0, "states a payload of %s files, and the list has %d", cutText(files), len(v.payload))
		}
	}
	v.done(CheckFiles, "%d files, none too many and none too few", len(v.files))
}

func sortedNames[T any](m map[string]T) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// isTree reports whether a file holds the lines of a tree, which are hashed when
// they are read.
func (v *verifier) isTree(name string) bool {
	return v.profile.HasLines() && (name == linesFile(treeSource) || name == linesFile(treeDestination) || name == linesFile(treeVerdicts))
}

// hashFiles hashes every listed file but the three trees.
func (v *verifier) hashFiles(ctx context.Context) error {
	for _, list := range []struct {
		check string
		files manifest
	}{{CheckManifest, v.payload}, {CheckTagManifest, v.tags}} {
		for _, name := range list.files.paths() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if v.isTree(name) {
				continue
			}
			sum, err := v.sum(name)
			if err != nil {
				v.problem(list.check, name, 0, "%s", readError(err))
				continue
			}
			v.compareSum(list.check, name, sum, list.files)
		}
	}
	return nil
}

func (v *verifier) compareSum(check, name string, sum [sha256.Size]byte, files manifest) {
	if want, ok := files[name]; ok && want != sum {
		v.problem(check, name, 0, "was changed: its SHA-256 is %s…, listed is %s…", hex.EncodeToString(sum[:6]), hex.EncodeToString(want[:6]))
	}
}

func (v *verifier) sum(name string) (sum [sha256.Size]byte, err error) {
	f, err := v.store.open(name)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	return [sha256.Size]byte(h.Sum(nil)), errors.Join(err, f.Close())
}

func (v *verifier) doneManifests() {
	v.done(CheckManifest, "%d files of data are as listed", len(v.payload))
	v.done(CheckTagManifest, "%d files beside them are as listed", len(v.tags))
}

// checkSignatures verifies both signatures of the signer, those of the
// countersigners, and says whose keys they are.
func (v *verifier) checkSignatures() {
	pem := v.small(CheckSignature, fileSignerPEM)
	if pem != nil {
		v.signer = v.canonicalKey(CheckSignature, fileSignerPEM, pem)
	}
	if !v.signer.IsZero() {
		v.same(fileAllowedSigners, v.signer.allowedSigners(principalSigner))
		if vkeys, err := vkeysOf(v.signer, v.info[labelSeries]); err != nil {
			v.problem(CheckSignature, fileBagInfo, 0, "states no name for the trees: %v", err)
		} else {
			v.same(fileSignerVKey, vkeys)
		}
		if v.info[labelKey] != v.signer.Fingerprint() {
			v.problem(CheckSignature, fileBagInfo, 0, "states the key %s, and the bundle's key is %s", cutText(v.info[labelKey]), v.signer.Fingerprint())
		}
		before := v.counts[CheckSignature]
		v.verifyPair(CheckSignature, v.signer, fileEd25519, fileSSHSig)
		if v.counts[CheckSignature] == before && v.tagManifest != nil {
			v.result.Signatures = append(v.result.Signatures, SignedBy{Role: principalSigner, Fingerprint: v.signer.Fingerprint()})
		}
	}
	v.done(CheckSignature, "both signatures over %s are of the key %s", fileTagManifest, v.signer.Fingerprint())
	v.checkCountersigners()
	v.checkTrust()
}

// canonicalKey reads a public key that must be written in the one form.
func (v *verifier) canonicalKey(check, name string, data []byte) PublicKey {
	key, err := ParsePublicKey(data)
	if err != nil {
		v.problem(check, name, 0, "%v", err)
		return PublicKey{}
	}
	again, err := key.PEM()
	if err != nil || !bytes.Equal(again, data) {
		v.problem(check, name, 0, "is not written as mailproof writes it")
	}
	return key
}

// same says that a file must have the given text.
func (v *verifier) same(name string, want []byte) {
	if data := v.small(CheckSignature, name); data != nil && !bytes.Equal(data, want) {
		v.problem(CheckSignature, name, 0, "is not about the key of %s", fileSignerPEM)
	}
}

// verifyPair verifies the two signatures of one key.
func (v *verifier) verifyPair(check string, key PublicKey, raw, ssh string) {
	if sig := v.small(check, raw); sig != nil && !key.verify(v.tagManifest, sig) {
		v.problem(check, raw, 0, "is no signature of key %s over %s", key.Fingerprint(), fileTagManifest)
	}
	if sig := v.small(check, ssh); sig != nil {
		if err := key.verifySSH(v.tagManifest, sig); err != nil {
			v.problem(check, ssh, 0, "%v", err)
		}
	}
}

// checkTrust holds the keys that signed against those that were given.
func (v *verifier) checkTrust() {
	if len(v.Fingerprints) == 0 {
		v.unknown(CheckKey, "no key was given: that this key is the signer's is the word of the bundle alone")
		return
	}
	for _, want := range v.Fingerprints {
		found := false
		for i := range v.result.Signatures {
			if s := &v.result.Signatures[i]; s.Fingerprint == want {
				s.Trusted, found = true, true
			}
		}
		if !found {
			v.problem(CheckKey, "", 0, "no valid signature is of the given key %s", want)
		}
	}
	v.done(CheckKey, "signed with the key that was given")
}

// checkTimestamp checks the reply of the authority, where the bundle has one.
func (v *verifier) checkTimestamp() {
	if v.info[labelTSA] == "" {
		return
	}
	query, reply, sig := v.small(CheckTimestamp, fileQuery), v.small(CheckTimestamp, fileReply), v.small(CheckTimestamp, fileReplySign)
	if query == nil || reply == nil || sig == nil {
		v.done(CheckTimestamp, "")
		return
	}
	asSigned := v.signer.verify(reply, sig)
	if !asSigned {
		v.problem(CheckTimestamp, fileReplySign, 0, "is no signature of key %s over %s", v.signer.Fingerprint(), fileReply)
	}
	at, err := checkTimestamp(query, reply, sha256.Sum256(v.tagManifest), v.TSA)
	switch {
	case errors.Is(err, errQuery), errors.Is(err, errNonce) && asSigned:
		v.problem(CheckTimestamp, fileQuery, 0, "%v", err)
		v.done(CheckTimestamp, "")
	case err != nil:
		v.problem(CheckTimestamp, fileReply, 0, "%v", err)
		v.done(CheckTimestamp, "")
	case v.TSA == nil:
		v.unknown(CheckTimestamp, "%s is stated by %s: no certificate was given to check that by", at.UTC().Format(time.RFC3339), cutText(v.info[labelTSA]))
	default:
		v.result.Timestamp = at.UTC()
		v.done(CheckTimestamp, "the bundle existed at %s", at.UTC().Format(time.RFC3339))
	}
}

// checkCheckpoints verifies the three tree heads, and the bundle's id.
func (v *verifier) checkCheckpoints() {
	v.checkpoints = map[string]checkpoint{}
	var all [3][]byte
	whole := true
	for i, t := range treeNames {
		name := checkpointFile(t)
		if all[i] = v.small(CheckCheckpoints, name); all[i] == nil {
			whole = false
			continue
		}
		c, err := openCheckpoint(all[i], v.signer)
		if err != nil {
			v.problem(CheckCheckpoints, name, 0, "%v", err)
			continue
		}
		if want := originOf(v.info[labelSeries], t); c.Origin != want {
			v.problem(CheckCheckpoints, name, 1, "has the origin %s, want %s", cutText(c.Origin), want)
		}
		v.checkpoints[t] = c
	}
	if whole && bundleID(all) != v.info[labelID] {
		v.problem(CheckCheckpoints, fileBagInfo, 0, "names the bundle %s, and the checkpoints make %s", cutText(v.info[labelID]), bundleID(all))
	}
	v.done(CheckCheckpoints, "three signed roots, which make the bundle's id")
}

// tempDir makes a directory for sorting.
func (v *verifier) tempDir() (string, error) {
	dir, err := os.MkdirTemp(v.TempDir, "mailproof-verify-*")
	if err != nil {
		return "", fmt.Errorf("verify: %w", err)
	}
	return dir, nil
}

// ReadID returns the id that a bundle states, unverified.
func ReadID(name string) (id string, err error) {
	s, err := openStore(name)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	data, err := readSmall(s, fileBagInfo, maxSmall)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %s", ErrNoBundle, fileBagInfo, readError(err))
	}
	info, err := readBagInfo(data)
	if err == nil && !bundleName(info[labelID]) {
		err = errors.New("names no bundle")
	}
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrNoBundle, fileBagInfo, err)
	}
	return info[labelID], nil
}

// ReadSigner returns the key that lies in a bundle. That it is the signer's is
// the word of the bundle alone.
func ReadSigner(name string) (key PublicKey, err error) {
	s, err := openStore(name)
	if err != nil {
		return key, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	data, err := readSmall(s, fileSignerPEM, maxSmall)
	if err != nil {
		return key, fmt.Errorf("%w: %s: %s", ErrNoBundle, fileSignerPEM, readError(err))
	}
	return ParsePublicKey(data)
}
