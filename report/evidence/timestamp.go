package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // ESSCertID of RFC 2634 names a certificate by SHA-1
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/smallstep/pkcs7"
)

// TimestampOptions says where a timestamp comes from (RFC 3161).
type TimestampOptions struct {
	// URL is that of the authority. It is sent the SHA-256 of the tag manifest
	// and nothing else.
	URL string
	// Roots are the certificates that the authority's must lead to. Nil: the
	// reply is taken unchecked, but for its being about this bundle.
	Roots *x509.CertPool
	// Client makes the request; nil means one with a timeout of 30 s.
	Client *http.Client
}

const (
	tsaTimeout = 30 * time.Second
	maxReply   = 1 << 20 // octets
)

type stamped struct {
	query, reply []byte
	time         time.Time
}

// requestTimestamp asks the authority, and checks what it answers as verify
// does.
func requestTimestamp(ctx context.Context, o *TimestampOptions, sum [sha256.Size]byte) (s stamped, err error) {
	switch u, err := url.Parse(o.URL); {
	case err == nil && u.User != nil:
		return s, errors.New("timestamp: the address of the authority holds a user name or a password, and would stand in the bundle: write https://HOST/PATH")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return s, fmt.Errorf("timestamp: %q is no address of a timestamp authority: write https://HOST/PATH", cutText(o.URL))
	}
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return s, fmt.Errorf("timestamp: %w", err)
	}
	nonce[0] |= 0x40 // always of one length
	if s.query, err = timestampQuery(sum, new(big.Int).SetBytes(nonce)); err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, tsaTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL, bytes.NewReader(s.query))
	if err != nil {
		return s, fmt.Errorf("timestamp: %w", err)
	}
	req.Header.Set("Content-Type", "application/timestamp-query")
	req.Header.Set("Accept", "application/timestamp-reply")
	client := o.Client
	if client == nil {
		client = &http.Client{Timeout: tsaTimeout}
	}
	resp, err := client.Do(req)
	if err != nil {
		return s, fmt.Errorf("timestamp: %w", err)
	}
	s.reply, err = io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return s, fmt.Errorf("timestamp: %s: %w", o.URL, err)
	}
	if resp.StatusCode != http.StatusOK || len(s.reply) > maxReply {
		return s, fmt.Errorf("timestamp: %s answered %s", o.URL, resp.Status)
	}
	if s.time, err = checkTimestamp(s.query, s.reply, sum, o.Roots); err != nil {
		return s, fmt.Errorf("timestamp: %s: %w", o.URL, err)
	}
	return s, nil
}

// timestampQuery is the one form of query that is sent.
func timestampQuery(sum [sha256.Size]byte, nonce *big.Int) ([]byte, error) {
	req := timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: sum[:], Certificates: true, Nonce: nonce}
	der, err := req.Marshal()
	if err != nil {
		return nil, fmt.Errorf("timestamp: %w", err)
	}
	return der, nil
}

// errQuery and errNonce say that the query does not fit, and not the reply.
var (
	errQuery = errors.New("is no query about this bundle")
	errNonce = errors.New("query and reply do not have the same nonce")
)

// checkTimestamp checks that a reply answers a query about a hash, and that a
// timestamp authority signed it. With roots, the authority's certificate must
// lead to one of them at the time it states; without, whose it is is not known.
func checkTimestamp(query, reply []byte, sum [sha256.Size]byte, roots *x509.CertPool) (at time.Time, err error) {
	// The parsers below are not ours and take octets of strangers.
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the timestamp cannot be read")
		}
	}()
	req, err := timestamp.ParseRequest(query)
	if err != nil || req.Nonce == nil {
		return at, errQuery
	}
	again, err := timestampQuery(sum, req.Nonce)
	if err != nil {
		return at, err
	}
	if !bytes.Equal(again, query) {
		return at, errQuery
	}
	ts, err := timestamp.ParseResponse(reply)
	if err != nil {
		return at, fmt.Errorf("the reply cannot be read, or refuses: %w", err)
	}
	switch {
	case ts.HashAlgorithm != crypto.SHA256 || !bytes.Equal(ts.HashedMessage, sum[:]):
		return at, errors.New("the reply is about another hash")
	case ts.Nonce == nil || ts.Nonce.Cmp(req.Nonce) != 0:
		return at, errNonce
	}
	return ts.Time, checkToken(ts.RawToken, ts.Time, roots)
}

// checkToken verifies the signature of a time stamp token, and whose it is.
func checkToken(token []byte, at time.Time, roots *x509.CertPool) error {
	p7, err := pkcs7.Parse(token)
	if err != nil {
		return fmt.Errorf("the token cannot be read: %w", err)
	}
	signer := p7.GetOnlySigner()
	if signer == nil {
		return errors.New("the token holds no certificate of its signer, or has several signers")
	}
	if err := p7.Verify(); err != nil {
		return fmt.Errorf("the signature of the token does not verify: %w", err)
	}
	if err := checkSigningCertificate(p7, signer); err != nil {
		return err
	}
	if roots == nil {
		return nil
	}
	chain := x509.NewCertPool()
	for _, c := range p7.Certificates {
		chain.AddCert(c)
	}
	_, err = signer.Verify(x509.VerifyOptions{Roots: roots, Intermediates: chain, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}})
	if err != nil {
		return fmt.Errorf("the authority's certificate does not lead to the given one: %w", err)
	}
	return nil
}

var (
	oidSigningCertificate   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
)

// checkSigningCertificate checks that the token names its signer's certificate
// among what is signed (RFC 3161 §2.4.2, RFC 5816): else another certificate of
// the same key could be put in its place.
func checkSigningCertificate(p7 *pkcs7.PKCS7, signer *x509.Certificate) error {
	var v2 struct {
		Certs    []asn1.RawValue
		Policies asn1.RawValue `asn1:"optional"`
	}
	named := p7.UnmarshalSignedAttribute(oidSigningCertificateV2, &v2) == nil
	if !named && p7.UnmarshalSignedAttribute(oidSigningCertificate, &v2) != nil || len(v2.Certs) == 0 {
		return errors.New("the token does not name the certificate of its signer")
	}
	sums := map[int][]byte{}
	s1, s256, s384, s512 := sha1.Sum(signer.Raw), sha256.Sum256(signer.Raw), sha512.Sum384(signer.Raw), sha512.Sum512(signer.Raw)
	sums[len(s1)], sums[len(s256)], sums[len(s384)], sums[len(s512)] = s1[:], s256[:], s384[:], s512[:]
	// ESSCertID and ESSCertIDv2 differ in an algorithm before the hash, which
	// the length of the hash tells as well.
	rest := v2.Certs[0].Bytes
	for len(rest) > 0 {
		var part asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &part); err != nil {
			break
		}
		if part.Tag == asn1.TagOctetString && part.Class == asn1.ClassUniversal {
			if want := sums[len(part.Bytes)]; want != nil && bytes.Equal(want, part.Bytes) {
				return nil
			}
			break
		}
	}
	return errors.New("the token names another certificate than that of its signer")
}
