package imapconn

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// steadyTokens has one token.
type steadyTokens struct{ token string }

func (s steadyTokens) Token(context.Context, mailproof.Secret) (mailproof.Secret, error) {
	return mailproof.NewSecret(s.token), nil
}

var runs64 = regexp.MustCompile(`[A-Za-z0-9+/]{8,}`)

// pieceOf returns a piece of the secret that stands in a text, or in what base64 of it
// says.
func pieceOf(text, secret string) string {
	texts := []string{text}
	for _, run := range runs64.FindAllString(text, -1) {
		for skip := range 4 {
			run := run[skip:]
			raw, err := base64.RawStdEncoding.DecodeString(run[:len(run)&^3])
			if err == nil {
				texts = append(texts, string(raw))
			}
		}
	}
	n := min(len(secret), 8)
	for at := 0; at+n <= len(secret); at++ {
		for _, t := range texts {
			if strings.Contains(t, secret[at:at+n]) {
				return secret[at : at+n]
			}
		}
	}
	return ""
}

// Whatever a server repeats of what it was told, and wherever the text is cut off:
// no piece of the secret is in an error or in the log.
func TestNothingOfASecretIsTold(t *testing.T) {
	long := strings.Repeat("eyJhbGciOi.JSUzI1-NiIsInR5_cCI6", 60)
	for name, secret := range map[string]string{"password": `pass"wo\rd`, "token": long, "short": "s3cret", "foreign": "Zürich-пароль"} {
		for mechanism, oauth := range map[string]bool{"XOAUTH2": true, "OAUTHBEARER": true, "PLAIN": false, "": false} {
			for where, answer := range map[string]string{
				"refusal": "%[1]s NO you said %[2]s", "at the end": "%[1]s NO " + strings.Repeat("x", 430) + " %[2]s", "junk": "%[2]s", "more junk": "what is this: %[2]s",
				"bye": "* BYE %[2]s\r\n!", "code": "%[1]s NO [%[2]s] no", "referral": "%[1]s NO [REFERRAL imap://%[2]s] no", "challenge": "+ %[3]s",
			} {
				t.Run(strings.Join([]string{name, mechanism, where}, " "), func(t *testing.T) {
					f := newFake(t, func(c *fakeConn) {
						c.line("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=%s] hi", mechanism)
						for {
							line, ok := c.readLine()
							if !ok {
								return
							}
							tag, said, _ := strings.Cut(line, " ")
							token := said
							if i := strings.LastIndexByte(said, ' '); i >= 0 {
								token = said[i+1:]
							}
							raw, _ := base64.StdEncoding.DecodeString(token)
							text, hangUp := strings.CutSuffix(fmt.Sprintf(answer, tag, said, base64.StdEncoding.EncodeToString(append([]byte("what is "), raw...))), "!")
							c.line("%s", text)
							if hangUp {
								return
							}
							c.line("%s NO no", tag)
						}
					})
					config := f.config()
					config.Endpoint.Auth = mechanism
					config.Password = mailproof.NewSecret(secret)
					if oauth {
						config.Tokens = steadyTokens{secret}
					}
					var log bytes.Buffer
					config.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
					_, err := DialReader(t.Context(), config)
					if err == nil {
						t.Fatal("signed in")
					}
					for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), log.String()} {
						if piece := pieceOf(text, secret); piece != "" {
							t.Fatalf("%q is told: %s", piece, text)
						}
					}
				})
			}
		}
	}
}
