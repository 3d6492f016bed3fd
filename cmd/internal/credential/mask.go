package credential

import (
	"encoding/base64"
	"strings"

	"github.com/mailproof/mailproof"
)

// handedOut notes a secret, so that [Resolver.Mask] knows it.
func (v *Resolver) handedOut(s mailproof.Secret) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if value := s.Reveal(); value != "" {
		v.secrets[value] = true
	}
}

// Mask takes every secret that was resolved so far, and its base64, out of a
// text that is not ours to word, such as that of a panic. It is for such a last
// resort only: what we word ourselves holds none. A nil Resolver changes
// nothing.
func (v *Resolver) Mask(text string) string {
	if v == nil {
		return text
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for s := range v.secrets {
		for _, form := range []string{s, base64.StdEncoding.EncodeToString([]byte(s))} {
			text = strings.ReplaceAll(text, form, mailproof.SecretMask)
		}
	}
	return text
}
