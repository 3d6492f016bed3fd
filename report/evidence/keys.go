package evidence

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"

	"github.com/mailproof/mailproof"
)

// Key is a signing key: Ed25519 (RFC 8032). It prints as its fingerprint.
type Key struct{ private ed25519.PrivateKey }

// NewKey makes a key.
func NewKey() (Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("make a key: %w", err)
	}
	return Key{private}, nil
}

// Public returns the key's public half.
func (k Key) Public() PublicKey {
	public, _ := k.private.Public().(ed25519.PublicKey)
	return PublicKey{public}
}

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return len(k.private) == 0 }

// String returns the fingerprint of the public key.
func (k Key) String() string { return k.Public().Fingerprint() }

// Format keeps every verb from printing the key itself.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// PEM returns the private key as PKCS #8 in PEM, which openssl reads. With a
// passphrase it is an encrypted OpenSSH key, which ssh-keygen reads.
func (k Key) PEM(passphrase mailproof.Secret) ([]byte, error) {
	if !passphrase.IsZero() {
		block, err := ssh.MarshalPrivateKeyWithPassphrase(k.private, "mailproof", []byte(passphrase.Reveal()))
		if err != nil {
			return nil, fmt.Errorf("encrypt the key: %w", err)
		}
		return pem.EncodeToMemory(block), nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("write the key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ErrPassphrase says that a key is encrypted and no passphrase was given, or
// the wrong one.
var ErrPassphrase = errors.New("the key is encrypted and the passphrase does not open it")

var errNoKey = errors.New("no Ed25519 private key: give one in PEM as PKCS #8 (openssl genpkey -algorithm ed25519) or as OpenSSH writes it (ssh-keygen -t ed25519)")

// ParseKey reads an Ed25519 private key: PKCS #8 in PEM, encrypted with PBES2
// or not, or OpenSSH's format. The passphrase is asked for only where the key
// is encrypted; it may be nil. No error holds anything of the key.
func ParseKey(data []byte, passphrase func() (mailproof.Secret, error)) (Key, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return Key{}, errNoKey
	}
	ask := func() (string, error) {
		if passphrase == nil {
			return "", ErrPassphrase
		}
		s, err := passphrase()
		if err == nil && s.IsZero() {
			err = ErrPassphrase
		}
		return s.Reveal(), err
	}
	switch block.Type {
	case "PRIVATE KEY":
		return keyOfPKCS8(block.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		pass, err := ask()
		if err != nil {
			return Key{}, err
		}
		der, err := decryptPKCS8(block.Bytes, pass)
		if err != nil {
			return Key{}, err
		}
		k, err := keyOfPKCS8(der)
		if err != nil {
			return Key{}, ErrPassphrase // a wrong passphrase may leave good padding
		}
		return k, nil
	case "OPENSSH PRIVATE KEY":
		return keyOfOpenSSH(data, ask)
	}
	return Key{}, errNoKey
}

func keyOfPKCS8(der []byte) (Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return Key{}, errNoKey
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Key{}, errNoKey
	}
	return Key{private}, nil
}

func keyOfOpenSSH(data []byte, ask func() (string, error)) (Key, error) {
	parsed, err := ssh.ParseRawPrivateKey(data)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		var pass string
		if pass, err = ask(); err != nil {
			return Key{}, err
		}
		if parsed, err = ssh.ParseRawPrivateKeyWithPassphrase(data, []byte(pass)); err != nil {
			return Key{}, ErrPassphrase
		}
	}
	private, ok := parsed.(*ed25519.PrivateKey)
	if err != nil || !ok {
		return Key{}, errNoKey
	}
	return Key{*private}, nil
}

func (k Key) sign(message []byte) []byte { return ed25519.Sign(k.private, message) }

// noteSigner signs notes under a name (golang.org/x/mod/sumdb/note).
type noteSigner struct {
	note.Verifier
	key Key
}

func (s noteSigner) Sign(msg []byte) ([]byte, error) { return s.key.sign(msg), nil }

func (k Key) noteSigner(name string) (note.Signer, error) {
	v, err := k.Public().noteVerifier(name)
	return noteSigner{v, k}, err
}

// PublicKey is an Ed25519 public key.
type PublicKey struct{ public ed25519.PublicKey }

// IsZero reports whether there is no key.
func (p PublicKey) IsZero() bool { return len(p.public) == 0 }

// Equal reports whether both are the same key.
func (p PublicKey) Equal(q PublicKey) bool { return !p.IsZero() && bytes.Equal(p.public, q.public) }

// blob is the key as SSH writes it (RFC 8709 §4).
func (p PublicKey) blob() []byte {
	var b []byte
	for _, part := range [][]byte{[]byte(ssh.KeyAlgoED25519), p.public} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	return b
}

// Fingerprint returns "SHA256:…" as ssh-keygen -l prints it.
func (p PublicKey) Fingerprint() string {
	if p.IsZero() {
		return ""
	}
	sum := sha256.Sum256(p.blob())
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

// PEM returns the key as SubjectPublicKeyInfo in PEM, which openssl reads.
func (p PublicKey) PEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(p.public)
	if err != nil {
		return nil, fmt.Errorf("write the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// SSH returns the key as a line of authorized_keys, without a line feed.
func (p PublicKey) SSH() string {
	return ssh.KeyAlgoED25519 + " " + base64.StdEncoding.EncodeToString(p.blob())
}

// allowedSigners is a line of the file of that name (ssh-keygen, ALLOWED
// SIGNERS).
func (p PublicKey) allowedSigners(principal string) []byte {
	return []byte(principal + ` namespaces="` + sshNamespace + `" ` + p.SSH() + "\n")
}

// vkey is the key as the note package writes it, for one name.
func (p PublicKey) vkey(name string) (string, error) {
	return note.NewEd25519VerifierKey(name, p.public)
}

func (p PublicKey) noteVerifier(name string) (note.Verifier, error) {
	vkey, err := p.vkey(name)
	if err != nil {
		return nil, err
	}
	return note.NewVerifier(vkey)
}

func (p PublicKey) verify(message, signature []byte) bool {
	return len(p.public) == ed25519.PublicKeySize && len(signature) == ed25519.SignatureSize && ed25519.Verify(p.public, message, signature)
}

var errNoPublicKey = errors.New("no Ed25519 public key: give one in PEM, or a line such as that of a .pub file of OpenSSH")

// ParsePublicKey reads an Ed25519 public key: SubjectPublicKeyInfo in PEM, a
// certificate's included, or a line as OpenSSH writes it.
func ParsePublicKey(data []byte) (PublicKey, error) {
	if block, _ := pem.Decode(data); block != nil {
		var parsed any
		var err error
		if block.Type == "CERTIFICATE" {
			var cert *x509.Certificate
			if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
				parsed = cert.PublicKey
			}
		} else {
			parsed, err = x509.ParsePKIXPublicKey(block.Bytes)
		}
		public, ok := parsed.(ed25519.PublicKey)
		if err != nil || !ok {
			return PublicKey{}, errNoPublicKey
		}
		return PublicKey{public}, nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return PublicKey{}, errNoPublicKey
	}
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return PublicKey{}, errNoPublicKey
	}
	public, ok := crypto.CryptoPublicKey().(ed25519.PublicKey)
	if !ok {
		return PublicKey{}, errNoPublicKey
	}
	return PublicKey{public}, nil
}

// CheckFingerprint reports what is wrong with a fingerprint as a person typed
// it, and returns it as [PublicKey.Fingerprint] writes it.
func CheckFingerprint(text string) (string, error) {
	body, ok := strings.CutPrefix(strings.TrimSpace(text), "SHA256:")
	sum, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(body, "="))
	if !ok || err != nil || len(sum) != sha256.Size {
		return "", fmt.Errorf("%q is no fingerprint: write SHA256: and 43 characters, as mailproof key show and ssh-keygen -lf print it", text)
	}
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum), nil
}
