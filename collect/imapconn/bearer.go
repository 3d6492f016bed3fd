package imapconn

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"
)

// bearer is a mechanism that hands over an OAuth 2 access token: OAUTHBEARER
// (RFC 7628) or its forerunner XOAUTH2. A server that will not have the token
// says why in a challenge, which must be answered before it refuses.
type bearer struct {
	mechanism string
	first     string
	farewell  string // answers the challenge
	reasons   string
	masker    masker
}

// newOAuthBearer writes the client response of RFC 7628 §3.1. As the GS2 header
// carries the identity, a comma or = within is escaped (RFC 5801 §4).
func newOAuthBearer(l login) sasl.Client {
	user := l.user
	if l.authz != "" {
		user = l.authz
	}
	return &bearer{mechanism: "OAUTHBEARER", farewell: "\x01", masker: newMasker(l.secret),
		first: fmt.Sprintf("n,a=%s,\x01host=%s\x01port=%d\x01auth=Bearer %s\x01\x01", escapeName(user), l.host, l.port, l.secret)}
}

// newXOAuth2 writes the client response as Google and Microsoft describe it.
func newXOAuth2(l login) sasl.Client {
	return &bearer{mechanism: "XOAUTH2", masker: newMasker(l.secret), first: fmt.Sprintf("user=%s\x01auth=Bearer %s\x01\x01", l.user, l.secret)}
}

func (b *bearer) Start() (mech string, initial []byte, err error) {
	return b.mechanism, []byte(b.first), nil
}

func (b *bearer) Next(challenge []byte) ([]byte, error) {
	if b.reasons != "" {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	b.reasons = bearerReasons([]byte(b.masker.mask(string(challenge))))
	return []byte(b.farewell), nil
}

// tested is true from the first octet on: what was sent is the token itself.
func (b *bearer) tested() bool     { return true }
func (b *bearer) said() string     { return b.reasons }
func (b *bearer) satisfied() error { return nil }

// maxReasons bounds what an error repeats of a challenge.
const maxReasons = 400

// bearerReasons puts the JSON of RFC 7628 §3.2.2 into words. What is no such
// JSON is kept as it came: it is the only thing that the server said.
func bearerReasons(challenge []byte) string {
	var said struct {
		Status  any    `json:"status"` // a string, and with some a number
		Schemes string `json:"schemes"`
		Scope   string `json:"scope"`
		Error   string `json:"error"`
		Detail  string `json:"error_description"`
		Config  string `json:"openid-configuration"`
	}
	if err := json.Unmarshal(challenge, &said); err != nil {
		if len(challenge) > maxReasons {
			challenge = challenge[:maxReasons]
		}
		return fmt.Sprintf("challenge %q", challenge)
	}
	var parts []string
	add := func(name, value string) {
		if value = strings.TrimSpace(value); value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	switch status := said.Status.(type) {
	case string:
		add("status", status)
	case float64:
		add("status", fmt.Sprintf("%.0f", status))
	}
	add("error", said.Error)
	add("", said.Detail)
	add("schemes", said.Schemes)
	add("scope", said.Scope)
	add("openid-configuration", said.Config)
	if len(parts) == 0 {
		return "challenge without a reason"
	}
	text := strings.Join(parts, ", ")
	if len(text) > maxReasons {
		text = text[:maxReasons]
	}
	return text
}
