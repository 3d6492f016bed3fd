package oauth

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/oauth2"
)

// steady is the way to an authorisation server: it waits where it is told to
// and tries again what the server has not carried out, within limits. A request
// whose fate is unknown is not sent again: it may have used up a refresh token.
type steady struct {
	next   http.RoundTripper
	offset atomic.Int64 // of the server's clock to ours, from Date
	now    func() time.Time
}

// Limits of one request.
const (
	requestTimeout = 30 * time.Second
	maxWait        = 2 * time.Minute // that a server may ask for
	maxTries       = 4
)

func newSteady(next http.RoundTripper, now func() time.Time) *steady {
	if next == nil {
		next = http.DefaultTransport
	}
	return &steady{next: next, now: now}
}

// client returns a client that follows no redirect: a form with a secret goes
// to the address that was configured, and to no other.
func (s *steady) client() *http.Client {
	return &http.Client{Transport: s, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// context hands the client to the library.
func (s *steady) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, s.client())
}

// RoundTrip implements [http.RoundTripper].
func (s *steady) RoundTrip(req *http.Request) (*http.Response, error) {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = time.Second, 30*time.Second
	for try := 1; ; try++ {
		res, err := s.once(req)
		if err != nil {
			return nil, err
		}
		throttled := res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable
		if !throttled || try == maxTries || req.GetBody == nil {
			return res, nil
		}
		wait := b.NextBackOff()
		if asked, ok := s.retryAfter(res); ok {
			wait = asked
		}
		if wait > maxWait {
			return res, nil
		}
		_ = res.Body.Close() // the answer is given up
		if err := sleep(req.Context(), wait); err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
}

// once sends a request and reads its answer, whole and within limits.
func (s *steady) once(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), requestTimeout)
	res, err := s.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	res.Body = &ending{res.Body, cancel}
	if date, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		s.offset.Store(int64(date.Sub(s.now())))
	}
	return res, nil
}

// ending ends the context of a request with its body.
type ending struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (e *ending) Close() error {
	defer e.cancel()
	return e.ReadCloser.Close()
}

// clock returns how far the server's clock is ahead of ours.
func (s *steady) clock() time.Duration { return time.Duration(s.offset.Load()) }

// retryAfter reads Retry-After (RFC 9110 §10.2.3).
func (s *steady) retryAfter(res *http.Response) (time.Duration, bool) {
	value := res.Header.Get("Retry-After")
	if n, err := strconv.Atoi(value); err == nil && n >= 0 {
		return time.Duration(n) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(s.now().Add(s.clock()))), true
	}
	return 0, false
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
