package engagement

import (
	"cmp"
	"context"
	"errors"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/provider"
)

// places are the connections that one of an account is counted among: those of
// its login, which most providers bound, and those of the server, over all
// accounts, which an administrator bounds, and some servers by where the
// connections come from.
type places struct {
	login, server         string // keys of [lines]
	mostLogin, mostServer int    // 0: any number
	said                  bool   // mostServer is what the user said
}

// placesOf is what is known before anybody signed in: what the user said of the
// server, and what the presets say of the host.
func (e *Engagement) placesOf(a Account, side mailproof.Side, ep mailproof.Endpoint) places {
	p := places{
		server:     side.String() + " " + ep.Address(),
		login:      side.String() + " " + ep.Address() + " " + cmp.Or(ep.Authz, ep.User),
		mostServer: e.connectionsTo(ep),
	}
	p.said = p.mostServer > 0
	p.know(e.Rules.providerOf(a.Name, side, mailproof.ServerInfo{Address: ep.Address()}))
	return p
}

// know takes over what a preset bounds. What the user said of a server goes
// before what its software does by default; a provider's own service, which has
// hosts, bounds its accounts whatever anybody says.
func (p *places) know(preset *provider.Provider) {
	if preset == nil {
		return
	}
	if !p.said || len(preset.Hosts) > 0 {
		p.mostLogin = preset.Limits.Connections
	}
	if !p.said {
		p.mostServer = preset.Limits.ConnectionsPerIP
	}
}

// enterBoth waits for a place of the login and one of the server. The login's
// comes first: who waits for that one takes none of the server's from others.
func (l *lines) enterBoth(ctx context.Context, p places) (leave func(), err error) {
	ofLogin, err := l.enter(ctx, p.login, p.mostLogin)
	if err != nil {
		return nil, err
	}
	ofServer, err := l.enter(ctx, p.server, p.mostServer)
	if err != nil {
		ofLogin()
		return nil, err
	}
	return func() { ofServer(); ofLogin() }, nil
}

// tryEnterBoth is as enterBoth, and does not wait.
func (l *lines) tryEnterBoth(p places) (leave func(), ok bool) {
	ofLogin, ok := l.tryEnter(p.login, p.mostLogin)
	if !ok {
		return nil, false
	}
	ofServer, ok := l.tryEnter(p.server, p.mostServer)
	if !ok {
		ofLogin()
		return nil, false
	}
	return func() { ofServer(); ofLogin() }, true
}

// bound lowers how many connections there may be from now on.
func (l *lines) bound(name string, most int) {
	if most <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.at(name, most); s.most == 0 || s.most > most {
		s.most = most
	}
}

// recognised holds login and server to what is known of the server now that it
// has said what it is.
func (e *Engagement) recognised(a Account, side mailproof.Side, p places, info mailproof.ServerInfo) {
	p.know(e.Rules.providerOf(a.Name, side, info))
	e.lines.bound(p.login, p.mostLogin)
	e.lines.bound(p.server, p.mostServer)
}

// errNoPlace says that a server takes no further connection right now.
var errNoPlace = errors.New("no place for another connection")

// signedIn signs in with dial once there is a place, or, where it may not wait,
// if there is one. leave makes room for the next one.
func signedIn[C interface{ Server() mailproof.ServerInfo }](ctx context.Context, e *Engagement, a Account, side mailproof.Side, c imapconn.Config, mayWait bool,
	dial func(context.Context, imapconn.Config) (C, error)) (conn C, leave func(), err error) {
	p := e.placesOf(a, side, c.Endpoint)
	if mayWait {
		leave, err = e.lines.enterBoth(ctx, p)
	} else if now, ok := e.lines.tryEnterBoth(p); ok {
		leave = now
	} else {
		err = errNoPlace
	}
	if err != nil {
		return conn, nil, err
	}
	if conn, err = dial(ctx, c); err != nil {
		leave()
		return conn, nil, err
	}
	e.recognised(a, side, p, conn.Server())
	return conn, leave, nil
}

// oneMore signs in beside the connections that an account has, if the server has a
// place for one more right now, and heeds a server that says that it has none.
func oneMore[C interface{ Server() mailproof.ServerInfo }](ctx context.Context, e *Engagement, a Account, side mailproof.Side, c imapconn.Config,
	dial func(context.Context, imapconn.Config) (C, error)) (conn C, leave func(), err error) {
	conn, leave, err = signedIn(ctx, e, a, side, c, false, dial)
	if mailproof.ThrottleOf(err).Kind == mailproof.ThrottleConnections {
		e.lowered(side, c.Endpoint.Address())
	}
	return conn, leave, err
}
