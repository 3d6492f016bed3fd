package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof/cmd/internal/faultline"
	"github.com/mailproof/mailproof/collect/imapmem"
)

// A destination where each message waits for its go-ahead, and takes its time
// over it, is filled over several connections: no more than accounts may be at
// work at once, than the user allows, or than the server takes. Everything
// arrives, once, however many there are and whatever breaks.
func TestSeveralConnections(t *testing.T) {
	oneByOne := []string{"MULTIAPPEND", "LITERAL+"}
	for _, tt := range []struct {
		name        string
		hide        []string
		config      string
		server      int // connections of one account that the server takes
		args        []string
		least, most int // connections at once
		fault       faultline.Fault
	}{
		{name: "several", hide: oneByOne, least: 2, most: 4},
		{name: "pipelined, and slow", hide: oneByOne[:1], least: 2, most: 4},
		{name: "one is as fast", least: 1, most: 1},
		{name: "one at a time", hide: oneByOne, args: []string{"--parallel", "1"}, least: 1, most: 1},
		{name: "two allowed", hide: oneByOne, config: "[limits]\nconnections = 2\n", least: 2, most: 2},
		{name: "the server takes two", hide: oneByOne, server: 2, least: 2, most: 4},
		{name: "an answer is lost", hide: oneByOne, least: 2, most: 8, fault: faultline.Fault{Stage: faultline.Unanswered, Action: faultline.RST, Skip: 250}},
		{name: "cut within a message", hide: oneByOne, least: 2, most: 8, fault: faultline.Fault{Stage: faultline.MidAppend, Action: faultline.FIN, Skip: 250}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := badPair(t, imapmem.Options{}, imapmem.Options{Hide: tt.hide, MaxConnections: tt.server, OnAppend: func(_, _ string, raw []byte) ([]byte, error) {
				time.Sleep(3 * time.Millisecond) // what the server takes over a message
				return raw, nil
			}})
			for i := range 320 {
				p.source.Account("anna").Append("INBOX", fmt.Appendf(nil, "Subject: %d\r\n\r\n%s\r\n", i%300, strings.Repeat("x", i)), nil, time.Unix(1e9+int64(i), 0))
			}
			relay, err := faultline.New(p.destination.Addr())
			must(t, err)
			defer relay.Close()
			if tt.fault.Stage != "" {
				relay.Arm(tt.fault)
			}
			for i, arg := range p.args {
				p.args[i] = strings.Replace(arg, p.destination.Addr(), relay.Addr(), 1)
			}
			p.args = append(p.args, tt.args...)
			if tt.config != "" {
				must(t, os.WriteFile(filepath.Join(p.dir, "mailproof.toml"), []byte(tt.config), 0o600))
			}
			p.finish(t)
			if n := relay.Peak(); n < tt.least || n > tt.most {
				t.Errorf("%d connections at once, want %d to %d", n, tt.least, tt.most)
			}
			if tt.fault.Stage != "" && relay.Fired() != 1 {
				t.Errorf("the fault struck %d times: the test tests nothing", relay.Fired())
			}
		})
	}
}
