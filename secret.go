package mailproof

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a password or token in memory. Every way of printing, logging or
// encoding it yields a mask, so that a secret cannot reach a ledger, a log, a
// report or an error text by accident; [Secret.Reveal] is the one way out and
// is called only where the octets go to the server.
type Secret struct{ value string }

// SecretMask is what a [Secret] prints as.
const SecretMask = "••••••"

// NewSecret wraps a password or token.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the secret itself. Pass it to the server and nowhere else.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether no secret was given. An empty password counts as none.
func (s Secret) IsZero() bool { return s.value == "" }

// String returns [SecretMask], or the empty string where there is no secret.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return SecretMask
}

// Format masks the secret under every verb, %d and %x included, which would
// otherwise reach into the struct.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText keeps encoding/json and friends from writing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue keeps log/slog from writing the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
