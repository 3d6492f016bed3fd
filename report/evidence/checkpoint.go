package evidence

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The trees, in the order in which the bundle's id is made of their
// checkpoints.
const (
	treeSource      = "source"
	treeDestination = "destination"
	treeVerdicts    = "verdicts"
)

var treeNames = [3]string{treeSource, treeDestination, treeVerdicts}

// checkpoint is a signed tree head (C2SP tlog-checkpoint) without extension
// lines.
type checkpoint struct {
	Origin string
	Root
}

// text is what is signed.
func (c checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + c.Hash.String() + "\n"
}

// origin names one tree of one bundle: no other tree may ever have that name.
func originOf(series, tree string) string { return "mailproof/" + series + "/" + tree }

// sign writes the checkpoint as a signed note whose key has the name of the
// origin.
func (c checkpoint) sign(k Key) ([]byte, error) {
	signer, err := k.noteSigner(c.Origin)
	if err != nil {
		return nil, err
	}
	msg, err := note.Sign(&note.Note{Text: c.text()}, signer)
	if err != nil {
		return nil, fmt.Errorf("checkpoint of %s: %w", c.Tree, err)
	}
	return msg, nil
}

// maxNote bounds a signed note in octets.
const maxNote = 64 << 10

var errCheckpoint = errors.New("this is no checkpoint: an origin, a size, a root in base64, an empty line and signatures")

// readCheckpoint reads a checkpoint without looking at its signature.
func readCheckpoint(msg []byte) (c checkpoint, err error) {
	body, signatures, ok := strings.Cut(string(msg), "\n\n")
	lines := strings.Split(body, "\n")
	if len(msg) > maxNote || !ok || len(lines) != 3 || !strings.HasPrefix(signatures, "— ") || !strings.HasSuffix(signatures, "\n") {
		return c, errCheckpoint
	}
	c.Origin = lines[0]
	if c.Origin == "" || strings.ContainsAny(c.Origin, " +\t\r") {
		return c, errCheckpoint
	}
	c.Tree = c.Origin[strings.LastIndexByte(c.Origin, '/')+1:]
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 || strconv.FormatInt(c.Size, 10) != lines[1] {
		return c, errCheckpoint
	}
	if c.Hash, err = tlog.ParseHash(lines[2]); err != nil || c.Hash.String() != lines[2] {
		return c, errCheckpoint
	}
	return c, strictSignatures(signatures)
}

// strictSignatures refuses signature lines whose base64 is not the one that is
// written: the note package reads over stray bits.
func strictSignatures(text string) error {
	for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		f := strings.Split(l, " ")
		if len(f) != 3 || f[0] != "—" || f[1] == "" {
			return errCheckpoint
		}
		if _, err := base64.StdEncoding.Strict().DecodeString(f[2]); err != nil {
			return errCheckpoint
		}
	}
	return nil
}

// openCheckpoint reads a checkpoint and verifies its one signature.
func openCheckpoint(msg []byte, key PublicKey) (checkpoint, error) {
	c, err := readCheckpoint(msg)
	if err != nil {
		return c, err
	}
	verifier, err := key.noteVerifier(c.Origin)
	if err != nil {
		return c, err
	}
	n, err := note.Open(msg, note.VerifierList(verifier))
	if err != nil {
		return c, fmt.Errorf("the signature is not one of key %s: %w", key.Fingerprint(), err)
	}
	if len(n.UnverifiedSigs) > 0 || len(n.Sigs) != 1 {
		return c, errors.New("there is a signature beside that of the signer")
	}
	return c, nil
}
