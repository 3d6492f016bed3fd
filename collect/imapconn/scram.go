package imapconn

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"
)

// scramKind is a SCRAM mechanism without its channel binding (RFC 5802, RFC
// 7677).
type scramKind struct {
	name string
	hash func() hash.Hash
}

var (
	scramSHA1   = scramKind{"SCRAM-SHA-1", sha1.New}
	scramSHA256 = scramKind{"SCRAM-SHA-256", sha256.New}
)

// Iteration counts: below the least, a listener or a false server could try
// passwords at leisure (RFC 7677 §4), which matters where there is no TLS;
// above the most, a server could keep us busy for good.
const (
	leastIterations = 4096
	mostIterations  = 5_000_000
)

// plain is the mechanism without channel binding. That the client would have
// known how is part of what both sides sign, so that an offer of the -PLUS
// mechanism cannot be taken out on the way without either noticing (§6).
func (k scramKind) plain(l login) sasl.Client {
	flag := "n"
	if l.tls != nil && !l.caps.has("AUTH="+k.name+"-PLUS") {
		flag = "y"
	}
	return k.client(k.name, flag, nil, l)
}

// plus is the mechanism with channel binding; nil where this connection has
// nothing to bind to.
func (k scramKind) plus(l login) sasl.Client {
	name, data := channelBinding(l.tls)
	if data == nil {
		return nil
	}
	return k.client(k.name+"-PLUS", "p="+name, data, l)
}

func (k scramKind) client(name, flag string, binding []byte, l login) *scram {
	s := &scram{kind: k, name: name, binding: binding, password: l.secret, trusting: l.tls != nil, nonce: rand.Text()}
	s.gs2 = flag + ","
	if l.authz != "" {
		s.gs2 += "a=" + escapeName(l.authz)
	}
	s.gs2 += ","
	s.user = l.user
	return s
}

// channelBinding returns what this end knows of the TLS connection that no
// other connection shares: the exporter (RFC 9266), or before TLS 1.3 the
// first Finished message (RFC 5929 §3), or where that is not to be had the
// server's certificate (§4).
func channelBinding(state *tls.ConnectionState) (name string, data []byte) {
	switch {
	case state == nil:
		return "", nil
	case state.Version >= tls.VersionTLS13:
		if data, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32); err == nil {
			return "tls-exporter", data
		}
	case len(state.TLSUnique) > 0:
		return "tls-unique", state.TLSUnique
	}
	if len(state.PeerCertificates) == 0 {
		return "", nil
	}
	return "tls-server-end-point", endPoint(state.PeerCertificates[0])
}

// endPoint is the digest of a certificate by the hash of its own signature, or
// by SHA-256 where that is MD5 or SHA-1; nil where the signature has no single
// hash (RFC 5929 §4.1).
func endPoint(cert *x509.Certificate) []byte {
	var h hash.Hash
	switch cert.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.SHA256WithRSA, x509.ECDSAWithSHA256, x509.SHA256WithRSAPSS:
		h = sha256.New()
	case x509.SHA384WithRSA, x509.ECDSAWithSHA384, x509.SHA384WithRSAPSS:
		h = sha512.New384()
	case x509.SHA512WithRSA, x509.ECDSAWithSHA512, x509.SHA512WithRSAPSS:
		h = sha512.New()
	default:
		return nil
	}
	h.Write(cert.Raw)
	return h.Sum(nil)
}

// scram is one SCRAM exchange (RFC 5802 §3, §5, §7).
type scram struct {
	kind     scramKind
	name     string
	gs2      string // GS2 header
	binding  []byte // channel binding data
	user     string
	password string
	nonce    string // the client's
	trusting bool   // TLS hides the exchange

	step      int
	bare      string // client-first-message-bare
	signature []byte // what the server has to answer with
	verified  bool
	reason    string // the server's e=
}

// tested holds from the client-final-message on.
func (s *scram) tested() bool { return s.step > 0 }
func (s *scram) said() string { return s.reason }

// satisfied says whether the server has proven that it knows the password. One
// that says OK without doing so does not.
func (s *scram) satisfied() error {
	if !s.verified {
		return errDistrust
	}
	return nil
}

// Start writes the client-first-message.
func (s *scram) Start() (mech string, initial []byte, err error) {
	s.bare = "n=" + escapeName(s.user) + ",r=" + s.nonce
	return s.name, []byte(s.gs2 + s.bare), nil
}

func (s *scram) Next(challenge []byte) ([]byte, error) {
	s.step++
	attributes, err := scramAttributes(string(challenge))
	if err != nil {
		return nil, err
	}
	if attributes[0].name == 'e' {
		s.reason = "SCRAM: " + attributes[0].value
		s.step-- // no proof is sent in answer
		return nil, errors.New(s.reason)
	}
	switch s.step {
	case 1:
		final, err := s.answer(string(challenge), attributes)
		if err != nil {
			s.step = 0
		}
		return final, err
	case 2:
		return s.verify(attributes)
	}
	return nil, sasl.ErrUnexpectedServerChallenge
}

// answer reads the server-first-message and writes the client-final-message.
func (s *scram) answer(first string, attributes []scramAttribute) ([]byte, error) {
	// The order is fixed, and an m= is an extension that must be understood (§5.1).
	if len(attributes) < 3 || attributes[0].name != 'r' || attributes[1].name != 's' || attributes[2].name != 'i' {
		return nil, errors.New("SCRAM: the server's first message has not r, s and i in this order")
	}
	nonce := attributes[0].value
	if !strings.HasPrefix(nonce, s.nonce) || len(nonce) == len(s.nonce) {
		return nil, fmt.Errorf("%w (SCRAM: the nonce is not ours)", errDistrust)
	}
	salt, err := base64.StdEncoding.DecodeString(attributes[1].value)
	if err != nil || len(salt) == 0 {
		return nil, errors.New("SCRAM: the salt is not base64")
	}
	iterations, err := strconv.Atoi(attributes[2].value)
	switch {
	case err != nil || iterations < 1:
		return nil, errors.New("SCRAM: the iteration count is no number")
	case iterations > mostIterations:
		return nil, fmt.Errorf("SCRAM: an iteration count of %d, more than %d", iterations, mostIterations)
	case iterations < leastIterations && !s.trusting:
		return nil, fmt.Errorf("SCRAM: an iteration count of %d without TLS gives the password away; at least %d are needed", iterations, leastIterations)
	}
	// A password that SASLprep refuses is sent as it is: servers that keep
	// such passwords do not prepare them (RFC 4013).
	password, err := saslPrep(s.password)
	if err != nil {
		password = s.password
	}
	salted, err := pbkdf2.Key(s.kind.hash, password, salt, iterations, s.kind.hash().Size())
	if err != nil {
		return nil, fmt.Errorf("SCRAM: %w", err)
	}
	defer clear(salted)
	withoutProof := "c=" + base64.StdEncoding.EncodeToString(append([]byte(s.gs2), s.binding...)) + ",r=" + nonce
	message := s.bare + "," + first + "," + withoutProof
	clientKey := s.mac(salted, "Client Key")
	defer clear(clientKey)
	stored := s.kind.hash()
	stored.Write(clientKey)
	proof := s.mac(stored.Sum(nil), message)
	subtle.XORBytes(proof, proof, clientKey)
	s.signature = s.mac(s.mac(salted, "Server Key"), message)
	return []byte(withoutProof + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// verify reads the server-final-message: the server's own proof.
func (s *scram) verify(attributes []scramAttribute) ([]byte, error) {
	if attributes[0].name != 'v' {
		return nil, errDistrust
	}
	got, err := base64.StdEncoding.DecodeString(attributes[0].value)
	if err != nil || !hmac.Equal(got, s.signature) {
		return nil, errDistrust
	}
	s.verified = true
	return []byte{}, nil
}

func (s *scram) mac(key []byte, message string) []byte {
	h := hmac.New(s.kind.hash, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

type scramAttribute struct {
	name  byte
	value string
}

// scramAttributes parts a server message (§7).
func scramAttributes(message string) ([]scramAttribute, error) {
	var out []scramAttribute
	for field := range strings.SplitSeq(message, ",") {
		letter := len(field) > 0 && (field[0] >= 'a' && field[0] <= 'z' || field[0] >= 'A' && field[0] <= 'Z')
		if len(field) < 2 || !letter || field[1] != '=' {
			return nil, errors.New("SCRAM: the server's message is malformed")
		}
		out = append(out, scramAttribute{field[0], field[2:]})
	}
	return out, nil
}

// escapeName writes a saslname (RFC 5802 §5.1).
func escapeName(name string) string {
	return strings.NewReplacer("=", "=3D", ",", "=2C").Replace(name)
}
