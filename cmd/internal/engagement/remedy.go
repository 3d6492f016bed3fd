package engagement

import (
	"errors"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/provider"
)

// explain says what an error of signing in or reading means and what to do. What
// the room that failed says itself, as that of OAuth does, goes first; then what
// is known of the provider; then what the mechanism suggests, where the server
// said no more than no.
func explain(err error, p *provider.Provider) (provider.Advice, bool) {
	if hints := terminal.Hints(err); len(hints) > 0 {
		return provider.Advice{ID: "credentials", Next: strings.Join(hints, "; ")}, true
	}
	advice, known := provider.ExplainError(err, p)
	if known && !bare(advice, err) {
		return advice, true
	}
	if own, ok := byMechanism(err); ok {
		own.Words = advice.Words
		return own, true
	}
	return advice, known
}

// bare reports whether advice is what goes for every refused sign-in.
func bare(advice provider.Advice, err error) bool {
	const refused = "sign-in.refused"
	if advice.ID != refused {
		return false
	}
	general, ok := provider.Explain(advice.Words, mailproof.KindOf(err), nil)
	return ok && general.ID == refused && general.Means == advice.Means
}

// byMechanism is what the mechanism that was refused suggests.
func byMechanism(err error) (provider.Advice, bool) {
	if mailproof.KindOf(err) != mailproof.ErrAuth {
		return provider.Advice{}, false
	}
	text := strings.ToLower(err.Error())
	mechanism := ""
	var refused *imapconn.SignInError
	if errors.As(err, &refused) {
		mechanism = refused.Mechanism
	}
	switch {
	case strings.Contains(text, "(auth=)"):
		return provider.Advice{ID: "sign-in.mechanism", Means: "the server does not offer the mechanism that auth= asks for",
			Next: "leave out auth=, or name one that the server offers"}, true
	case strings.Contains(text, "needs auth=plain or scram"):
		return provider.Advice{ID: "sign-in.mechanism", Means: "no mechanism of the server lets one sign in for another",
			Next: "sign in by a login name such as anna*admin, with admin_separator=*, if the server knows that"}, true
	case mechanism == "XOAUTH2" || mechanism == "OAUTHBEARER":
		return provider.Advice{ID: "sign-in.token", Means: "the server does not take the access token",
			Next: "check that it has not expired, that its scope and audience are those for IMAP, that the user name is the mailbox's primary address, and that IMAP is on for the mailbox"}, true
	case mechanism == "EXTERNAL":
		return provider.Advice{ID: "sign-in.certificate", Means: "the server does not take the client certificate for this user",
			Next: "check that the server trusts who issued it, and which name in it the server takes for the user's"}, true
	case strings.HasPrefix(mechanism, "SCRAM"):
		return provider.Advice{ID: "sign-in.refused", Means: "the user name or the password is wrong, or there is no such mailbox",
			Next: "check both with webmail; where they are right, auth=PLAIN passes by what the server keeps for " + mechanism + "; on the destination, check that the mailbox was created"}, true
	}
	return provider.Advice{}, false
}

// inWords is advice in one line.
func inWords(a provider.Advice) string {
	switch remedy := a.Remedy(); {
	case a.Means == "":
		return remedy
	case remedy == "":
		return a.Means
	default:
		return a.Means + ": " + remedy
	}
}
