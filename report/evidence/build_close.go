package evidence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// close writes what makes a bundle of the payload: keys, words, manifests,
// signatures, and the timestamp, in this order. Each covers what was before it.
func (b *builder) close(ctx context.Context, s *Sealed) error {
	octets, err := b.payload()
	if err != nil {
		return err
	}
	tags, err := b.tagFiles(s, octets)
	if err != nil {
		return err
	}
	tagManifest := tags.text()
	sum := sha256.Sum256(tagManifest)
	s.TagManifest = hex.EncodeToString(sum[:])
	if err := b.write(fileTagManifest, tagManifest); err != nil {
		return err
	}
	signatures, err := signTagManifest(b.Key, tagManifest)
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	if b.Timestamp != nil {
		stamp, err := requestTimestamp(ctx, b.Timestamp, sum)
		if err != nil {
			return fmt.Errorf("seal: %w", err)
		}
		s.Timestamp = stamp.time
		signatures[fileQuery], signatures[fileReply], signatures[fileReplySign] = stamp.query, stamp.reply, b.Key.sign(stamp.reply)
	}
	for name, data := range signatures {
		if err := b.write(name, data); err != nil {
			return err
		}
	}
	s.Octets = octets
	s.Files = len(b.files) + len(tags) + 1 + len(signatures)
	return nil
}

// tagFiles writes the files beside the payload that the signature covers, and
// returns their hashes.
func (b *builder) tagFiles(s *Sealed, octets int64) (manifest, error) {
	public := b.Key.Public()
	pem, err := public.PEM()
	if err != nil {
		return nil, err
	}
	vkeys, err := vkeysOf(public, b.Series)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		fileBagIt: []byte(bagItText), fileBagInfo: b.info(s, octets).text(), fileManifest: b.files.text(),
		fileSignerPEM: pem, fileSignerVKey: vkeys, fileAllowedSigners: public.allowedSigners(principalSigner),
		fileVerify: verifyText(b.Profile, s.Fingerprint, b.Timestamp != nil),
	}
	tags := manifest{}
	for name, data := range files {
		if err := b.write(name, data); err != nil {
			return nil, err
		}
		tags[name] = sha256.Sum256(data)
	}
	return tags, b.reportFiles(tags)
}

// reportFiles hashes what the report's maker wrote, and brings it to the disk.
func (b *builder) reportFiles(tags manifest) error {
	entries, err := os.ReadDir(filepath.Join(b.out, dirReport))
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	for _, e := range entries {
		name := dirReport + "/" + e.Name()
		if !e.Type().IsRegular() || !cleanPath(name) {
			return fmt.Errorf("seal: %s is no file of a report", name)
		}
		if tags[name], err = sumFile(filepath.Join(b.out, filepath.FromSlash(name))); err != nil {
			return fmt.Errorf("seal: %s: %w", name, err)
		}
	}
	if _, ok := tags[fileReportJSON]; !ok {
		return fmt.Errorf("seal: the report has no %s", fileReportJSON)
	}
	return nil
}

func sumFile(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return sum, err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return [sha256.Size]byte(h.Sum(nil)), err
}

// vkeysOf are the lines of keys/signer.vkey: the key under the name of each
// origin.
func vkeysOf(key PublicKey, series string) ([]byte, error) {
	var out strings.Builder
	for _, t := range treeNames {
		v, err := key.vkey(originOf(series, t))
		if err != nil {
			return nil, err
		}
		out.WriteString(v + "\n")
	}
	return []byte(out.String()), nil
}
