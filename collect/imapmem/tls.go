package imapmem

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// certificate is a server certificate for localhost and the authority that
// issued it, made when one of them is first asked for.
type certificate struct {
	once  sync.Once
	err   error
	caPEM []byte
	tls   tls.Config
}

func (c *certificate) ca() ([]byte, error) {
	c.once.Do(c.make)
	return c.caPEM, c.err
}

func (c *certificate) config() (*tls.Config, error) {
	c.once.Do(c.make)
	return c.tls.Clone(), c.err
}

func (c *certificate) make() {
	if err := c.issue(time.Now()); err != nil {
		c.err = fmt.Errorf("imapmem: certificate: %w", err)
	}
}

func (c *certificate) issue(now time.Time) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "imapmem test authority"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return err
	}
	c.caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
	c.tls.MinVersion = tls.VersionTLS12
	c.tls.Certificates = []tls.Certificate{{Certificate: [][]byte{der, caDER}, PrivateKey: key}}
	return nil
}
