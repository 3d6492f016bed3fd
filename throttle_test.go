package mailproof

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestThrottleOf(t *testing.T) {
	for _, c := range []struct {
		kind       ErrorKind
		code, text string
		want       Throttle
	}{
		{ErrThrottled, "", "Request is throttled. Suggested Backoff Time: 299961 milliseconds", Throttle{ThrottlePause, 299961 * time.Millisecond}},
		{ErrThrottled, "", "Request is throttled. Suggested Backoff Time: 0 milliseconds", Throttle{Kind: ThrottlePause}},
		{ErrThrottled, "", "Request is throttled. Suggested Backoff Time: 999999999999 milliseconds", Throttle{ThrottlePause, MaxThrottleWait}},
		{ErrThrottled, "", "Request is throttled. Suggested Backoff Time: 9999999999999 milliseconds", Throttle{Kind: ThrottlePause}},
		{ErrThrottled, "ALERT", "Too many simultaneous connections. (Failure)", Throttle{Kind: ThrottleConnections}},
		{ErrThrottled, "UNAVAILABLE", "Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", Throttle{Kind: ThrottleConnections}},
		{ErrThrottled, "OVERQUOTA", "Account exceeded command or bandwidth limits. (Failure)", Throttle{Kind: ThrottleDaily}},
		{ErrThrottled, "INUSE", "Mailbox in use", Throttle{Kind: ThrottlePause}},
		{ErrQuota, "OVERQUOTA", "Quota exceeded", Throttle{}},
		{ErrRefused, "", "Request is throttled. Suggested Backoff Time: 5 milliseconds", Throttle{}}, // the kind decides
	} {
		err := fmt.Errorf("around: %w", &ServerError{Kind: c.kind, Code: c.code, Text: c.text})
		if got := ThrottleOf(err); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.text, got, c.want)
		}
	}
	if got := ThrottleOf(errors.New("Request is throttled")); got != (Throttle{}) {
		t.Errorf("an error of no server: %+v", got)
	}
}
