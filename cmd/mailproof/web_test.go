package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// web is mailproof serve as a script runs it, and the browser that was let in.
type web struct {
	address string
	client  *http.Client
	cancel  context.CancelFunc
	ended   chan int
}

var webs sync.Map // by *stage

// firstLine hands over the first line that is written.
type firstLine struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	line chan string
	done bool
}

func (f *firstLine) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buf.Write(p)
	if line, _, ok := strings.Cut(f.buf.String(), "\n"); ok && !f.done {
		f.done = true
		f.line <- line
	}
	return len(p), nil
}

func runWeb(ts *testscript.TestScript, args []string) error {
	st := stageOf(ts)
	if args[0] == "start" {
		return startWeb(ts, st, args[1])
	}
	v, ok := webs.Load(st)
	if !ok {
		return errors.New("no page was started")
	}
	w := v.(*web)
	base, err := url.Parse(w.address)
	if err != nil {
		return err
	}
	switch args[0] {
	case "get":
		body, code, err := fetch(w.client, http.MethodGet, "http://"+base.Host+args[1], "")
		if err != nil || code != http.StatusOK {
			return fmt.Errorf("GET %s: %d, %w\n%s", args[1], code, err, body)
		}
		return os.WriteFile(ts.MkAbs(args[2]), body, 0o600)
	case "status":
		// web status CODE METHOD PATH [HOST]: in a browser that was not let in
		host := ""
		if len(args) > 4 {
			host = args[4]
		}
		path := strings.ReplaceAll(args[3], "TOKEN", base.RawQuery)
		_, code, err := fetch(&http.Client{Timeout: 10 * time.Second}, args[2], "http://"+base.Host+path, host)
		if err != nil || strconv.Itoa(code) != args[1] {
			return fmt.Errorf("%s %s: %d, want %s, %w", args[2], path, code, args[1], err)
		}
		return nil
	case "stop":
		w.cancel()
		if code := <-w.ended; code != 0 {
			return fmt.Errorf("serve ended with %d", code)
		}
		webs.Delete(st)
		return nil
	}
	return fmt.Errorf("web %s is not known", args[0])
}

func startWeb(ts *testscript.TestScript, st *stage, dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	out := &firstLine{line: make(chan string, 1)}
	w := &web{cancel: cancel, ended: make(chan int, 1)}
	var stderr bytes.Buffer
	go func() {
		code := run(ctx, []string{"serve", "--dir", ts.MkAbs(dir)}, strings.NewReader(""), out, &stderr)
		w.ended <- code
	}()
	select {
	case w.address = <-out.line:
	case code := <-w.ended:
		return fmt.Errorf("serve ended with %d: %s", code, stderr.String())
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	w.client = &http.Client{Jar: jar, Timeout: 30 * time.Second}
	_, code, err := fetch(w.client, http.MethodGet, w.address, "")
	if err != nil || code != http.StatusOK {
		return fmt.Errorf("%s: %d, %w", w.address, code, err)
	}
	webs.Store(st, w)
	ts.Defer(func() {
		if _, left := webs.LoadAndDelete(st); left {
			cancel()
			<-w.ended
		}
	})
	return nil
}

func fetch(c *http.Client, method, address, host string) ([]byte, int, error) {
	r, err := http.NewRequest(method, address, nil)
	if err != nil {
		return nil, 0, err
	}
	r.Host = host
	resp, err := c.Do(r)
	if err != nil {
		return nil, 0, err
	}
	body, err := io.ReadAll(resp.Body)
	return body, resp.StatusCode, errors.Join(err, resp.Body.Close())
}
