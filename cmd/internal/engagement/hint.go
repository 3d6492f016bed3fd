package engagement

import (
	"errors"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/collect/provider"
	"github.com/mailproof/mailproof/diff"
)

// Hint says what to do next about an error, in words for the person at the
// terminal; empty where there is nothing to say beyond the error itself.
func Hint(err error) string { return hintAt(err, nil) }

// hintAt is Hint with what is known of the server's provider; nil where nothing
// is.
func hintAt(err error, p *provider.Provider) string {
	switch {
	case errors.Is(err, ledger.ErrNewer):
		return "install the mailproof that wrote this ledger, or a later one; the file was not touched"
	case errors.Is(err, ledger.ErrLocked):
		return "another mailproof works on this directory: wait for it, or give another --dir"
	case errors.Is(err, ledger.ErrNotLedger):
		return "move the file away, or give another --dir"
	case errors.Is(err, ErrNoLedger):
		return "mailproof run or mailproof inventory makes one; --dir DIR names the directory of the engagement"
	}
	// What a server said is worth more than what kind of thing it was.
	if advice, ok := explain(err, p); ok {
		return inWords(advice)
	}
	return KindHint(mailproof.KindOf(err))
}

// KindHint says what to do about a kind of server error.
func KindHint(kind mailproof.ErrorKind) string {
	switch kind {
	case mailproof.ErrUnknownHost:
		return "check the host name for typing errors, and that this machine can resolve it"
	case mailproof.ErrUnreachable:
		return "check host and port (993 for imaps://, 143 for imap://), and that a firewall lets this machine through"
	case mailproof.ErrTLS:
		return "if the server has a certificate of its own making, give its CA with ?ca=FILE; as a last resort, and only if you know why, ?insecure=skip-verify"
	case mailproof.ErrAuth:
		return "check user name and password with webmail; where two-factor sign-in is on, an app password is needed; on the destination, check that the mailbox was created"
	case mailproof.ErrThrottled:
		return "the server wants fewer connections: try again later with a smaller --parallel"
	case mailproof.ErrQuota:
		return "raise the quota of the destination mailbox, then run the same command again"
	}
	return ""
}

// said makes the words of a reason those of what the server said, where that is
// known.
func (w words) said(r mailproof.Reason) words {
	switch {
	case r.Code == reasonRefused:
		if advice, ok := provider.ExplainText(strings.TrimPrefix(r.Evidence, "destination: "), nil); ok {
			return words{w.meaning + ": " + advice.Means, advice.Remedy()}
		}
	case r.Code == diff.ReasonExcluded && strings.HasPrefix(r.Evidence, "provider "):
		return words{"its folder stays behind because of what is known of the provider: " + r.Evidence, "nothing; --source-provider none, or --map with the folder's name, takes it along"}
	}
	return w
}
