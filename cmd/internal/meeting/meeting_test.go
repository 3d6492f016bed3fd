package meeting

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/report"
)

type fake struct {
	version   string
	snapshots int
	err       error
	doc       *report.Document
	running   bool
}

func (f *fake) Version(context.Context) (string, error) { return f.version, f.err }
func (f *fake) Snapshot(context.Context) (*Snapshot, error) {
	f.snapshots++
	return &Snapshot{Taken: time.Now(), Document: f.doc, Runbook: &engagement.Runbook{
		Phases: []engagement.RunbookPhase{{Number: 1, Title: "account creation"}},
		Steps: []engagement.RunbookItem{{RunbookStep: mailproof.RunbookStep{ID: "terms", Phase: 1, Title: "terms", State: mailproof.RunbookDone, By: evil, Note: evil, When: time.Now()}},
			{RunbookStep: mailproof.RunbookStep{ID: "x", Phase: 1, Title: "other", Basis: evil}, Next: "mailproof x"}},
	}}, nil
}
func (f *fake) Progress(context.Context) (Progress, error) {
	return Progress{Pass: mailproof.Pass{ID: 3, Kind: mailproof.CopyPass}, Running: f.running, Text: evil}, nil
}

const evil = `</td><script>alert(1)</script><img src=x onerror=alert(2)>`

func document(exceptions int) *report.Document {
	d := &report.Document{Engagement: report.Engagement{Name: evil}, Decisions: map[string]report.Decision{}}
	for i := range exceptions {
		id := fmt.Sprintf("E-%03d", i+1)
		d.Exceptions = append(d.Exceptions, mailproof.Exception{ID: id, Account: evil, Mailbox: evil, Subject: evil, Verdict: mailproof.Missing,
			Reasons: []mailproof.Reason{{Code: "c", Evidence: evil}}})
		d.Decisions[id] = report.Decision{By: evil, Why: evil}
	}
	return d
}

const address = "127.0.0.1:4711"

func start(t *testing.T, f *fake) (*Server, string) {
	t.Helper()
	s, path, err := New(f, address)
	if err != nil {
		t.Fatal(err)
	}
	return s, path
}

func ask(s *Server, method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://"+address+path, nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// enter exchanges the token, and returns what adds the cookie to a request.
func enter(t *testing.T, s *Server, path string) func(*http.Request) {
	t.Helper()
	w := ask(s, "GET", path, nil)
	cookies := w.Result().Cookies()
	if w.Code != http.StatusSeeOther || len(cookies) != 1 || w.Header().Get("Location") != "/" {
		t.Fatalf("%d, %v", w.Code, w.Header())
	}
	if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("%+v", c)
	}
	return func(r *http.Request) { r.AddCookie(cookies[0]) }
}

// Who asks with HEAD, as previews of links do, gets no cookie and uses nothing
// up: the browser that comes after is let in.
func TestHeadLeavesTheToken(t *testing.T) {
	s, path := start(t, &fake{doc: document(1)})
	for range 3 {
		if w := ask(s, "HEAD", path, nil); w.Code != http.StatusForbidden || len(w.Result().Cookies()) > 0 || w.Header().Get("Location") != "" {
			t.Errorf("HEAD with the token: %d, %v", w.Code, w.Header())
		}
	}
	cookie := enter(t, s, path)
	if w := ask(s, "HEAD", path, cookie); w.Code != http.StatusOK {
		t.Errorf("HEAD of who is in: %d", w.Code)
	}
	if w := ask(s, "GET", path, nil); w.Code != http.StatusForbidden {
		t.Errorf("the token a second time: %d", w.Code)
	}
}

// The token lets in one browser, once; everything else is refused, whatever it
// asks for.
func TestWhoGetsIn(t *testing.T) {
	s, path := start(t, &fake{doc: document(1)})
	for _, p := range []string{"/", "/runbook", "/exceptions", "/report", "/nowhere", "/?token=", "/?token=" + strings.Repeat("A", 32)} {
		if w := ask(s, "GET", p, nil); w.Code != http.StatusForbidden {
			t.Errorf("%s without a cookie: %d", p, w.Code)
		}
	}
	in := enter(t, s, path)
	for p, want := range map[string]int{"/": 200, "/runbook": 200, "/exceptions": 200, "/nowhere": 404, path: 303} {
		if w := ask(s, "GET", p, in); w.Code != want {
			t.Errorf("%s with the cookie: %d, want %d", p, w.Code, want)
		}
	}
	if w := ask(s, "GET", path, nil); w.Code != http.StatusForbidden || len(w.Result().Cookies()) > 0 {
		t.Errorf("the token a second time: %d", w.Code)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		if w := ask(s, method, "/", in); w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
	for host, want := range map[string]int{"localhost:4711": 200, address: 200, "evil.example": 421, "127.0.0.1": 421, "evil.example:4711": 421, "": 421} {
		w := ask(s, "GET", "/", func(r *http.Request) { in(r); r.Host = host })
		if w.Code != want {
			t.Errorf("host %q: %d, want %d", host, w.Code, want)
		}
	}
}

// Foreign text is text, no script runs, and the one style is the one that the
// policy names.
func TestPagesAreText(t *testing.T) {
	for _, running := range []bool{false, true} {
		s, path := start(t, &fake{doc: document(3), running: running})
		in := enter(t, s, path)
		for _, p := range []string{"/", "/runbook", "/exceptions"} {
			w := ask(s, "GET", p, in)
			body := w.Body.String()
			for _, bad := range []string{"<script", "<img", "onerror=alert(2)>", "style=\"", "javascript:", "http-equiv=\"Content"} {
				if strings.Contains(body, bad) {
					t.Errorf("%s holds %s", p, bad)
				}
			}
			if !strings.Contains(body, "&lt;script&gt;") {
				t.Errorf("%s does not show the text", p)
			}
			_, style, _ := strings.Cut(body, "<style>")
			style, _, _ = strings.Cut(style, "</style>")
			sum := sha256.Sum256([]byte(style))
			policy := w.Header().Get("Content-Security-Policy")
			if !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
				t.Errorf("%s: policy %s", p, policy)
			}
			for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: %s: %q", p, name, got)
				}
			}
			refresh := `content="30"`
			if running {
				refresh = `content="3"`
			}
			if !strings.Contains(body, refresh) {
				t.Errorf("%s does not refresh by %s", p, refresh)
			}
		}
	}
}

// The report keeps its own policy, as a header too.
func TestReportHasItsPolicy(t *testing.T) {
	s, path := start(t, &fake{doc: document(1)})
	w := ask(s, "GET", "/report", enter(t, s, path))
	policy := w.Header().Get("Content-Security-Policy")
	if w.Code != 200 || !strings.Contains(policy, "style-src 'sha256-") || !strings.Contains(policy, "default-src 'none'") || strings.ContainsAny(policy, "&\"<") || !strings.HasSuffix(policy, "; frame-ancestors 'none'") {
		t.Errorf("%d, %s", w.Code, policy)
	}
}

// Every exception is on one page, and each page has its turn.
func TestPagesOfExceptions(t *testing.T) {
	f := &fake{doc: document(250)}
	s, path := start(t, f)
	in := enter(t, s, path)
	seen := map[string]int{}
	for page := 1; page <= 3; page++ {
		body := ask(s, "GET", fmt.Sprintf("/exceptions?page=%d", page), in).Body.String()
		for i := range f.doc.Exceptions {
			if id := f.doc.Exceptions[i].ID; strings.Contains(body, "<td>"+id+"</td>") {
				seen[id]++
			}
		}
		if strings.Contains(body, ">next<") != (page < 3) || strings.Contains(body, ">before<") != (page > 1) {
			t.Errorf("page %d leads elsewhere", page)
		}
	}
	if len(seen) != 250 {
		t.Errorf("%d exceptions are shown", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s is shown %d times", id, n)
		}
	}
	for _, page := range []string{"0", "-1", "99", "x", "%00"} {
		if w := ask(s, "GET", "/exceptions?page="+page, in); w.Code != 200 {
			t.Errorf("page %s: %d", page, w.Code)
		}
	}
}

// A snapshot is taken when something was recorded, and not for each request; an
// error is said and does not stay.
func TestSnapshots(t *testing.T) {
	f := &fake{doc: document(1), version: "1"}
	s, path := start(t, f)
	in := enter(t, s, path)
	for range 5 {
		ask(s, "GET", "/", in)
	}
	if f.snapshots != 1 {
		t.Errorf("%d snapshots", f.snapshots)
	}
	f.version = "2"
	ask(s, "GET", "/", in)
	if f.snapshots != 2 {
		t.Errorf("%d snapshots after a change", f.snapshots)
	}
	f.err = errors.New("disk on fire")
	if w := ask(s, "GET", "/", in); w.Code != 500 || !strings.Contains(w.Body.String(), "disk on fire") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	f.err = nil
	if w := ask(s, "GET", "/", in); w.Code != 200 {
		t.Errorf("%d afterwards", w.Code)
	}
}
