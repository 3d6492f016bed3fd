package evidence

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // the default PRF of PBKDF2 (RFC 8018 §5.2), for keys of others
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"hash"
)

// PBES2 (RFC 8018 §6.2) as openssl writes it: PBKDF2 with an HMAC and AES in
// CBC mode.
var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}

	aesKeySizes = map[string]int{"2.16.840.1.101.3.4.1.2": 16, "2.16.840.1.101.3.4.1.22": 24, "2.16.840.1.101.3.4.1.42": 32}
	prfs        = map[string]func() hash.Hash{
		"1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.9": sha256.New, "1.2.840.113549.2.10": sha512.New384, "1.2.840.113549.2.11": sha512.New,
	}
)

// maxIterations bounds the work that a key file can ask for.
const maxIterations = 10_000_000

var errEncryption = errors.New("the key is encrypted in a way that mailproof does not read: write it anew with `openssl pkcs8 -topk8 -v2 aes-256-cbc`, or as an OpenSSH key")

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2Params struct{ KDF, Encryption pkix.AlgorithmIdentifier }

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// decryptPKCS8 opens an EncryptedPrivateKeyInfo (RFC 5958 §3).
func decryptPKCS8(der []byte, passphrase string) ([]byte, error) {
	var outer encryptedKey
	var scheme pbes2Params
	var kdf pbkdf2Params
	var iv []byte
	if !unmarshalAll(der, &outer) || !outer.Algorithm.Algorithm.Equal(oidPBES2) ||
		!unmarshalAll(outer.Algorithm.Parameters.FullBytes, &scheme) || !scheme.KDF.Algorithm.Equal(oidPBKDF2) ||
		!unmarshalAll(scheme.KDF.Parameters.FullBytes, &kdf) || !unmarshalAll(scheme.Encryption.Parameters.FullBytes, &iv) {
		return nil, errEncryption
	}
	prf := prfs["1.2.840.113549.2.7"] // where none is named
	if len(kdf.PRF.Algorithm) > 0 {
		prf = prfs[kdf.PRF.Algorithm.String()]
	}
	size := aesKeySizes[scheme.Encryption.Algorithm.String()]
	if prf == nil || size == 0 || len(iv) != aes.BlockSize || kdf.Iterations < 1 || kdf.Iterations > maxIterations ||
		kdf.KeyLength != 0 && kdf.KeyLength != size || len(outer.Data) == 0 || len(outer.Data)%aes.BlockSize != 0 {
		return nil, errEncryption
	}
	key, err := pbkdf2.Key(prf, passphrase, kdf.Salt, kdf.Iterations, size)
	if err != nil {
		return nil, errEncryption
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, errEncryption
	}
	plain := make([]byte, len(outer.Data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, outer.Data)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, ErrPassphrase
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, ErrPassphrase
		}
	}
	return plain[:len(plain)-pad], nil
}

func unmarshalAll(der []byte, into any) bool {
	rest, err := asn1.Unmarshal(der, into)
	return err == nil && len(rest) == 0
}
