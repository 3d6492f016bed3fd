package imapconn

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"

	"github.com/mailproof/mailproof"
)

// wire speaks IMAP line by line, one command at a time, before anything else
// does: greeting, STARTTLS, sign-in, ID. It knows no mailboxes.
type wire struct {
	conn   *progressConn
	br     *bufio.Reader
	server string // HOST:PORT, for errors
	masker masker
	tls    *tls.ConnectionState // nil without TLS
	caps   capabilities
	tags   int
	lines  int // that were read
}

// maxWireLines is how many lines a server may say before the sign-in is done: one
// that never comes to an end would hold the line for ever.
const maxWireLines = 10_000

// readBuffer is the size of the one buffer between the network and the parser.
const readBuffer = 64 << 10

func newWire(conn *progressConn, server string, m masker) *wire {
	return &wire{conn: conn, br: bufio.NewReaderSize(conn, readBuffer), server: server, masker: m}
}

// readLine reads one line. Nothing that a server may say before sign-in needs
// more than the buffer holds.
func (w *wire) readLine() (string, error) {
	if w.lines++; w.lines > maxWireLines {
		return "", malformed("%d lines before the end of the sign-in", maxWireLines)
	}
	line, err := w.br.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", malformed("a line of more than %d octets before sign-in", readBuffer)
	case err != nil && len(line) > 0:
		return "", unexpected(err)
	case err != nil:
		return "", err
	}
	return string(chomp(line)), nil
}

// failure is the error of a connection that failed before sign-in.
func (w *wire) failure(op string, err error) error {
	var se *mailproof.ServerError
	if errors.As(err, &se) {
		return err
	}
	return serverFailure(w.masker, w.server, op, err)
}

// serverFailure wraps what ended a connection.
func serverFailure(m masker, server, op string, err error) *mailproof.ServerError {
	kind := kindOfFailure(err)
	if text := err.Error(); m.mask(text) != text {
		err = errors.New(m.mask(text))
	}
	if isEnd(err) {
		err = fmt.Errorf("the server closed the connection: %w", err)
	}
	return &mailproof.ServerError{Kind: kind, Server: server, Op: op, Err: err}
}

// greeting reads the server's first line (RFC 9051 §7.1.5).
func (w *wire) greeting() (status, error) {
	const op = "connect"
	if err := w.conn.arm(); err != nil {
		return status{}, w.failure(op, err)
	}
	defer w.conn.disarm()
	line := ""
	for strings.TrimSpace(line) == "" {
		var err error
		if line, err = w.readLine(); err != nil {
			return status{}, w.failure(op, err)
		}
	}
	rest, untagged := strings.CutPrefix(line, "*")
	st, ok := parseStatus(rest)
	switch {
	case !untagged || !ok || st.typ == "NO" || st.typ == "BAD":
		return status{}, w.failure(op, malformed("no greeting of IMAP but %q", w.masker.excerpt(line)))
	case st.typ == "BYE":
		return status{}, w.masker.refusal(w.server, op, st)
	}
	if st.code == "CAPABILITY" {
		w.caps = parseCapabilities(st.args)
	}
	return st, nil
}

// command sends one line and reads the answer up to its completion.
// Continuation requests are answered by reply, which gets the text after the
// "+" and returns the line to send. Untagged data go to untagged; both may be
// nil. line and what reply returns may hold a secret: neither is ever shown.
func (w *wire) command(op, line string, untagged func(string), reply func(string) (string, error)) (status, error) {
	w.tags++
	tag := fmt.Sprintf("S%d", w.tags)
	defer w.conn.disarm()
	if _, err := w.conn.Write([]byte(tag + " " + line + "\r\n")); err != nil {
		return status{}, w.failure(op, err)
	}
	var bye *status
	for {
		answer, err := w.readLine()
		if err != nil {
			if bye != nil && isEnd(err) {
				return status{}, w.masker.refusal(w.server, op, *bye)
			}
			return status{}, w.failure(op, err)
		}
		answer = strings.TrimSpace(answer)
		switch {
		case answer == "":
		case answer[0] == '+':
			if reply == nil {
				return status{}, w.failure(op, malformed("a continuation request that nothing asked for"))
			}
			next, err := reply(strings.TrimSpace(answer[1:]))
			if err != nil {
				return status{}, w.failure(op, err)
			}
			if _, err := w.conn.Write([]byte(next + "\r\n")); err != nil {
				return status{}, w.failure(op, err)
			}
		case answer[0] == '*':
			data := strings.TrimSpace(answer[1:])
			if st, ok := parseStatus(data); ok {
				if st.typ == "BYE" {
					bye = &st
				} else if st.code == "CAPABILITY" {
					w.caps = parseCapabilities(st.args)
				}
			} else if untagged != nil {
				untagged(data)
			}
		default:
			got, rest, _ := strings.Cut(answer, " ")
			st, ok := parseStatus(rest)
			if got != tag || !ok {
				return status{}, w.failure(op, malformed("%q", w.masker.excerpt(answer)))
			}
			return st, nil
		}
	}
}

// capability asks for the capabilities (RFC 9051 §6.1.1).
func (w *wire) capability() error {
	const op = "ask for capabilities"
	w.caps = nil
	st, err := w.command(op, "CAPABILITY", func(data string) {
		if name, args, _ := strings.Cut(data, " "); strings.EqualFold(name, "CAPABILITY") {
			w.caps = parseCapabilities(args)
		}
	}, nil)
	if err != nil {
		return err
	}
	if !st.ok() {
		return w.masker.refusal(w.server, op, st)
	}
	return nil
}

// identify exchanges ID (RFC 2971) and returns the name and version that the
// server gives. A server that refuses it is not asked again.
func (w *wire) identify(name, version string) (string, error) {
	var id string
	_, err := w.command("identify", identification(name, version), func(data string) {
		word, args, _ := strings.Cut(data, " ")
		if !strings.EqualFold(word, "ID") {
			return
		}
		if values, err := parseValues([]part{{text: args}}); err == nil && len(values) == 1 {
			id = w.masker.printable(serverID(values[0].list))
		}
	}, nil)
	return id, err
}

// identification is the ID command (RFC 2971 §3.1).
func identification(name, version string) string {
	if name == "" {
		return "ID NIL"
	}
	return "ID (" + quote("name") + " " + quote(name) + " " + quote("version") + " " + quote(version) + ")"
}

func serverID(pairs []value) string {
	var name, version string
	for i := 0; i+1 < len(pairs); i += 2 {
		switch strings.ToLower(pairs[i].str) {
		case "name":
			name = pairs[i+1].nstring()
		case "version":
			version = pairs[i+1].nstring()
		}
	}
	return printable(strings.TrimSpace(name + " " + version))
}

// authenticate runs a SASL mechanism (RFC 9051 §6.2.2), with the initial
// response in the command where SASL-IR is offered (RFC 4959). failure is why
// the client itself gave up, where it did.
func (w *wire) authenticate(op string, client sasl.Client) (st status, failure, err error) {
	mech, initial, err := client.Start()
	if err != nil {
		return status{}, nil, err
	}
	line := "AUTHENTICATE " + mech
	pending := initial != nil
	if pending && w.caps.has("SASL-IR") {
		line += " " + encodeSASL(initial)
		pending = false
	}
	st, err = w.command(op, line, nil, func(challenge string) (string, error) {
		if pending {
			pending = false
			return encodeSASL(initial), nil
		}
		raw, err := base64.StdEncoding.DecodeString(challenge)
		if err != nil {
			return "", malformed("a challenge that is not base64")
		}
		answer, err := client.Next(raw)
		if err != nil {
			failure = err
			return "*", nil // cancels, RFC 9051 §6.2.2: the server answers BAD
		}
		return base64.StdEncoding.EncodeToString(answer), nil
	})
	return st, failure, err
}

// encodeSASL writes an initial response; an empty one is "=".
func encodeSASL(b []byte) string {
	if len(b) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(b)
}

// quote writes a quoted string. The text must not hold CR, LF or NUL.
func quote(s string) string { return `"` + quotedChars.Replace(s) + `"` }

var quotedChars = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// quotable reports whether every server reads the text in quotes.
func quotable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
