package imapconn

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// CertificateError says why a client certificate cannot be used.
type CertificateError struct {
	File string
	Text string // what is wrong with it
	Hint string // the command that helps; may be empty
	Err  error  // may be nil
}

// Error names the file and what is wrong with it.
func (e *CertificateError) Error() string {
	s := "client certificate: " + e.File + ": " + e.Text
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *CertificateError) Unwrap() error { return e.Err }

// Hints returns what to do about it.
func (e *CertificateError) Hints() []string {
	if e.Hint == "" {
		return nil
	}
	return []string{e.Hint}
}

// clientCertificate reads the certificate and key that a client signs in with,
// in PEM form; secret is the key where it is in no file. A key that is encrypted is refused with the command that opens it:
// what opens keys here would be one more place that a passphrase passes through.
func clientCertificate(e mailproof.Endpoint, secret mailproof.Secret) (tls.Certificate, error) {
	key := e.KeyFile
	if key == "" {
		key = e.CertFile
	}
	certPEM, err := pemOf(e.CertFile, "certificate")
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := keyOf(key, secret)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := usableKey(key, keyPEM); err != nil {
		return tls.Certificate{}, err
	}
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil && !secret.IsZero() {
		return cert, &CertificateError{File: e.CertFile, Text: "does not go with the key of " + key, Err: err}
	}
	if err != nil {
		return cert, &CertificateError{File: e.CertFile, Text: "does not go with the key of " + key, Err: err,
			Hint: fmt.Sprintf("compare openssl x509 -in %s -noout -pubkey with openssl pkey -in %s -pubout", shellWord(e.CertFile), shellWord(key))}
	}
	return cert, nil
}

// keyOf returns the key in PEM form: what was handed over, else what is in the
// file.
func keyOf(file string, secret mailproof.Secret) ([]byte, error) {
	if secret.IsZero() {
		return pemOf(file, "key")
	}
	text := []byte(secret.Reveal())
	if block, _ := pem.Decode(text); block == nil {
		return nil, &CertificateError{File: file, Text: "holds no key in PEM form",
			Hint: "give the whole text, from -----BEGIN to -----END, with its line breaks"}
	}
	return text, nil
}

// pemOf reads a file in PEM form, and says of the other forms that certificates
// come in how to make it one.
func pemOf(file, what string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &CertificateError{File: file, Text: "cannot be read", Err: err}
	}
	if block, _ := pem.Decode(text); block != nil {
		return text, nil
	}
	bad := &CertificateError{File: file, Text: "holds no " + what + " in PEM form"}
	_, notCert := x509.ParseCertificate(text)
	switch {
	case isPKCS12(text):
		bad.Text = "is a PKCS#12 file, and PEM is wanted"
		bad.Hint = fmt.Sprintf("umask 077; openssl pkcs12 -in %s -noenc -out client.pem, then cert=client.pem", shellWord(file))
	case notCert == nil:
		bad.Text = "is a certificate in DER form, and PEM is wanted"
		bad.Hint = fmt.Sprintf("openssl x509 -inform der -in %s -out client.pem", shellWord(file))
	case what == "key" && isDER(text):
		bad.Text = "is in DER form, and PEM is wanted"
		bad.Hint = fmt.Sprintf("umask 077; openssl pkey -inform der -in %s -out client-key.pem", shellWord(file))
	}
	return nil, bad
}

// usableKey looks for a private key that is not encrypted.
func usableKey(file string, text []byte) error {
	for rest := text; ; {
		block, after := pem.Decode(rest)
		if block == nil {
			return &CertificateError{File: file, Text: "holds no private key",
				Hint: "give the file of the key with key=FILE, or put the key into the file of the certificate"}
		}
		rest = after
		encrypted := block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
		switch {
		case encrypted:
			return &CertificateError{File: file, Text: "the private key is encrypted",
				Hint: fmt.Sprintf("write it in the clear where only you can read it, and remove it afterwards: umask 077; openssl pkey -in %s -out client-key.pem, then key=client-key.pem", shellWord(file))}
		case block.Type == "PRIVATE KEY" || strings.HasSuffix(block.Type, " PRIVATE KEY"):
			return nil
		}
	}
}

// isPKCS12 reports whether a file begins as a PFX does (RFC 7292 §4): version 3,
// then content that is data or signed data.
func isPKCS12(text []byte) bool {
	var pfx struct {
		Version  int
		AuthSafe struct {
			Type    asn1.ObjectIdentifier
			Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
		}
		Mac asn1.RawValue `asn1:"optional"`
	}
	_, err := asn1.Unmarshal(text, &pfx)
	data, signed := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	return err == nil && pfx.Version == 3 && slices.ContainsFunc([]asn1.ObjectIdentifier{data, signed}, pfx.AuthSafe.Type.Equal)
}

// isDER reports whether a file is one ASN.1 sequence.
func isDER(text []byte) bool {
	var any asn1.RawValue
	rest, err := asn1.Unmarshal(text, &any)
	return err == nil && len(bytes.TrimSpace(rest)) == 0 && any.IsCompound && any.Tag == asn1.TagSequence
}

// shellWord writes a file name as a shell takes it.
func shellWord(file string) string {
	if strings.IndexFunc(file, func(r rune) bool {
		return !strings.ContainsRune("/._-+@%:,=~", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0 {
		return file
	}
	return "'" + strings.ReplaceAll(file, "'", `'\''`) + "'"
}
