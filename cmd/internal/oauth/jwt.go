package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Algorithms of RFC 7518 §3.1.
const (
	algRS256 = "RS256"
	algPS256 = "PS256"
	algES256 = "ES256"
)

// signJWT writes a signed JSON Web Token (RFC 7519, RFC 7515 §7.1).
func signJWT(alg string, header, claims map[string]any, key crypto.Signer) (string, error) {
	header["alg"], header["typ"] = alg, "JWT"
	var parts [2]string
	for i, part := range []map[string]any{header, claims} {
		raw, err := json.Marshal(part)
		if err != nil {
			return "", err
		}
		parts[i] = base64.RawURLEncoding.EncodeToString(raw)
	}
	input := parts[0] + "." + parts[1]
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if alg == algPS256 {
			signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		}
	case *ecdsa.PrivateKey:
		r, s, serr := ecdsa.Sign(rand.Reader, key, digest[:])
		if err = serr; err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	default:
		err = errors.New("neither an RSA key nor one of the curve P-256")
	}
	if err != nil {
		return "", err
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// algorithm is what a key signs with.
func algorithm(key crypto.Signer, rsaAlg string) string {
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		return algES256
	}
	return rsaAlg
}

// parseKey reads a private key from PEM, and the first certificate where there
// is one. Neither error repeats what stands there.
func parseKey(text string) (key crypto.Signer, cert *x509.Certificate, err error) {
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch block.Type {
		case "CERTIFICATE":
			if cert == nil {
				if cert, err = x509.ParseCertificate(block.Bytes); err != nil {
					return nil, nil, errors.New("the certificate cannot be read")
				}
			}
		case "ENCRYPTED PRIVATE KEY":
			return nil, nil, errors.New("the private key is encrypted with a passphrase: keep it in an age file instead, as age:FILE")
		case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
			if key, err = parsePrivateKey(block.Bytes); err != nil {
				return nil, nil, err
			}
		}
	}
	if key == nil {
		return nil, nil, errors.New("there is no private key in PEM form")
	}
	if ec, ok := key.(*ecdsa.PrivateKey); ok && ec.Curve.Params().BitSize != 256 {
		return nil, nil, errors.New("the private key is of another curve than P-256")
	}
	return key, cert, nil
}

func parsePrivateKey(der []byte) (crypto.Signer, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errors.New("the private key cannot be read")
}

// Claims are what an access token says of itself, where it is a JWT that can be
// read: servers need not give such (RFC 9068 §6). They are unverified, and good
// for explaining a refusal only.
type Claims struct {
	Audience []string
	Scopes   []string // or application roles
	User     string
	Expiry   time.Time
}

// ReadClaims reads the claims of an access token. ok is false where it is none
// that can be read.
func ReadClaims(token string) (c Claims, ok bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 || len(token) > 64<<10 {
		return c, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return c, false
	}
	var claims struct {
		Audience any      `json:"aud"`
		Scope    string   `json:"scope"`
		Scp      any      `json:"scp"`
		Roles    []string `json:"roles"`
		UPN      string   `json:"upn"`
		Name     string   `json:"preferred_username"`
		Email    string   `json:"email"`
		Expiry   float64  `json:"exp"`
	}
	if json.Unmarshal(raw, &claims) != nil {
		return c, false
	}
	c.Audience = stringsOf(claims.Audience)
	c.Scopes = append(append(strings.Fields(claims.Scope), stringsOf(claims.Scp)...), claims.Roles...)
	for _, user := range []string{claims.UPN, claims.Name, claims.Email} {
		if c.User == "" {
			c.User = user
		}
	}
	if claims.Expiry > 0 && claims.Expiry < 1<<40 {
		c.Expiry = time.Unix(int64(claims.Expiry), 0)
	}
	return c, true
}

// stringsOf reads a claim that is one string, of words perhaps, or a list.
func stringsOf(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// serviceKey is the key file of a Google service account.
type serviceKey struct {
	Type     string `json:"type"`
	Email    string `json:"client_email"`
	KeyID    string `json:"private_key_id"`
	Key      string `json:"private_key"`
	TokenURL string `json:"token_uri"`
	signer   crypto.Signer
}

func parseServiceKey(text string) (serviceKey, error) {
	var k serviceKey
	if json.Unmarshal([]byte(text), &k) != nil {
		return k, errors.New("the key of the service account is no JSON")
	}
	if k.Type != "" && k.Type != "service_account" {
		return k, fmt.Errorf("the key file is one of the type %q: make a key for a service account, as JSON", printable(k.Type, nil))
	}
	if k.Email == "" || k.Key == "" {
		return k, errors.New("the key of the service account has no client_email or no private_key")
	}
	var err error
	if k.signer, _, err = parseKey(k.Key); err != nil {
		return k, fmt.Errorf("the key of the service account: %w", err)
	}
	return k, nil
}
