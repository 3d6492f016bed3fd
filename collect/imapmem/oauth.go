package imapmem

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ByeError, returned by OnCommand, refuses the command with Reply and then ends
// the connection with BYE, as Exchange Online does with a client that asks too
// much: "Request is throttled. Suggested Backoff Time: 200 milliseconds".
type ByeError struct {
	Reply string // after BAD
	Bye   string // after BYE; empty: "Connection closed. 14"
}

// Error returns the reply.
func (e *ByeError) Error() string { return e.Reply }

// farewell is what BYE says for an error of a hook; empty where it is no
// farewell.
func farewell(err error) string {
	var bye *ByeError
	switch {
	case !errors.As(err, &bye):
		return ""
	case bye.Bye == "":
		return "Connection closed. 14"
	}
	return bye.Bye
}

// tokenSignIn is AUTHENTICATE with XOAUTH2 (Google, Microsoft) or OAUTHBEARER
// (RFC 7628). A token that is refused is answered with a challenge that says
// why, and then with NO.
func (c *conn) tokenSignIn(mechanism, initial string) *status {
	if initial == "" {
		line, err := c.challenge()
		if err != nil {
			c.cut = true
			return bad("cut")
		}
		initial = line
	}
	octets, err := base64.StdEncoding.DecodeString(initial)
	if err != nil {
		return bad("invalid SASL response")
	}
	user, token := bearer(mechanism, string(octets))
	if user == "" || token == "" {
		return bad("invalid SASL response")
	}
	account := c.server.Account(user)
	err = errors.New("no such mailbox")
	if account != nil {
		err = c.server.opts.Tokens(user, token)
	}
	if err == nil {
		return c.admitAccount(account)
	}
	refusal := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"status":"401","schemes":"bearer","scope":"%s"}`, err))
	if _, err := c.w.WriteString("+ " + refusal + "\r\n"); err != nil || c.w.Flush() != nil {
		c.cut = true
		return bad("cut")
	}
	if _, err := readLine(c.r); err != nil {
		c.cut = true
		return bad("cut")
	}
	return no("AUTHENTICATE failed.")
}

// bearer takes user and token out of an initial response.
func bearer(mechanism, text string) (user, token string) {
	for part := range strings.SplitSeq(text, "\x01") {
		if mechanism == "OAUTHBEARER" && strings.HasPrefix(part, "n,a=") {
			user = strings.TrimSuffix(strings.TrimPrefix(part, "n,a="), ",")
		}
		if u, ok := strings.CutPrefix(part, "user="); ok && mechanism == "XOAUTH2" {
			user = u
		}
		if t, ok := strings.CutPrefix(part, "auth=Bearer "); ok {
			token = t
		}
	}
	return user, token
}
