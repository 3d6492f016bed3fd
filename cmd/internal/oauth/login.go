package oauth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/oauth2"
)

// UI shows a person what to do.
type UI interface {
	// Visit asks to open an address in a browser of this machine.
	Visit(address string)
	// Enter asks to open an address on any device and to enter a code there.
	// complete holds the code already; it may be empty.
	Enter(address, complete, code string, until time.Time)
}

// loginTimeout bounds how long a person may take.
const loginTimeout = 10 * time.Minute

// Login lets a person sign in for an account and keeps what comes of it. With
// device the person does so on another device.
func (b *Broker) Login(ctx context.Context, account string, device bool, ui UI) (Claims, error) {
	op := "sign in"
	if account != "" {
		op += " as " + account
	}
	if b.Flow != Delegated {
		return Claims{}, &Error{Name: b.Name, Op: op, Text: fmt.Sprintf("nobody signs in here: the flow is %s", b.Flow), Hint: "mailproof credentials test tries it"}
	}
	secret, err := reveal(ctx, b.ClientSecret)
	if err != nil {
		return Claims{}, fmt.Errorf("client_secret of [oauth.%s]: %w", b.Name, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, loginTimeout, &Error{Name: b.Name, Op: op, Text: fmt.Sprintf("nobody has signed in within %s", loginTimeout)})
	defer cancel()
	var token *oauth2.Token
	if device {
		token, err = b.byDevice(ctx, op, secret, ui)
	} else {
		token, err = b.byLoopback(ctx, op, account, secret, ui)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Claims{}, err
	}
	grant, err := b.accept(op, token)
	if err != nil {
		return Claims{}, err
	}
	if grant.Refresh == "" {
		return Claims{}, &Error{Name: b.Name, Op: op, Text: "the authorisation server gave no refresh token, so the sign-in would end within the hour",
			Hint: "ask for the scope offline_access, and revoke an earlier consent of the application"}
	}
	claims, _ := ReadClaims(grant.Access)
	return claims, b.adopt(ctx, account, grant)
}

// byDevice is the device authorisation grant (RFC 8628).
func (b *Broker) byDevice(ctx context.Context, op, secret string, ui UI) (*oauth2.Token, error) {
	if b.DeviceURL == "" {
		return nil, &Error{Name: b.Name, Op: op, Text: "the section has no device_url", Hint: "sign in without --device"}
	}
	config := b.Settings.config(secret)
	code, err := config.DeviceAuth(b.way.context(ctx))
	if err != nil {
		return nil, b.fail(op, err, secret)
	}
	if code.DeviceCode == "" || code.UserCode == "" || code.VerificationURI == "" {
		return nil, &Error{Name: b.Name, Op: op, Text: "the authorisation server's answer holds no device code"}
	}
	ui.Enter(code.VerificationURI, code.VerificationURIComplete, code.UserCode, code.Expiry)
	token, err := config.DeviceAccessToken(b.way.context(ctx), code)
	switch {
	case err == nil:
		return token, nil
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return nil, &Error{Name: b.Name, Op: op, Code: "expired_token", Text: "the code was not used in time", Hint: "begin again"}
	}
	return nil, b.fail(op, err, secret, code.DeviceCode, code.UserCode)
}

// answer is what the browser brings back.
type answer struct {
	code string
	err  error
}

// byLoopback is the authorisation code grant by way of the browser and a port
// of this machine (RFC 8252 §7.3), with a proof key (RFC 7636, S256 only) and a
// state that ties the answer to the question.
func (b *Broker) byLoopback(ctx context.Context, op, account, secret string, ui UI) (*oauth2.Token, error) {
	if b.AuthURL == "" {
		return nil, &Error{Name: b.Name, Op: op, Text: "the section has no auth_url"}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(b.RedirectPort)))
	if err != nil {
		return nil, &Error{Name: b.Name, Op: op, Text: "no port to come back to", Err: err, Hint: "sign in on another device, with --device"}
	}
	config := b.Settings.config(secret)
	config.RedirectURL = fmt.Sprintf("http://%s:%d", b.RedirectHost, l.Addr().(*net.TCPAddr).Port)
	state, verifier := rand.Text()+rand.Text(), oauth2.GenerateVerifier()
	answers := make(chan answer, 1)
	server := &http.Server{Handler: b.landing(op, state, answers), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		// The page is on its way to the browser: it gets a moment.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close() // a browser that holds the line open is left alone
		}
		<-served
	}()
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier), oauth2.AccessTypeOffline, oauth2.SetAuthURLParam("prompt", "consent")}
	if account != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", account))
	}
	ui.Visit(config.AuthCodeURL(state, options...))
	select {
	case got := <-answers:
		if got.err != nil {
			return nil, got.err
		}
		token, err := config.Exchange(b.way.context(ctx), got.code, oauth2.VerifierOption(verifier))
		if err != nil {
			return nil, b.fail(op, err, secret, got.code, verifier)
		}
		return token, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// landing is where the browser comes back to. Only the answer to our own
// question counts: whatever else knocks, by chance or by another page's doing,
// is turned away and changes nothing.
func (b *Broker) landing(op, state string, answers chan<- answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		q := r.URL.Query()
		switch {
		case r.Method != http.MethodGet || r.URL.Path != "/":
			http.NotFound(w, r)
			return
		case subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1:
			http.Error(w, "This is not the answer to mailproof's question.", http.StatusBadRequest)
			return
		}
		got := answer{code: q.Get("code")}
		switch {
		case q.Get("error") != "":
			e := &Error{Name: b.Name, Op: op, Code: printable(q.Get("error"), nil), Text: printable(q.Get("error_description"), nil)}
			e.Hint = b.hint(e)
			got.err = e
		case b.Issuer != "" && q.Get("iss") != "" && q.Get("iss") != b.Issuer:
			got.err = &Error{Name: b.Name, Op: op, Text: fmt.Sprintf("the answer comes from %s and not from %s (RFC 9207)", printable(q.Get("iss"), nil), b.Issuer)}
		case got.code == "":
			got.err = &Error{Name: b.Name, Op: op, Text: "the answer holds no code"}
		}
		select {
		case answers <- got:
		default: // it was answered already
		}
		if got.err != nil {
			http.Error(w, "The sign-in did not succeed. The terminal says why.", http.StatusOK)
			return
		}
		fmt.Fprintln(w, "mailproof has its answer: this window can be closed.")
	})
}
