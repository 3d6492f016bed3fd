// Package authtest is an OAuth 2 authorisation server for tests. It is strict
// where real ones are: proof keys are checked, refresh tokens rotate and one that
// is used twice revokes all that came of it, assertions are verified and have a
// clock. It may be imported by tests only.
package authtest

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server is the authorisation server. Its fields are set before it is used, or
// under [Server.Change].
type Server struct {
	*httptest.Server
	ClientID, ClientSecret string
	Key                    *rsa.PublicKey // verifies assertions
	Thumbprint             string         // of the certificate that an assertion must name
	ServiceEmail           string         // of the service account
	Users                  []string       // that a service account may stand in for
	User                   string         // who sits at the browser

	Lifetime time.Duration // of access tokens
	Audience string        // JWT access tokens are for it; empty: tokens are opaque
	HMAC     []byte        // signs JWT access tokens
	Issuer   string
	Skew     time.Duration // of the server's clock

	Deny     bool // the person declines
	Pending  int  // answers of authorization_pending before the person is done
	SlowDown int  // answers of slow_down before those
	Throttle int  // answers of 429 before the next
	Device   time.Duration
	Raw      string // answers the token endpoint literally

	mu       sync.Mutex
	codes    map[string]code
	refresh  map[string]*family
	access   map[string]access
	requests []url.Values
	issued   []string
	used     int // refreshes
	busy     int // refreshes under way
	Overlap  bool
	device   string
}

type code struct{ challenge, redirect, user, scope string }

type family struct {
	user, scope string
	revoked     bool
	used        map[string]bool
}

type access struct {
	user  string
	until time.Time
}

// New starts a server with a client "mailproof".
func New(t testing.TB) *Server {
	t.Helper()
	s := Make()
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// Make returns a server without a port, to be called as an [http.Handler].
func Make() *Server {
	return &Server{
		ClientID: "mailproof", User: "anna@example.com", Lifetime: time.Hour, Device: 15 * time.Minute,
		codes: map[string]code{}, refresh: map[string]*family{}, access: map[string]access{},
	}
}

// Change changes the server while it is in use.
func (s *Server) Change(f func(s *Server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

// Refreshes returns how many refresh tokens were used.
func (s *Server) Refreshes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Requests returns what the token endpoint was asked.
func (s *Server) Requests() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]url.Values(nil), s.requests...)
}

// Valid reports whose an access token is, and whether it is good.
func (s *Server) Valid(token string) (user string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, found := s.access[token]
	return a.user, found && time.Now().Before(a.until)
}

// Issued returns all access and refresh tokens that there ever were.
func (s *Server) Issued() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.issued...)
}

// Withdraw ends all access tokens; refresh tokens stay good.
func (s *Server) Withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.access)
}

// Revoke ends all refresh tokens as well.
func (s *Server) Revoke() {
	s.Withdraw()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.refresh {
		f.revoked = true
	}
}

// ServeHTTP answers /authorize, /token and /device.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	w.Header().Set("Date", time.Now().Add(s.Skew).UTC().Format(http.TimeFormat))
	s.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch r.URL.Path {
	case "/authorize":
		s.authorize(w, r)
	case "/device":
		s.startDevice(w, r)
	case "/token":
		s.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	redirect, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("client_id") != s.ClientID || q.Get("response_type") != "code" || q.Get("state") == "" ||
		q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	back := url.Values{"state": {q.Get("state")}}
	if s.Issuer != "" {
		back.Set("iss", s.Issuer)
	}
	if s.Deny {
		back.Set("error", "access_denied")
	} else {
		c := rand.Text()
		s.codes[c] = code{q.Get("code_challenge"), q.Get("redirect_uri"), s.User, q.Get("scope")}
		back.Set("code", c)
	}
	redirect.RawQuery = back.Encode()
	http.Redirect(w, r, redirect.String(), http.StatusFound)
}

func (s *Server) startDevice(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.device = rand.Text()
	reply(w, 200, map[string]any{
		"device_code": s.device, "user_code": "ABCD-EFGH", "verification_uri": "https://device.example/", "expires_in": int(s.Device.Seconds()), "interval": 5,
	})
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.PostForm)
	refreshing := r.PostForm.Get("grant_type") == "refresh_token"
	if refreshing {
		s.busy++
		s.Overlap = s.Overlap || s.busy > 1
	}
	s.mu.Unlock()
	if refreshing {
		// Room for another to come in between, if one does.
		for range 100 {
			runtime.Gosched()
		}
		defer func() {
			s.mu.Lock()
			s.busy--
			s.mu.Unlock()
		}()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Throttle > 0 {
		s.Throttle--
		w.Header().Set("Retry-After", "7")
		reply(w, http.StatusTooManyRequests, map[string]any{"error": "temporarily_unavailable"})
		return
	}
	if s.Raw != "" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(s.Raw))
		return
	}
	status, answer := s.grant(r.PostForm)
	reply(w, status, answer)
}

func refusal(code, text string) (int, map[string]any) {
	return http.StatusBadRequest, map[string]any{"error": code, "error_description": text}
}

func (s *Server) grant(f url.Values) (int, map[string]any) {
	switch f.Get("grant_type") {
	case "authorization_code":
		c, ok := s.codes[f.Get("code")]
		delete(s.codes, f.Get("code"))
		digest := sha256.Sum256([]byte(f.Get("code_verifier")))
		if !ok || base64.RawURLEncoding.EncodeToString(digest[:]) != c.challenge || f.Get("redirect_uri") != c.redirect {
			return refusal("invalid_grant", "the code or its verifier is wrong")
		}
		return s.issue(c.user, c.scope, &family{user: c.user, scope: c.scope, used: map[string]bool{}})
	case "refresh_token":
		fam, ok := s.refresh[f.Get("refresh_token")]
		switch {
		case !ok || fam.revoked:
			return refusal("invalid_grant", "AADSTS50173: the refresh token "+f.Get("refresh_token")+" was revoked")
		case fam.used[f.Get("refresh_token")]:
			fam.revoked = true
			return refusal("invalid_grant", "the refresh token was used twice")
		}
		fam.used[f.Get("refresh_token")] = true
		s.used++
		return s.issue(fam.user, fam.scope, fam)
	case "urn:ietf:params:oauth:grant-type:device_code":
		switch {
		case f.Get("device_code") != s.device:
			return refusal("invalid_grant", "no such device code")
		case s.SlowDown > 0:
			s.SlowDown--
			return refusal("slow_down", "")
		case s.Pending > 0:
			s.Pending--
			return refusal("authorization_pending", "")
		case s.Deny:
			return refusal("access_denied", "")
		}
		return s.issue(s.User, "", &family{user: s.User, used: map[string]bool{}})
	case "client_credentials":
		if f.Get("client_assertion") != "" {
			claims, header, why := s.verify(f.Get("client_assertion"))
			if why != "" {
				return refusal("invalid_client", why)
			}
			if claims["sub"] != s.ClientID || claims["iss"] != s.ClientID || header["x5t#S256"] != s.Thumbprint {
				return refusal("invalid_client", "the assertion is not the client's")
			}
		} else if f.Get("client_secret") != s.ClientSecret || s.ClientSecret == "" {
			return refusal("invalid_client", "AADSTS7000215: Invalid client secret provided: "+f.Get("client_secret"))
		}
		return s.issue("", f.Get("scope"), nil)
	case "urn:ietf:params:oauth:grant-type:jwt-bearer":
		claims, _, why := s.verify(f.Get("assertion"))
		if why != "" {
			return refusal("invalid_grant", why)
		}
		if claims["iss"] != s.ServiceEmail {
			return refusal("invalid_grant", "the service account is not known")
		}
		for _, u := range s.Users {
			if claims["sub"] == u {
				return s.issue(u, claims["scope"].(string), nil)
			}
		}
		return refusal("unauthorized_client", "Client is unauthorized to retrieve access tokens using this method")
	}
	return refusal("unsupported_grant_type", "")
}

// verify checks signature, audience and times of an assertion.
func (s *Server) verify(assertion string) (claims, header map[string]any, why string) {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 || s.Key == nil {
		return nil, nil, "no assertion"
	}
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, into) != nil {
			return nil, nil, "the assertion cannot be read"
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, nil, "no signature"
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	switch header["alg"] {
	case "PS256":
		err = rsa.VerifyPSS(s.Key, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: 32})
	case "RS256":
		err = rsa.VerifyPKCS1v15(s.Key, crypto.SHA256, digest[:], signature)
	default:
		return nil, nil, "an algorithm that is not taken"
	}
	if err != nil {
		return nil, nil, "the signature is wrong"
	}
	now := float64(time.Now().Add(s.Skew).Unix())
	iat, _ := claims["iat"].(float64)
	exp, _ := claims["exp"].(float64)
	if exp < now || iat > now+60 || exp > now+3660 {
		return nil, nil, "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."
	}
	if aud, _ := claims["aud"].(string); !strings.HasSuffix(aud, "/token") {
		return nil, nil, "the assertion is for somebody else"
	}
	return claims, header, ""
}

// issue makes tokens; without a family there is no refresh token.
func (s *Server) issue(user, scope string, fam *family) (int, map[string]any) {
	token := "at-" + rand.Text()
	if s.Audience != "" {
		token = SignHS256(s.HMAC, map[string]any{
			"aud": s.Audience, "sub": user, "upn": user, "scope": scope, "iss": s.Issuer, "jti": rand.Text(),
			"iat": time.Now().Unix(), "nbf": time.Now().Unix(), "exp": time.Now().Add(s.Lifetime).Unix(),
		})
	}
	s.issued = append(s.issued, token)
	s.access[token] = access{user, time.Now().Add(s.Lifetime)}
	answer := map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(s.Lifetime.Seconds()), "scope": scope}
	if fam != nil {
		r := "rt-" + rand.Text()
		s.refresh[r] = fam
		s.issued = append(s.issued, r)
		answer["refresh_token"] = r
	}
	return http.StatusOK, answer
}

// SignHS256 makes a JWT.
func SignHS256(key []byte, claims map[string]any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func reply(w http.ResponseWriter, status int, answer map[string]any) {
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
