package imapconn

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/mailproof/mailproof"
)

// isEnd reports whether the connection was closed, in whatever way.
func isEnd(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.As(err, &op) && !op.Timeout()
}

// connectWith dials, secures the line, signs in with a password or access token
// and says who we are. It returns a wire on which nothing is in flight.
func connectWith(ctx context.Context, c Config, secret mailproof.Secret, octets *traffic) (w *wire, info mailproof.ServerInfo, err error) {
	address := c.Endpoint.Address()
	info.Address = address

	dialCtx, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	tcp, err := c.Dial(dialCtx, "tcp", address)
	cancel()
	if err != nil {
		return nil, info, orCause(ctx, dialError(address, err))
	}
	tcp = prompt(tcp)
	if peer := tcp.RemoteAddr(); peer != nil {
		info.Peer = peer.String()
	}
	// From here on a cancelled context shows as a closed connection.
	stop := context.AfterFunc(ctx, func() { _ = tcp.Close() })
	defer func() {
		if !stop() && err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			_ = tcp.Close() // the error that led here is the one to report
			err = orCause(ctx, err)
		}
	}()

	l := login{secret: secret.Reveal(), host: c.Endpoint.Host, port: c.Endpoint.Port}
	l.user, l.authz = c.Endpoint.Login()
	mask := newMasker(l.secret, l.authz+"\x00"+l.user+"\x00"+l.secret)
	if w, err = c.secure(ctx, tcp, &info, mask, octets); err != nil {
		return nil, info, err
	}
	if w.caps == nil {
		if err := w.capability(); err != nil {
			return nil, info, err
		}
	}
	if info.Mechanism == "" {
		l.tls = w.tls
		if info.Mechanism, err = w.signIn(c, l); err != nil {
			return nil, info, err
		}
	}
	if w.caps.has("ID") && !c.Survey {
		if info.ID, err = w.identify(c.ClientName, c.ClientVersion); err != nil {
			return nil, info, err
		}
	}
	if c.Endpoint.Compress && w.caps.has("COMPRESS=DEFLATE") {
		if err := w.compress(); err != nil {
			return nil, info, err
		}
	}
	info.Capabilities = w.caps
	info.AppendLimit = w.caps.appendLimit()
	c.Log.DebugContext(ctx, "imap signed in", "server", address, "peer", info.Peer, "user", c.Endpoint.User,
		"mechanism", info.Mechanism, "tls", info.TLS, "id", info.ID)
	return w, info, nil
}

// secure reads the greeting and sees to TLS as the endpoint asks for it.
func (c Config) secure(ctx context.Context, tcp net.Conn, info *mailproof.ServerInfo, mask masker, octets *traffic) (*wire, error) {
	conn := tcp
	if c.Endpoint.Security == mailproof.ImplicitTLS {
		secured, err := c.handshake(ctx, tcp)
		if err != nil {
			return nil, err
		}
		describeTLS(info, secured, !c.Endpoint.SkipVerify)
		conn = secured
	}
	w := newWire(newProgressConn(conn, c.ProgressTimeout, octets), info.Address, mask)
	w.tls = stateOf(conn)
	st, err := w.greeting()
	if err != nil {
		return nil, err
	}
	info.Greeting = mask.printable(st.text)
	if st.typ == "PREAUTH" {
		if c.Endpoint.Security == mailproof.STARTTLS {
			// STARTTLS is not possible any more: somebody in between may want just that.
			return nil, &mailproof.ServerError{Kind: mailproof.ErrTLS, Server: info.Address, Op: "STARTTLS",
				Err: errors.New("the server greets with PREAUTH, which rules STARTTLS out")}
		}
		info.Mechanism = "PREAUTH"
	}
	if c.Endpoint.Security != mailproof.STARTTLS {
		return w, nil
	}
	return c.startTLS(ctx, tcp, w, info, octets)
}

// startTLS upgrades the connection (RFC 9051 §6.2.1). What the server said
// before, and what may have been slipped in behind its answer, is forgotten:
// the new wire has a buffer of its own.
func (c Config) startTLS(ctx context.Context, tcp net.Conn, w *wire, info *mailproof.ServerInfo, octets *traffic) (*wire, error) {
	const op = "STARTTLS"
	if w.caps == nil {
		if err := w.capability(); err != nil {
			return nil, err
		}
	}
	if !w.caps.has("STARTTLS") {
		return nil, &mailproof.ServerError{Kind: mailproof.ErrTLS, Server: info.Address, Op: op, Err: errNoTLS}
	}
	st, err := w.command(op, "STARTTLS", nil, nil)
	if err != nil {
		return nil, err
	}
	if !st.ok() {
		refusal := w.masker.refusal(info.Address, op, st)
		refusal.Kind = mailproof.ErrTLS
		return nil, refusal
	}
	if n := w.br.Buffered(); n > 0 {
		c.Log.WarnContext(ctx, "imap server sent data between STARTTLS and the handshake; discarded", "server", info.Address, "octets", n)
	}
	secured, err := c.handshake(ctx, tcp)
	if err != nil {
		return nil, err
	}
	describeTLS(info, secured, !c.Endpoint.SkipVerify)
	w = newWire(newProgressConn(secured, c.ProgressTimeout, octets), info.Address, w.masker)
	w.tls = stateOf(secured)
	return w, nil
}

// orCause returns the cause of a cancelled context instead of the error that
// the cancellation led to.
func orCause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
