package evidence

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// The files of a bundle.
const (
	fileBagIt       = "bagit.txt"
	fileBagInfo     = "bag-info.txt"
	fileManifest    = "manifest-sha256.txt"
	fileTagManifest = "tagmanifest-sha256.txt"

	fileDispositions = "data/dispositions.jsonl"
	fileDNS          = "data/dns.jsonl"
	filePasses       = "data/passes.jsonl"
	fileAttestations = "data/attestations.jsonl"
	fileDeletions    = "data/deletions.jsonl"

	dirReport      = "report"
	fileReportHTML = "report/report.html"
	fileReportPDF  = "report/report.pdf"
	fileReportJSON = "report/report.json"

	fileSignerPEM      = "keys/signer.pem"
	fileSignerVKey     = "keys/signer.vkey"
	fileAllowedSigners = "keys/allowed_signers"

	fileEd25519   = "sig/tagmanifest.ed25519"
	fileSSHSig    = "sig/tagmanifest.sshsig"
	fileQuery     = "sig/tagmanifest.tsq"
	fileReply     = "sig/tagmanifest.tsr"
	fileReplySign = "sig/tagmanifest.tsr.ed25519"

	fileVerify = "VERIFY.md"
)

// sshNamespace keeps a signature made for a bundle from being taken for one
// made for something else.
const sshNamespace = "mailproof-bundle"

// The names under which signatures are checked: principals of allowed_signers.
const (
	principalSigner = "signer"
	countersigner   = "countersigner"
)

func linesFile(tree string) string      { return "data/" + tree + ".jsonl" }
func checkpointFile(tree string) string { return "data/" + tree + ".checkpoint" }

const bagItText = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

// The labels of bag-info.txt (RFC 8493 §2.2.2), in the order in which they are
// written. Those of our own begin with "Mailproof-".
const (
	labelID        = "External-Identifier"
	labelAgent     = "Bag-Software-Agent"
	labelDate      = "Bagging-Date"
	labelOxum      = "Payload-Oxum"
	labelFormat    = "Mailproof-Format"
	labelProfile   = "Mailproof-Privacy"
	labelVerdict   = "Mailproof-Verdict"
	labelAlgorithm = "Mailproof-Fingerprint-Algorithm"
	labelSeries    = "Mailproof-Origin"
	labelSealed    = "Mailproof-Sealed"
	labelKey       = "Mailproof-Key-Fingerprint"
	labelTSA       = "Mailproof-Timestamp-Authority"
	labelReport    = "Mailproof-Report"
)

var infoLabels = []string{labelID, labelAgent, labelDate, labelOxum, labelFormat, labelProfile, labelVerdict, labelAlgorithm, labelSeries,
	labelSealed, labelKey, labelTSA, labelReport}

// Format names the layout that this package writes and verifies.
const Format = "mailproof/bundle/1"

// bagInfo is bag-info.txt.
type bagInfo map[string]string

func (b bagInfo) text() []byte {
	var out bytes.Buffer
	for _, label := range infoLabels {
		if v := b[label]; v != "" {
			fmt.Fprintf(&out, "%s: %s\n", label, oneLine(v))
		}
	}
	return out.Bytes()
}

// oneLine keeps a value from ending its line.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s))
}

// readBagInfo reads what text wrote, and refuses whatever else it may be.
func readBagInfo(data []byte) (bagInfo, error) {
	info := bagInfo{}
	for i, l := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		label, value, ok := strings.Cut(l, ": ")
		if !ok || !slices.Contains(infoLabels, label) || info[label] != "" {
			return info, lineError{i + 1, fmt.Errorf("%q is no label of a bundle, or stands there twice", cutText(label))}
		}
		info[label] = value
	}
	if !bytes.Equal(info.text(), data) {
		return info, lineError{1, fmt.Errorf("labels or white space are not as mailproof writes them")}
	}
	return info, nil
}

// lineError is an error in one line of a file.
type lineError struct {
	line int
	err  error
}

func (e lineError) Error() string { return "line " + strconv.Itoa(e.line) + ": " + e.err.Error() }
func (e lineError) Unwrap() error { return e.err }

// manifest is the SHA-256 of files by path (RFC 8493 §2.1.3).
type manifest map[string][sha256.Size]byte

func (m manifest) paths() []string {
	paths := make([]string, 0, len(m))
	for p := range m {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

// text writes the manifest as sha256sum does, sorted by path.
func (m manifest) text() []byte {
	var out bytes.Buffer
	for _, p := range m.paths() {
		sum := m[p]
		fmt.Fprintf(&out, "%x  %s\n", sum[:], p)
	}
	return out.Bytes()
}

// maxFiles bounds the files of a bundle.
const maxFiles = 4096

// readManifest reads what text wrote. Every line that is not so is reported.
func readManifest(data []byte) (manifest, []lineError) {
	m := manifest{}
	var errs []lineError
	last := ""
	in := bufio.NewScanner(bytes.NewReader(data))
	in.Buffer(nil, 1<<16)
	n := 0
	for in.Scan() {
		n++
		l := in.Text()
		digits, name, ok := strings.Cut(l, "  ")
		var sum [sha256.Size]byte
		_, err := hex.Decode(sum[:], []byte(digits[:min(len(digits), 64)]))
		switch {
		case !ok || err != nil || len(digits) != 64 || strings.ToLower(digits) != digits:
			errs = append(errs, lineError{n, fmt.Errorf("want 64 hexadecimal digits, two spaces and a path")})
			continue
		case !cleanPath(name):
			errs = append(errs, lineError{n, fmt.Errorf("%q is no path within a bundle", cutText(name))})
			continue
		case name <= last:
			errs = append(errs, lineError{n, fmt.Errorf("%q is out of order, or there twice", cutText(name))})
		}
		last = name
		m[name] = sum
	}
	if err := in.Err(); err != nil {
		errs = append(errs, lineError{n + 1, err})
	}
	if len(errs) == 0 && !bytes.Equal(m.text(), data) {
		errs = append(errs, lineError{1, fmt.Errorf("line ends or white space are not as mailproof writes them")})
	}
	return m, errs
}

// cleanPath reports whether a name is the path of a file below the bundle, with
// nothing in it that leads elsewhere or that a system takes for another name.
func cleanPath(name string) bool {
	if name == "" || len(name) > 255 || path.Clean(name) != name || path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_', c == '/':
		default:
			return false
		}
	}
	return true
}

// cutText shortens foreign text for a message.
func cutText(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
