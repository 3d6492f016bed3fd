package imapmem

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
)

// connState is the state in which a command is valid (RFC 9051 §3).
type connState uint8

const (
	anyState connState = iota
	signedOut
	signedIn
	selected
)

type spec struct {
	state      connState
	capability string // the command is unknown where this is hidden
	run        func(*conn, *parser) *status
}

var commands map[string]spec

func init() {
	commands = map[string]spec{
		"CAPABILITY": {anyState, "", (*conn).capability},
		"NOOP":       {anyState, "", plain("NOOP completed")},
		"LOGOUT":     {anyState, "", (*conn).logout},
		"ID":         {anyState, "ID", (*conn).id},

		"STARTTLS":     {signedOut, "STARTTLS", (*conn).startTLSCommand},
		"LOGIN":        {signedOut, "", (*conn).login},
		"AUTHENTICATE": {signedOut, "", (*conn).authenticate},

		"ENABLE":       {signedIn, "ENABLE", (*conn).enable},
		"COMPRESS":     {signedIn, "COMPRESS=DEFLATE", (*conn).compress},
		"NAMESPACE":    {signedIn, "NAMESPACE", (*conn).namespace},
		"LIST":         {signedIn, "", (*conn).list},
		"LSUB":         {signedIn, "", (*conn).lsub},
		"STATUS":       {signedIn, "", (*conn).status},
		"SELECT":       {signedIn, "", func(c *conn, p *parser) *status { return c.selectMailbox(p, false) }},
		"EXAMINE":      {signedIn, "", func(c *conn, p *parser) *status { return c.selectMailbox(p, true) }},
		"CREATE":       {signedIn, "", (*conn).create},
		"DELETE":       {signedIn, "", (*conn).delete},
		"RENAME":       {signedIn, "", (*conn).rename},
		"SUBSCRIBE":    {signedIn, "", func(c *conn, p *parser) *status { return c.subscribe(p, true) }},
		"UNSUBSCRIBE":  {signedIn, "", func(c *conn, p *parser) *status { return c.subscribe(p, false) }},
		"APPEND":       {signedIn, "", (*conn).append},
		"GETQUOTAROOT": {signedIn, "QUOTA", (*conn).getQuotaRoot},
		"GETQUOTA":     {signedIn, "QUOTA", (*conn).getQuota},

		"CHECK":       {selected, "", plain("CHECK completed")},
		"CLOSE":       {selected, "", (*conn).close},
		"UNSELECT":    {selected, "UNSELECT", (*conn).unselect},
		"EXPUNGE":     {selected, "", func(c *conn, p *parser) *status { return c.expunge(p, false) }},
		"UID EXPUNGE": {selected, "UIDPLUS", func(c *conn, p *parser) *status { return c.expunge(p, true) }},
		"FETCH":       {selected, "", func(c *conn, p *parser) *status { return c.fetch(p, false) }},
		"UID FETCH":   {selected, "", func(c *conn, p *parser) *status { return c.fetch(p, true) }},
		"STORE":       {selected, "", func(c *conn, p *parser) *status { return c.store(p, false) }},
		"UID STORE":   {selected, "", func(c *conn, p *parser) *status { return c.store(p, true) }},
		"SEARCH":      {selected, "", func(c *conn, p *parser) *status { return c.search(p, false) }},
		"UID SEARCH":  {selected, "", func(c *conn, p *parser) *status { return c.search(p, true) }},
		"COPY":        {selected, "", func(c *conn, p *parser) *status { return c.copy(p, false, false) }},
		"UID COPY":    {selected, "", func(c *conn, p *parser) *status { return c.copy(p, true, false) }},
		"MOVE":        {selected, "MOVE", func(c *conn, p *parser) *status { return c.copy(p, false, true) }},
		"UID MOVE":    {selected, "MOVE", func(c *conn, p *parser) *status { return c.copy(p, true, true) }},
	}
}

func plain(text string) func(*conn, *parser) *status {
	return func(_ *conn, p *parser) *status {
		if err := p.end(); err != nil {
			return bad("%v", err)
		}
		return ok("%s", text)
	}
}

func (c *conn) capability(p *parser) *status {
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	c.untagged("CAPABILITY %s", c.capabilities())
	return ok("CAPABILITY completed")
}

func (c *conn) logout(p *parser) *status {
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	c.untagged("BYE see you")
	return ok("LOGOUT completed")
}

// id takes whatever the client says of itself.
func (c *conn) id(*parser) *status {
	c.untagged("ID (%s %s)", quote("name"), quote(c.server.opts.Name))
	return ok("ID completed")
}

func (c *conn) startTLSCommand(p *parser) *status {
	switch err := p.end(); {
	case err != nil:
		return bad("%v", err)
	case c.secure || c.config == nil:
		return bad("TLS is not available")
	}
	return ok("begin TLS")
}

const authFailed = "[AUTHENTICATIONFAILED] Authentication failed."

func (c *conn) login(p *parser) *status {
	p.space()
	user := p.astring()
	p.space()
	password := p.astring()
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	if !c.server.offers("LOGIN") {
		return no("LOGIN failed.")
	}
	return c.signIn("", user, password)
}

func (c *conn) authenticate(p *parser) *status {
	p.space()
	mechanism := p.word()
	initial := ""
	if p.take(" ") {
		initial = p.run(" ")
	}
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	if (mechanism == "XOAUTH2" || mechanism == "OAUTHBEARER") && c.server.opts.Tokens != nil && c.server.offers("AUTH="+mechanism) {
		if c.needTLS && !c.secure {
			return no("[PRIVACYREQUIRED] use STARTTLS first")
		}
		return c.tokenSignIn(mechanism, initial)
	}
	if mechanism != "PLAIN" || !c.server.offers("AUTH=PLAIN") {
		return no("[CANNOT] mechanism is not supported")
	}
	if initial == "" {
		line, err := c.challenge()
		if err != nil {
			c.cut = true
			return bad("cut")
		}
		initial = line
	} else if !c.server.offers("SASL-IR") {
		return bad("SASL-IR is not supported")
	}
	octets, err := base64.StdEncoding.DecodeString(initial)
	parts := strings.Split(string(octets), "\x00")
	if err != nil || len(parts) != 3 {
		return bad("invalid SASL response")
	}
	return c.signIn(parts[0], parts[1], parts[2])
}

func (c *conn) challenge() (string, error) {
	if _, err := c.w.WriteString("+ \r\n"); err != nil {
		return "", err
	}
	if err := c.w.Flush(); err != nil {
		return "", err
	}
	return readLine(c.r)
}

func (c *conn) signIn(authz, user, password string) *status {
	if c.needTLS && !c.secure {
		return no("[PRIVACYREQUIRED] use STARTTLS first")
	}
	account := c.server.authenticate(authz, user, password)
	if account == nil {
		return no(authFailed)
	}
	return c.admitAccount(account)
}

// admitAccount opens an account whose credentials were right.
func (c *conn) admitAccount(account *Account) *status {
	if hook := c.server.opts.OnSignIn; hook != nil {
		if err := hook(account.user); err != nil {
			return no("%s", err.Error())
		}
	}
	account.mu.Lock()
	defer account.mu.Unlock()
	if limit := c.server.opts.MaxConnections; limit > 0 && account.connections >= limit {
		return no("[ALERT] Too many simultaneous connections. (Failure)")
	}
	account.connections++
	c.account = account
	return ok("[CAPABILITY %s] signed in", c.capabilities())
}

func equalSecret(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// authenticate returns the account that the credentials open, or nil.
func (s *Server) authenticate(authz, user, password string) *Account {
	if authz == "" {
		authz = user
	}
	account := s.Account(authz)
	if account == nil {
		return nil
	}
	want := s.opts.MasterPassword
	switch {
	case user == authz:
		account.mu.Lock()
		want = account.password
		account.mu.Unlock()
	case s.opts.MasterUser == "" || user != s.opts.MasterUser:
		return nil
	}
	if !equalSecret(password, want) {
		return nil
	}
	return account
}

func (c *conn) enable(p *parser) *status {
	var enabled []string
	for p.take(" ") {
		if p.word() == "CONDSTORE" && c.server.offers("CONDSTORE") {
			c.condstore = true
			enabled = append(enabled, "CONDSTORE")
		}
	}
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	c.untagged("%s", strings.Join(append([]string{"ENABLED"}, enabled...), " "))
	return ok("ENABLE completed")
}

func (c *conn) namespace(p *parser) *status {
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	o := c.server.opts
	c.untagged("NAMESPACE ((%s %s)) NIL NIL", quote(encodeUTF7(o.Prefix)), quote(o.Separator))
	return ok("NAMESPACE completed")
}

func (c *conn) getQuotaRoot(p *parser) *status {
	p.space()
	mailbox := p.mailbox()
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.boxes[mailbox] == nil {
		return no("[NONEXISTENT] no such mailbox")
	}
	if a.quota == 0 {
		c.untagged("QUOTAROOT %s", quote(encodeUTF7(mailbox)))
		return ok("GETQUOTAROOT completed")
	}
	c.untagged("QUOTAROOT %s %s", quote(encodeUTF7(mailbox)), quote("User quota"))
	c.untagged("%s", a.quotaLine())
	return ok("GETQUOTAROOT completed")
}

func (c *conn) getQuota(p *parser) *status {
	p.space()
	root := p.astring()
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if root != "User quota" || a.quota == 0 {
		return no("[NONEXISTENT] no such quota root")
	}
	c.untagged("%s", a.quotaLine())
	return ok("GETQUOTA completed")
}

// quotaLine gives usage and limit in units of 1,024 octets (RFC 9208 §5.1).
func (a *Account) quotaLine() string {
	return fmt.Sprintf("QUOTA %s (STORAGE %d %d)", quote("User quota"), (a.used+1023)/1024, a.quota/1024)
}

// admits decides whether a message of that size may come into a mailbox; more
// is the size of all messages of the command so far.
func (a *Account) admits(mailbox string, size, more int64) *status {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.boxes[mailbox] == nil:
		return no("[TRYCREATE] no such mailbox")
	case size > a.server.appendLimit() || more > maxAppend:
		return no("[TOOBIG] Maximum size of appendable message has been exceeded")
	case a.quota > 0 && a.used+more > a.quota:
		return no("[OVERQUOTA] Quota exceeded (mailbox for user is full)")
	}
	return nil
}
