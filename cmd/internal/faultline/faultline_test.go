package faultline

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"
)

// stages runs a scan over a conversation cut into random chunks: the stages and
// their offsets must not depend on the cuts.
func stages(s scan, talk []byte, r *rand.Rand) []string {
	var out []string
	for at := 0; at < len(talk); {
		n := 1 + r.IntN(len(talk)-at)
		chunk := talk[at : at+n]
		for len(chunk) > 0 {
			k, stage := s.next(chunk)
			at += k
			chunk = chunk[k:]
			if stage != "" {
				out = append(out, fmt.Sprintf("%s@%d", stage, at))
			}
			if k == 0 && stage == "" {
				panic("no progress")
			}
		}
	}
	return out
}

func TestScanIsIndependentOfChunks(t *testing.T) {
	client := []byte("a1 LOGIN anna {2}\r\npw\r\na2 EXAMINE INBOX\r\na3 APPEND INBOX {10+}\r\n0123456789 {4+}\r\nabcd\r\na4 UID FETCH 1 (BODY.PEEK[])\r\n")
	server := []byte("* OK ready\r\na1 OK in\r\n* 1 FETCH (UID 1 BODY[] {10}\r\n0123456789)\r\na4 OK done\r\n")
	for _, tt := range []struct {
		name string
		make func() scan
		talk []byte
		want []string
	}{
		{"client", func() scan { return newClientScan() }, client,
			[]string{"sign-in@23", "examine@41", "mid-append@69", "mid-batch@83", "unanswered@87"}},
		{"server", func() scan { return newServerScan() }, server,
			[]string{"greeting@5", "server-line@12", "server-line@22", "mid-fetch@57", "server-line@65", "server-line@77"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for range 500 {
				if got := stages(tt.make(), tt.talk, r); !slices.Equal(got, tt.want) {
					t.Fatalf("got %q, want %q", got, tt.want)
				}
			}
		})
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("a1 APPEND INBOX {3+}\r\nabc\r\n"), uint64(1))
	f.Add([]byte("* 1 FETCH (BODY[] {99999999999999999999}\r\n"), uint64(2))
	f.Fuzz(func(t *testing.T, talk []byte, seed uint64) {
		for _, mk := range []func() scan{func() scan { return newClientScan() }, func() scan { return newServerScan() }} {
			whole := stages(mk(), talk, rand.New(rand.NewPCG(seed, 1)))
			if other := stages(mk(), talk, rand.New(rand.NewPCG(seed, 2))); !slices.Equal(whole, other) {
				t.Fatalf("%q and %q", whole, other)
			}
		}
	})
}

// echo is a server that greets and answers every line.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprint(c, "* OK ready\r\n")
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					fmt.Fprint(c, "got ", line)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestActions(t *testing.T) {
	for _, tt := range []struct {
		fault Fault
		want  string // what the client reads
		end   func(error) bool
	}{
		{Fault{}, "* OK ready\r\ngot a1 LOGIN x y\r\n", nil},
		{Fault{Stage: Greeting, Action: FIN}, "* OK ", func(err error) bool { return errors.Is(err, io.EOF) || isReset(err) }},
		{Fault{Stage: SignIn, Action: FIN}, "* OK ready\r\n", func(err error) bool { return errors.Is(err, io.EOF) || isReset(err) }},
		{Fault{Stage: SignIn, Action: RST}, "* OK ready\r\n", isReset},
		{Fault{Stage: SignIn, Action: Silence}, "* OK ready\r\n", isTimeout},
		{Fault{Stage: SignIn, Action: FIN, Skip: 1}, "* OK ready\r\ngot a1 LOGIN x y\r\n", nil},
	} {
		t.Run(tt.fault.String(), func(t *testing.T) {
			r, err := New(echo(t))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			r.Arm(tt.fault)
			c, err := net.Dial("tcp", r.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			// The command goes out when the greeting is in, as a client's does.
			if _, err := io.CopyN(&got, c, 12); err == nil {
				fmt.Fprint(c, "a1 LOGIN x y\r\n")
				_, err = io.CopyN(&got, c, 18)
				if (tt.end == nil) != (err == nil) || tt.end != nil && !tt.end(err) {
					t.Errorf("the connection ended with %v", err)
				}
			} else if tt.end == nil || !tt.end(err) {
				t.Errorf("the connection ended with %v", err)
			}
			if got.String() != tt.want {
				t.Errorf("read %q, want %q", got.String(), tt.want)
			}
			if fired := r.Fired(); (fired == 1) != (tt.end != nil) {
				t.Errorf("fired %d times", fired)
			}
		})
	}
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// A client that has hung up on a silent link is no open connection any more,
// also where the link fell silent in what the client was sending.
func TestSilenceEnds(t *testing.T) {
	mute = time.Millisecond
	defer func() { mute = 5 * time.Second }()
	r, err := New(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.Arm(Fault{Stage: MidAppend, Action: Silence})
	c, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "a1 APPEND INBOX {100000+}\r\n%0100000d\r\n", 0)
	for r.Fired() == 0 {
		time.Sleep(time.Millisecond) // waits for a state, not for a time
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		open := r.open
		r.mu.Unlock()
		if open == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open", open)
		}
	}
}
