// Package meeting is the page for the sign-off meeting: an engagement as it
// stands, read-only, for the browsers of those who sit around the table. It
// shows the verdict, the runbook, the exceptions with their decisions, the
// report, and what a pass that is running has done so far.
//
// It writes nothing, to no file and to no ledger, asks no mail server, and
// decides nothing: whatever it shows comes from [Source]. A request must carry
// the cookie that the one-time token of the address was exchanged for, and name
// the host that is listened on, so that no other page in the same browser can
// ask (DNS rebinding). There is no script; the policy lets none run (Content
// Security Policy Level 3). Message text reaches a page through html/template
// alone.
//
// Sections: RFC 9110 §9.2.1 (safe methods), RFC 6265 (cookies), RFC 9111 §5.2.2.5
// (no-store).
package meeting

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/report"
)

// Snapshot is an engagement as it stood at one moment.
type Snapshot struct {
	Taken    time.Time
	Document *report.Document
	Runbook  *engagement.Runbook
}

// Progress is what a pass that runs has done so far.
type Progress struct {
	Pass    mailproof.Pass
	Running bool // else it is the last that ran
	Done    int64
	Text    string // "12,204 messages recorded, 3 of 12 accounts read"
}

// Source reads an engagement.
type Source interface {
	// Version changes when something was recorded; it is cheap.
	Version(ctx context.Context) (string, error)
	Snapshot(ctx context.Context) (*Snapshot, error)
	Progress(ctx context.Context) (Progress, error)
}

//go:embed page.html
var pageText string

//go:embed page.css
var css string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"count": terminal.Count, "time": func(t time.Time) string { return terminal.Time(t) }, "size": terminal.Size,
	"add": func(a, b int) int { return a + b },
}).Parse(pageText))

// Server answers the meeting's browsers. It is an [http.Handler].
type Server struct {
	source Source
	hosts  []string // that a request may name
	token  string   // of the address; empty once it was used
	policy string
	mux    *http.ServeMux

	mu      sync.Mutex
	cookies map[string]bool
	version string
	snap    *Snapshot
	html    []byte // the report of the snapshot; nil until somebody asks for it
}

// New makes a server for a listener's address, HOST:PORT, and returns it with
// the path that lets the first browser in.
func New(source Source, address string) (s *Server, path string, err error) {
	token, err := random()
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256([]byte(css))
	s = &Server{source: source, token: token, cookies: map[string]bool{}, hosts: hostsOf(address),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /{$}", s.show("overview"))
	s.mux.HandleFunc("GET /runbook", s.show("runbook"))
	s.mux.HandleFunc("GET /exceptions", s.show("exceptions"))
	s.mux.HandleFunc("GET /report", s.report)
	return s, "/?token=" + token, nil
}

func random() (string, error) {
	var b [24]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// hostsOf are the names under which a listener may be asked for.
func hostsOf(address string) []string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return []string{address}
	}
	hosts := []string{net.JoinHostPort(host, port)}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		hosts = append(hosts, net.JoinHostPort("localhost", port))
	}
	return hosts
}

// cookieName begins with __Host- no more than plain HTTP allows: on the
// loopback there is no TLS.
const cookieName = "mailproof-meeting"

// ServeHTTP lets in who may see, and nobody else.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for name, value := range map[string]string{
		"Content-Security-Policy": s.policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		"X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		"Permissions-Policy": "camera=(), microphone=(), geolocation=()",
	} {
		h.Set(name, value)
	}
	switch {
	case !slices.Contains(s.hosts, r.Host):
		http.Error(w, "not under this name", http.StatusMisdirectedRequest)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "this page is read-only", http.StatusMethodNotAllowed)
	case r.Method == http.MethodGet && r.URL.Query().Has("token"):
		// HEAD is what previews of links and scanners ask with: it changes
		// nothing (RFC 9110 §9.2.1), and lets nobody in.
		s.exchange(w, r)
	case !s.known(r):
		http.Error(w, "use the address that mailproof serve printed; it works once, in one browser", http.StatusForbidden)
	default:
		s.mux.ServeHTTP(w, r)
	}
}

// exchange turns the token of the address into a cookie. The token is used up.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	cookie, err := random()
	if err != nil {
		http.Error(w, "no random numbers", http.StatusInternalServerError)
		return
	}
	s.mu.Lock()
	given := r.URL.Query().Get("token")
	ok := s.token != "" && subtle.ConstantTimeCompare([]byte(given), []byte(s.token)) == 1
	if ok {
		s.token = ""
		s.cookies[cookie] = true
	}
	s.mu.Unlock()
	if !ok && !s.known(r) {
		http.Error(w, "this address was used already, or is another one: start mailproof serve again", http.StatusForbidden)
		return
	}
	if ok {
		http.SetCookie(w, &http.Cookie{Name: cookieName, Value: cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	}
	// Without the token, so that it stands in no history and no bookmark.
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *Server) known(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cookies[c.Value]
}

// current is the latest snapshot, taken anew where something was recorded
// since.
func (s *Server) current(ctx context.Context) (*Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version, err := s.source.Version(ctx)
	if err != nil {
		return nil, err
	}
	if s.snap != nil && s.version == version {
		return s.snap, nil
	}
	snap, err := s.source.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	s.snap, s.version, s.html = snap, version, nil
	return snap, nil
}

const perPage = 100

// view is what the page template is given.
type view struct {
	Name     string
	CSS      template.CSS
	Refresh  int // seconds
	Doc      *report.Document
	Runbook  *engagement.Runbook
	Progress Progress
	Taken    time.Time
	Tally    map[string]int64
	Hold     int

	Exceptions  []mailproof.Exception
	First, Last int
	All         int
	Page, Pages int
}

func (s *Server) show(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		snap, err := s.current(r.Context())
		if err != nil {
			http.Error(w, "the ledger cannot be read: "+err.Error(), http.StatusInternalServerError)
			return
		}
		v := view{Name: name, CSS: template.CSS(css), Refresh: 30, Doc: snap.Document, Runbook: snap.Runbook, Taken: snap.Taken, Tally: map[string]int64{}}
		if v.Progress, err = s.source.Progress(r.Context()); err == nil && v.Progress.Running {
			v.Refresh = 3
		}
		for i := range snap.Runbook.Steps {
			if snap.Runbook.Steps[i].Holds() {
				v.Hold++
			}
		}
		v.page(r.URL.Query().Get("page"))
		var out bytes.Buffer
		if err := page.Execute(&out, &v); err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(out.Bytes()) // who went away needs no answer
	}
}

// page cuts out one page of the exceptions that need, or needed, a decision.
func (v *view) page(text string) {
	var list []mailproof.Exception
	for _, x := range v.Doc.Exceptions {
		if x.Disposition == mailproof.Noted {
			continue
		}
		list = append(list, x)
		v.Tally[x.Disposition.String()]++
	}
	v.All, v.Pages = len(list), max(1, (len(list)+perPage-1)/perPage)
	n, err := strconv.Atoi(text)
	if err != nil {
		n = 1
	}
	v.Page = min(max(n, 1), v.Pages)
	from := (v.Page - 1) * perPage
	to := min(from+perPage, len(list))
	v.Exceptions, v.First, v.Last = list[from:to], from+1, to
}

// Decision is who decided on an exception.
func (v *view) Decision(id string) report.Decision { return v.Doc.Decisions[id] }

// StepsOf are the steps of one phase.
func (v *view) StepsOf(phase int) (steps []engagement.RunbookItem) {
	for _, s := range v.Runbook.Steps {
		if s.Phase == phase {
			steps = append(steps, s)
		}
	}
	return steps
}

var policyPattern = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]+)">`)

// report is the report as it would be written now, under its own policy.
func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	html, err := s.reportHTML(r.Context())
	if err != nil {
		http.Error(w, "the report cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	policy := "default-src 'none'"
	if m := policyPattern.FindSubmatch(html[:min(len(html), 16<<10)]); m != nil {
		policy = unescape(string(m[1]))
	}
	w.Header().Set("Content-Security-Policy", policy+"; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(html) // who went away needs no answer
}

func unescape(s string) string {
	for from, to := range map[string]string{"&#39;": "'", "&#43;": "+", "&#34;": `"`, "&amp;": "&"} {
		s = string(bytes.ReplaceAll([]byte(s), []byte(from), []byte(to)))
	}
	return s
}

func (s *Server) reportHTML(ctx context.Context) ([]byte, error) {
	snap, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.html != nil && s.snap == snap {
		return s.html, nil
	}
	var out bytes.Buffer
	if err := snap.Document.WriteHTML(&out); err != nil {
		return nil, err
	}
	if s.snap == snap {
		s.html = out.Bytes()
	}
	return out.Bytes(), nil
}

// Serve answers on a listener until the context ends, and then lets requests
// that are on their way come to their end.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 2 * time.Minute, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		if err := server.Close(); err != nil {
			return fmt.Errorf("close the page: %w", err)
		}
	}
	<-done // http.ErrServerClosed
	return nil
}
