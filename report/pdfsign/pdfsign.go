// Package pdfsign signs a PDF with a certificate: an approval signature without
// a picture, "adbe.pkcs7.detached" (ISO 32000-1 §12.8.3.3.1), over the whole
// file. The file that is signed stays as it is, octet for octet; the signature is
// an incremental update behind it (§7.5.6), so that a reader can go back to it.
//
// It reads what report writes: a PDF with a cross-reference table, not encrypted.
// It writes nothing else than that update, imports nothing of ours, and verifies
// nothing: `pdfsig` of poppler does, and so does every reader of PDF.
package pdfsign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smallstep/pkcs7"
)

// Signer is a certificate with its key.
type Signer struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // above it, in any order
	Key         crypto.Signer
}

// ReadSigner reads a certificate in PEM, its chain behind it, and its private
// key: RSA or ECDSA, not encrypted. An empty keyFile means that it is in
// certFile. No error holds anything of the key.
func ReadSigner(certFile, keyFile string) (s Signer, err error) {
	data, err := os.ReadFile(certFile)
	if err != nil {
		return s, fmt.Errorf("certificate: %w", err)
	}
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return s, fmt.Errorf("certificate %s: %w", certFile, err)
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return s, fmt.Errorf("certificate: %s holds none in PEM", certFile)
	}
	if keyFile == "" {
		keyFile = certFile
	} else if data, err = os.ReadFile(keyFile); err != nil {
		return s, fmt.Errorf("key of the certificate: %w", err)
	}
	if s.Key, err = readKey(data); err != nil {
		return s, fmt.Errorf("key of the certificate, %s: %w", keyFile, err)
	}
	s.Certificate, s.Chain = certs[0], certs[1:]
	public, ok := s.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(s.Certificate.PublicKey) {
		return s, fmt.Errorf("the key in %s is not that of the certificate in %s", keyFile, certFile)
	}
	return s, nil
}

var errKey = errors.New("want an RSA or ECDSA private key in PEM, not encrypted")

func readKey(data []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		default:
			continue
		}
		if err != nil {
			return nil, errKey
		}
		switch k := key.(type) {
		case *rsa.PrivateKey:
			return k, nil
		case *ecdsa.PrivateKey:
			return k, nil
		}
	}
	return nil, errKey
}

// SignFile signs a PDF in its place: whole or not at all.
func SignFile(path string, s Signer, at time.Time) (err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("sign the PDF: %w", err)
	}
	signed, err := Sign(data, s, at)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".signed-*")
	if err != nil {
		return fmt.Errorf("sign the PDF: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(signed)
	if err := errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sign the PDF: %w", err)
	}
	return os.Rename(f.Name(), path)
}

// contentsSize is the room for the signature in octets: a chain of a few
// certificates and two attributes.
const contentsSize = 16 << 10

// Sign returns the PDF with a signature behind it. The time is the signer's
// own.
func Sign(data []byte, s Signer, at time.Time) ([]byte, error) {
	u, err := newUpdate(data)
	if err != nil {
		return nil, fmt.Errorf("sign the PDF: %w", err)
	}
	signed, err := u.sign(s, at)
	if err != nil {
		return nil, fmt.Errorf("sign the PDF: %w", err)
	}
	return signed, nil
}

// update is an incremental update of a PDF.
type update struct {
	out     bytes.Buffer
	old     []byte
	offsets map[int]int64 // of the objects of the old file
	written map[int]int   // of those of the update
	size    int           // of the next free object number
	root    int
	trailer string
	prev    int64
}

var (
	reStart   = regexp.MustCompile(`startxref\s+(\d+)\s+%%EOF\s*$`)
	reRoot    = regexp.MustCompile(`/Root\s+(\d+)\s+0\s+R`)
	reSize    = regexp.MustCompile(`/Size\s+(\d+)`)
	rePrev    = regexp.MustCompile(`/Prev\s+(\d+)`)
	rePages   = regexp.MustCompile(`/Pages\s+(\d+)\s+0\s+R`)
	reKids    = regexp.MustCompile(`/Kids\s*\[\s*(\d+)\s+0\s+R`)
	reAnnots  = regexp.MustCompile(`/Annots\s*\[([^\]]*)\]`)
	reForm    = regexp.MustCompile(`/AcroForm\b`)
	reEncrypt = regexp.MustCompile(`/Encrypt\b`)
)

var errForm = errors.New("it is not a PDF with a cross-reference table, as report writes it")

// maxUpdates bounds how many updates of updates are followed.
const maxUpdates = 64

func newUpdate(data []byte) (*update, error) {
	tail := data[max(0, len(data)-1024):]
	m := reStart.FindSubmatch(tail)
	if m == nil || !bytes.HasPrefix(data, []byte("%PDF-")) {
		return nil, errForm
	}
	u := &update{old: data, offsets: map[int]int64{}, written: map[int]int{}}
	var err error
	if u.prev, err = strconv.ParseInt(string(m[1]), 10, 64); err != nil {
		return nil, errForm
	}
	at := u.prev
	for i := 0; ; i++ {
		trailer, err := u.table(at)
		if err != nil || i == maxUpdates {
			return nil, errForm
		}
		if i == 0 {
			u.trailer = trailer
		}
		p := rePrev.FindStringSubmatch(trailer)
		if p == nil {
			break
		}
		if at, err = strconv.ParseInt(p[1], 10, 64); err != nil {
			return nil, errForm
		}
	}
	root, size := reRoot.FindStringSubmatch(u.trailer), reSize.FindStringSubmatch(u.trailer)
	if root == nil || size == nil {
		return nil, errForm
	}
	if reEncrypt.MatchString(u.trailer) {
		return nil, errors.New("it is encrypted")
	}
	u.root, _ = strconv.Atoi(root[1])
	u.size, _ = strconv.Atoi(size[1])
	return u, nil
}

// table reads one cross-reference table (§7.5.4) and returns its trailer. An
// object that a later table has is not taken again.
func (u *update) table(at int64) (trailer string, err error) {
	if at < 0 || at >= int64(len(u.old)) || !bytes.HasPrefix(u.old[at:], []byte("xref")) {
		return "", errForm
	}
	rest := string(u.old[at+4:])
	body, after, ok := strings.Cut(rest, "trailer")
	if !ok {
		return "", errForm
	}
	trailer, _, ok = strings.Cut(after, "startxref")
	if !ok {
		return "", errForm
	}
	f := strings.Fields(body)
	for len(f) >= 2 {
		first, err1 := strconv.Atoi(f[0])
		n, err2 := strconv.Atoi(f[1])
		f = f[2:]
		if err1 != nil || err2 != nil || n < 0 || n > len(f)/3 {
			return "", errForm
		}
		for i := range n {
			offset, err := strconv.ParseInt(f[3*i], 10, 64)
			if err != nil || offset < 0 || offset >= int64(len(u.old)) {
				return "", errForm
			}
			if _, known := u.offsets[first+i]; !known && f[3*i+2] == "n" {
				u.offsets[first+i] = offset
			}
		}
		f = f[3*n:]
	}
	return trailer, nil
}

// dictionary returns the text of an object that is a dictionary, without its
// brackets.
func (u *update) dictionary(n int) (string, error) {
	at, ok := u.offsets[n]
	if !ok {
		return "", errForm
	}
	text := string(u.old[at:])
	head := fmt.Sprintf("%d 0 obj", n)
	body, ok := strings.CutPrefix(text, head)
	if !ok {
		return "", errForm
	}
	body, _, ok = strings.Cut(body, "endobj")
	if !ok {
		return "", errForm
	}
	body = strings.TrimSpace(body)
	if !strings.HasPrefix(body, "<<") || !strings.HasSuffix(body, ">>") {
		return "", errForm
	}
	return body[2 : len(body)-2], nil
}

// firstPage finds the first leaf of the page tree.
func (u *update) firstPage(catalog string) (int, string, error) {
	m := rePages.FindStringSubmatch(catalog)
	for range maxUpdates {
		if m == nil {
			return 0, "", errForm
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return 0, "", errForm
		}
		dict, err := u.dictionary(n)
		if err != nil {
			return 0, "", err
		}
		if m = reKids.FindStringSubmatch(dict); m == nil {
			return n, dict, nil
		}
	}
	return 0, "", errForm
}

// object writes an object of the update.
func (u *update) object(n int, body string) {
	u.written[n] = u.out.Len()
	fmt.Fprintf(&u.out, "%d 0 obj\n%s\nendobj\n", n, body)
}

const rangeRoom = "[0 0000000000 0000000000 0000000000]"

func (u *update) sign(s Signer, at time.Time) ([]byte, error) {
	catalog, err := u.dictionary(u.root)
	if err != nil {
		return nil, err
	}
	if reForm.MatchString(catalog) {
		return nil, errors.New("it has a form, or a signature, already")
	}
	page, pageDict, err := u.firstPage(catalog)
	if err != nil {
		return nil, err
	}
	u.out.Write(u.old)
	if !bytes.HasSuffix(u.old, []byte("\n")) {
		u.out.WriteByte('\n')
	}
	signature, field := u.size, u.size+1
	u.size += 2
	u.object(signature, fmt.Sprintf("<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /adbe.pkcs7.detached /Name %s /M (%s) /Contents <%s> /ByteRange %s >>",
		textString(s.Certificate.Subject.CommonName), pdfDate(at), strings.Repeat("0", 2*contentsSize), rangeRoom))
	u.object(field, fmt.Sprintf("<< /Type /Annot /Subtype /Widget /FT /Sig /T (mailproof) /V %d 0 R /P %d 0 R /F 132 /Rect [0 0 0 0] >>", signature, page))
	annot := fmt.Sprintf("%d 0 R", field)
	if reAnnots.MatchString(pageDict) {
		pageDict = reAnnots.ReplaceAllStringFunc(pageDict, func(a string) string { return strings.TrimSuffix(a, "]") + " " + annot + "]" })
	} else {
		pageDict += " /Annots [" + annot + "]"
	}
	u.object(page, "<<"+pageDict+">>")
	u.object(u.root, "<<"+catalog+fmt.Sprintf(" /AcroForm << /Fields [%s] /SigFlags 3 >>", annot)+">>")
	u.close()
	return u.fill(u.written[signature], s)
}

// close writes the cross-reference table of the update.
func (u *update) close() {
	at := u.out.Len()
	u.out.WriteString("xref\n0 1\n0000000000 65535 f \n")
	for _, n := range slices.Sorted(maps.Keys(u.written)) {
		fmt.Fprintf(&u.out, "%d 1\n%010d 00000 n \n", n, u.written[n])
	}
	trailer := rePrev.ReplaceAllString(u.trailer, "")
	trailer = reSize.ReplaceAllString(trailer, fmt.Sprintf("/Size %d", u.size))
	trailer = strings.TrimSpace(trailer)
	trailer = strings.TrimSuffix(trailer, ">>") + fmt.Sprintf("/Prev %d\n>>", u.prev)
	fmt.Fprintf(&u.out, "trailer\n%s\nstartxref\n%d\n%%%%EOF\n", trailer, at)
}

// fill computes the signature over everything but the room for itself.
func (u *update) fill(object int, s Signer) ([]byte, error) {
	out := u.out.Bytes()
	begin := bytes.Index(out[object:], []byte("/Contents <")) + object + len("/Contents ")
	end := begin + 2*contentsSize + 2
	text := fmt.Sprintf("[0 %010d %010d %010d]", begin, end, len(out)-end)
	if len(text) != len(rangeRoom) {
		return nil, errors.New("it is too large")
	}
	r := bytes.Index(out[end:], []byte(rangeRoom)) + end
	copy(out[r:], text)
	sum := append(bytes.Clone(out[:begin]), out[end:]...)
	der, err := detached(sum, s)
	if err != nil {
		return nil, err
	}
	if len(der) > contentsSize {
		return nil, fmt.Errorf("the signature has %d octets, more than the %d that there is room for", len(der), contentsSize)
	}
	hex.Encode(out[begin+1:], der)
	return out, nil
}

// detached makes a PKCS #7 signature (RFC 2315) without the content.
func detached(content []byte, s Signer) ([]byte, error) {
	data, err := pkcs7.NewSignedData(content)
	if err != nil {
		return nil, err
	}
	data.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := data.AddSigner(s.Certificate, s.Key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, err
	}
	for _, c := range s.Chain {
		data.AddCertificate(c)
	}
	data.Detach()
	return data.Finish()
}

// pdfDate writes a time as PDF does (§7.9.4).
func pdfDate(t time.Time) string { return t.UTC().Format("D:20060102150405Z") }

// textString writes a text string (§7.9.2.2) in hexadecimal digits, UTF-16 with
// its mark.
func textString(s string) string {
	out := "<FEFF"
	for _, r := range s {
		if r > 0xffff {
			r = 0xfffd
		}
		out += fmt.Sprintf("%04X", r)
	}
	return out + ">"
}
