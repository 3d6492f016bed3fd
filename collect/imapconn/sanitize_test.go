package imapconn

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// sanitized runs input through a sanitizer, as if FETCH for bodies was under
// way and a command of our own listened.
func sanitized(r io.Reader, mode fetchMode) (out []byte, heard []string, err error) {
	s := newSanitizer(bufio.NewReaderSize(r, readBuffer), hooks{
		continuation: func() { heard = append(heard, "+") },
		untagged:     func(r response) { heard = append(heard, fmt.Sprintf("%s %d %v", r.name, r.number, r.values)) },
		unilateral:   func(st status) { heard = append(heard, fmt.Sprintf("%+v", st)) },
		tagged: func(tag string, st status) bool {
			if strings.HasPrefix(tag, "M") {
				heard = append(heard, fmt.Sprintf("%s %+v", tag, st))
				return true
			}
			return false
		},
	})
	s.mode.Store(uint32(mode))
	s.listening.Store(true)
	out, err = io.ReadAll(s)
	return out, heard, err
}

func TestSanitizer(t *testing.T) {
	for _, tt := range []struct{ name, in, out string }{
		{"plain", "* 1 FETCH (UID 5 FLAGS (\\Seen))\r\n", "* 1 FETCH (UID 5 FLAGS (\\Seen))\r\n"},
		{"blank lines", "\r\n \r\n\n* 1 FETCH (UID 5)\r\n", "* 1 FETCH (UID 5)\r\n"},
		{"double blanks", "*  1  FETCH  ( UID  5   FLAGS  ( \\Seen  x ) )\r\n", "* 1 FETCH (UID 5 FLAGS (\\Seen x))\r\n"},
		{"unknown responses", "* VANISHED 1:3\r\n* LSUB () nil x\r\n* XFOO {2}\r\nab c\r\nT1 OK done\r\n", "T1 OK done\r\n"},
		{"stray +", "+ go on\r\n+\r\nT1 OK done\r\n", "T1 OK done\r\n"},
		{"code without ]", "* OK [ALERT x\r\nT1 NO [NONEXISTENT gone\r\n", "T1 NO [NONEXISTENT] gone\r\n"},
		{"no text", "T1 OK\r\nT2 NO [TRYCREATE]\r\n", "T1 OK -\r\nT2 NO [TRYCREATE] -\r\n"},
		{"code with arguments", "T1 OK [APPENDUID 3 4:9] done\r\nT2 NO [X(a]b) c] d\r\n", "T1 OK done\r\nT2 NO d\r\n"},
		{"text like a code", "T1 NO [] [x\r\n", "T1 NO - [x\r\n"},
		{"INTERNALDATE NIL", "* 1 FETCH (INTERNALDATE NIL UID 5)\r\n", "* 1 FETCH (INTERNALDATE \" 1-Jan-0001 00:00:01 +0000\" UID 5)\r\n"},
		{"INTERNALDATE GMT", "* 1 FETCH (INTERNALDATE \"17-Jul-1996 02:44:25 GMT\")\r\n", "* 1 FETCH (INTERNALDATE \"17-Jul-1996 02:44:25 +0000\")\r\n"},
		{"INTERNALDATE 31-Feb", "* 1 FETCH (INTERNALDATE \"31-Feb-2020 02:44:25 +0000\")\r\n", "* 1 FETCH (INTERNALDATE \" 1-Jan-0001 00:00:01 +0000\")\r\n"},
		{"INTERNALDATE year 1", "* 1 FETCH (INTERNALDATE \"01-Jan-0001 00:00:00 +0000\")\r\n", "* 1 FETCH (INTERNALDATE \" 1-Jan-0001 00:00:01 +0000\")\r\n"},
		{"INTERNALDATE literal", "* 1 FETCH (INTERNALDATE {3}\r\nabc UID 5)\r\n", "* 1 FETCH (INTERNALDATE \" 1-Jan-0001 00:00:01 +0000\" UID 5)\r\n"},
		{"size -1", "* 1 FETCH (RFC822.SIZE -1)\r\n", "* 1 FETCH (RFC822.SIZE 0)\r\n"},
		{"odd flags", "* 1 FETCH (FLAGS (a]b 5% \"q\" NIL caf\xe9 \\Seen =))\r\n", "* 1 FETCH (FLAGS (a=5Db 5=25 q caf=E9 \\Seen =3D))\r\n"},
		{"FLAGS NIL", "* 1 FETCH (FLAGS NIL UID 5)\r\n", "* 1 FETCH (FLAGS () UID 5)\r\n"},
		{"unknown items", "* 1 FETCH (X-GM-MSGID 12 UID 5 X ((a {2}\r\n)( b)) Y {1}\r\nz ENVELOPE (NIL \")\"))\r\n", "* 1 FETCH (UID 5)\r\n"},
		{"literal8", "* 1 FETCH (UID 5 BODY[] ~{3}\r\na\x00b)\r\n", "* 1 FETCH (UID 5 BODY[] {3}\r\na\x00b)\r\n"},
		{"literal that looks like a response", "* 1 FETCH (UID 5 BODY[] {15}\r\n)\r\nT1 OK done\r\n)\r\n", "* 1 FETCH (UID 5 BODY[] {15}\r\n)\r\nT1 OK done\r\n)\r\n"},
		{"quoted body", "* 1 FETCH (UID 5 BODY[] \"a\\\"b\")\r\n", "* 1 FETCH (UID 5 BODY[] {3}\r\na\"b)\r\n"},
		{"other sections", "* 1 FETCH (UID 5 BODY[HEADER.FIELDS (\"A\")] {2}\r\nab BODY[]<0> {1}\r\nc)\r\n", "* 1 FETCH (UID 5)\r\n"},
		{"brace in a quoted string", "* 1 FETCH (X \"{5}\" UID 5)\r\n", "* 1 FETCH (UID 5)\r\n"},
		{"SEARCH", "* search  1 2   3 \r\n* SEARCH\r\n* SEARCH 4 (modseq 9)\r\n", "* SEARCH 1 2 3\r\n* SEARCH\r\n* SEARCH 4 (MODSEQ 9)\r\n"},
		{"ESEARCH", "* ESEARCH (TAG \"T1\") uid ALL 1:3,5\r\n", "* ESEARCH (TAG \"T1\") UID ALL 1:3,5\r\n"},
		{"lone LF", "T1 OK done\n", "T1 OK done\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in)), iotest.DataErrReader(strings.NewReader(tt.in))} {
				out, _, err := sanitized(r, fetchData)
				if string(out) != tt.out || err != nil {
					t.Errorf("got %q, error %v\nwant %q", out, err, tt.out)
				}
			}
		})
	}
}

func TestSanitizerRefuses(t *testing.T) {
	for _, in := range []string{
		"junk\r\n", "T1 WHAT\r\n", "X1 OK done\r\n", "* 1 FETCH\r\n", "* 1 FETCH (UID 5\r\n", "* 1 FETCH (UID 5) x\r\n", "* 0 FETCH (UID 5)\r\n",
		"* 1 FETCH (UID 0)\r\n", "* 1 FETCH (UID x)\r\n", "* 1 FETCH (BODY[] {3}\r\nabcd)\r\n", "* 1 FETCH (BODY[] {99999999999999999999}\r\n",
		"* 1 FETCH (BODY[] abc)\r\n", "* 1 FETCH (FLAGS (a\r\n", "* LIST () \"/\" \"unfinished\r\n", "* LIST () \"/\" {99999999}\r\n", "* SEARCH 1 ; 2\r\n",
		"* 99999999999 EXISTS\r\n", "* 1 FETCH (" + strings.Repeat("x", maxLine+1) + ")\r\n", "* LIST " + strings.Repeat("(", 100) + "\r\n",
	} {
		_, _, err := sanitized(strings.NewReader(in), fetchData)
		var p *protocolError
		if !errors.As(err, &p) {
			t.Errorf("%.60q: error %v, want a protocol error", in, err)
		}
	}
}

// Wherever the stream ends but between responses, it is an unexpected end.
func TestSanitizerCut(t *testing.T) {
	whole := "* 1 FETCH (UID 5 X {2}\r\nab BODY[] {10}\r\n0123456789 FLAGS ())\r\n* LIST () \"/\" {3}\r\nabc\r\n* SEARCH 1 2\r\nT1 OK done\r\n"
	ends := map[int]bool{0: true, len(whole): true}
	for _, mark := range []string{"FLAGS ())\r\n", "abc\r\n", "* SEARCH 1 2\r\n"} {
		ends[strings.Index(whole, mark)+len(mark)] = true
	}
	for i := range len(whole) + 1 {
		_, _, err := sanitized(strings.NewReader(whole[:i]), fetchBodies)
		if ends[i] && err != nil || !ends[i] && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d, after %q: %v", i, whole[max(0, i-10):i], err)
		}
	}
}

// A SEARCH response of a million numbers passes in bounded memory.
// Whatever comes again and again, and is nothing that was asked for, is an error
// in the end, in whichever mode; what a FETCH brings may be as much as it likes.
func TestEndlessResponses(t *testing.T) {
	for _, mode := range []fetchMode{fetchNone, fetchData, fetchBodies} {
		for _, line := range []string{"\r\n", "+ go\r\n", "* OK still here\r\n", "* 3 EXISTS\r\n", "* 1 FETCH (UID 5 FLAGS ())\r\n"} {
			s := newSanitizer(bufio.NewReader(strings.NewReader(strings.Repeat(line, 1000))), hooks{
				continuation: func() {}, untagged: func(response) {}, unilateral: func(status) {}, tagged: func(string, status) bool { return false }})
			s.most = 500
			s.mode.Store(uint32(mode))
			_, err := io.Copy(io.Discard, s)
			asked := mode == fetchData && strings.Contains(line, "FETCH")
			if malformed := strings.Contains(fmt.Sprint(err), "and no end"); malformed == asked {
				t.Errorf("mode %d, %q: %v", mode, line, err)
			}
		}
	}
}

// What a command of our own is told, and holds, has an end in octets as well.
func TestHeardIsBounded(t *testing.T) {
	told := 0
	line := "* LIST () \"/\" {1000}\r\n" + strings.Repeat("x", 1000) + "\r\n"
	s := newSanitizer(bufio.NewReader(strings.NewReader(strings.Repeat(strings.Repeat(line, 90)+"M1 OK done\r\n", 3)+strings.Repeat(line, 200))), hooks{
		continuation: func() {}, untagged: func(r response) { told += len(r.values[2].str) }, unilateral: func(status) {}, tagged: func(string, status) bool { return true }})
	s.mayHear = 100_000
	s.listening.Store(true)
	_, err := io.Copy(io.Discard, s)
	if !strings.Contains(fmt.Sprint(err), "and no end") || told < 3*90_000 || told > 4*100_000 {
		t.Errorf("%d octets were told: %v", told, err)
	}
}

// A SEARCH response that does not end is an error before it fills the memory.
func TestEndlessSearch(t *testing.T) {
	piece := bytes.Repeat([]byte("1 3 "), 1<<18)
	r := searchRewriter{active: true}
	var out []byte
	for n := 0; r.err == nil; n++ {
		if n > maxSearch/len(piece) {
			t.Fatalf("%d MB, and no error", n)
		}
		out = r.feed(out[:0], piece)
	}
}

func TestSanitizerLongSearch(t *testing.T) {
	var in strings.Builder
	in.WriteString("* SEARCH")
	for i := range 300_000 {
		fmt.Fprintf(&in, " %d", i*3+1)
	}
	in.WriteString("\r\nT1 OK done\r\n")
	out, _, err := sanitized(iotest.HalfReader(strings.NewReader(in.String())), fetchNone)
	if err != nil || string(out) != in.String() {
		t.Errorf("%d octets came out of %d: %v", len(out), in.Len(), err)
	}
}

// chunks cuts a stream into pieces of random length.
type chunks struct {
	r   io.Reader
	rng *rand.Rand
}

func (c chunks) Read(p []byte) (int, error) {
	if len(p) > 1 {
		p = p[:1+c.rng.IntN(min(len(p), 40))]
	}
	return c.r.Read(p)
}

func FuzzSanitizer(f *testing.F) {
	for _, seed := range []string{
		"* 1 FETCH (UID 5 BODY[] {3}\r\nabc FLAGS (\\Seen a]b))\r\nT1 OK done\r\n",
		"* SEARCH 1 2  3\r\n* ESEARCH (TAG \"T1\") UID ALL 1:3\r\n+ x\r\n\r\n",
		"* LIST (\\Noselect) \"/\" {3}\r\na&b\r\n* OK [UIDNEXT 5\r\nM1 NO [TRYCREATE] x\r\n",
		"*  12 fetch (X ({1}\r\n)) INTERNALDATE \"17-Jul-1996 02:44:25 GMT\" RFC822.SIZE -1 UID 3 body[] \"x\")\r\n",
		"* 1 FETCH (UID 5 X-GM-MSGID 18446744073709551615 BODY[] {3}\r\nabc)\r\n* 2 FETCH (X-GM-MSGID {2}\r\n12 UID 6)\r\n",
		"* 2 FETCH (MODSEQ (5) BODY[] ~{0}\r\n BODY[TEXT] {1}\r\nx)\r\n* BYE\r\n",
	} {
		f.Add([]byte(seed), uint64(1))
	}
	f.Add([]byte("*SEARCH )\n"), uint64(1))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		out, heard, err := sanitized(bytes.NewReader(in), fetchData)
		again, heardAgain, errAgain := sanitized(chunks{bytes.NewReader(in), rand.New(rand.NewPCG(seed, 0))}, fetchData)
		if !bytes.Equal(out, again) || fmt.Sprint(heard) != fmt.Sprint(heardAgain) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Fatalf("depends on how it was cut:\n%q %q %v\n%q %q %v", out, heard, err, again, heardAgain, errAgain)
		}
		own, _, _ := sanitized(bytes.NewReader(in), fetchGmail)
		for line := range bytes.Lines(own) {
			if len(line) > 2 && line[0] == '*' && line[2] >= '0' && line[2] <= '9' {
				t.Fatalf("a FETCH of ours reaches go-imap's client: %q", own)
			}
		}
		if len(out) > 4*len(in)+100 {
			t.Fatalf("%d octets became %d", len(in), len(out))
		}
		if err != nil {
			return
		}
		// What came out is canonical: it comes out again as it is.
		third, _, err := sanitized(bytes.NewReader(out), fetchData)
		if err != nil {
			t.Fatalf("not canonical: %q: %v", out, err)
		}
		if !bytes.Contains(out, []byte("=")) && !bytes.Contains(out, []byte("T")) && !bytes.Equal(third, out) {
			t.Fatalf("not canonical:\n%q\n%q", out, third)
		}
	})
}

// Literals of bodies pass octet for octet, whatever they hold and whatever
// stands around them.
func FuzzLiteral(f *testing.F) {
	f.Add([]byte("abc"), " FLAGS (x)", uint64(1))
	f.Add([]byte(")\r\nT1 OK\r\n"), " X {2}\r\nab", uint64(2))
	f.Fuzz(func(t *testing.T, body []byte, after string, seed uint64) {
		in := fmt.Sprintf("* 1 FETCH (UID 7 BODY[] {%d}\r\n%s%s)\r\n", len(body), body, after)
		out, _, _ := sanitized(chunks{strings.NewReader(in), rand.New(rand.NewPCG(seed, 0))}, fetchBodies)
		want := fmt.Sprintf("* 1 FETCH (UID 7 BODY[] {%d}\r\n%s", len(body), body)
		if !bytes.HasPrefix(out, []byte(want)) {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

func FuzzResponse(f *testing.F) {
	f.Add(`LIST (\a "b\"c") "/" x`, "literal")
	f.Add(`OK [PERMANENTFLAGS (a]b \*)] x`, "")
	f.Fuzz(func(t *testing.T, text, literal string) {
		if values, err := parseValues([]part{{text, literal, true}}); err == nil && len(values) == 0 {
			t.Fatal("the literal is lost")
		}
		before, size, found, err := literalAtEnd(text)
		if found && (size < 0 || len(before) >= len(text) || err != nil) {
			t.Fatalf("%q: %q %d %v", text, before, size, err)
		}
		if st, ok := parseStatus(text); ok && len(st.code)+len(st.args)+len(st.text) > 3*len(text) { // capitals may be longer
			t.Fatalf("%q became %+v", text, st)
		}
	})
}

func FuzzUTF7(f *testing.F) {
	for _, s := range []string{"Entwürfe", "a&b", "&-", "日本語", "&AOQ-", "R&D", "&2D3eCg-", "x\tz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if decoded, ok := decodeUTF7(s); ok && encodeUTF7(decoded) != s {
			t.Fatalf("%q decodes to %q, which encodes to %q", s, decoded, encodeUTF7(decoded))
		}
		s = strings.ToValidUTF8(s, "")
		encoded := encodeUTF7(s)
		if decoded, ok := decodeUTF7(encoded); !ok || decoded != s {
			t.Fatalf("%q encodes to %q, which decodes to %q, %v", s, encoded, decoded, ok)
		}
	})
}

// Whatever names a server lists, each keeps its own, and is asked for in the
// octets it was listed in.
func FuzzNames(f *testing.F) {
	f.Add("R&D", "R&-D")
	f.Add("caf\xe9", "caf&AOk-")
	f.Fuzz(func(t *testing.T, a, b string) {
		var table nameTable
		for _, raw := range []string{a, b, a} {
			name := table.decode(raw)
			if back := table.encode(name); back != raw && !(strings.EqualFold(raw, "INBOX") && back == "INBOX") {
				t.Fatalf("%q is named %q and asked for as %q", raw, name, back)
			}
		}
		if a != b && table.decode(a) == table.decode(b) && !strings.EqualFold(a, b) {
			t.Fatalf("%q and %q are both %q", a, b, table.decode(a))
		}
	})
}
