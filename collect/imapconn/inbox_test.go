package imapconn

import (
	"context"
	"testing"
)

// A server that lists folders and no INBOX has one all the same: it is opened
// as the others are, and what comes of that is seen.
func TestInboxIsNotListed(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		if !c.preamble("IMAP4rev1 NAMESPACE") {
			return
		}
		c.serve(func(cmd commandLine) bool {
			switch cmd.name + " " + cmd.args {
			case "NAMESPACE ":
				c.line(`* NAMESPACE (("INBOX." ".")) NIL NIL`)
			case `LIST "" "INBOX.*"`:
				c.line(`* LIST () "." INBOX.Sent`)
			}
			c.line("%s OK done", cmd.tag)
			return true
		})
	})
	got, err := f.reader().Mailboxes(context.Background())
	if err != nil || len(got) != 2 || got[0].Name != "INBOX" || got[0].Prefix != "INBOX." || got[0].NoSelect {
		t.Errorf("%+v, %v", got, err)
	}
}
