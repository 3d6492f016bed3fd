package mailproof

import (
	"errors"
	"strings"
)

// ErrorKind classes what can go wrong with a server, by what there is to do
// about it.
type ErrorKind uint8

// The kinds.
const (
	ErrOther       ErrorKind = iota
	ErrUnknownHost           // the name does not resolve
	ErrUnreachable           // nobody answers at the address
	ErrTLS                   // the certificate does not verify, or there is no TLS where it is required
	ErrAuth                  // the server refused the sign-in
	ErrConnection            // the connection was cut, or went silent; trying again may help
	ErrProtocol              // the server said something that cannot be understood
	ErrRefused               // the server answered NO or BAD to one command; its words are in Text
	ErrNoMailbox             // the mailbox does not exist or cannot be selected
	ErrThrottled             // too many connections or commands; try later, with fewer
	ErrTooLarge              // the message exceeds what the server takes
	ErrQuota                 // the mailbox is full
)

var errorKindNames = map[ErrorKind]string{
	ErrOther: "error", ErrUnknownHost: "unknown host", ErrUnreachable: "unreachable", ErrTLS: "TLS", ErrAuth: "sign-in refused",
	ErrConnection: "connection lost", ErrProtocol: "protocol error", ErrRefused: "refused", ErrNoMailbox: "no such folder",
	ErrThrottled: "throttled", ErrTooLarge: "too large", ErrQuota: "over quota",
}

func (k ErrorKind) String() string { return errorKindNames[k] }

// ServerError is an error that a server caused or reported. It never holds a
// password, nor the command that carried one.
type ServerError struct {
	Kind   ErrorKind
	Server string // HOST:PORT
	Op     string // what was being done: "sign in as anna@example.com", "append to Sent"
	Code   string // response code in capitals without brackets (RFC 9051 §7.1): "TOOBIG"
	Text   string // the server's own words, without tag, status and code
	Err    error  // the cause, where the server had no words
}

// Error returns op, server and the server's own words.
func (e *ServerError) Error() string {
	var parts []string
	if e.Op != "" {
		parts = append(parts, e.Op)
	}
	if e.Server != "" {
		parts = append(parts, e.Server)
	}
	switch {
	case e.Code != "" || e.Text != "":
		parts = append(parts, e.Words())
	case e.Err != nil:
		parts = append(parts, e.Err.Error())
	default:
		parts = append(parts, e.Kind.String())
	}
	return strings.Join(parts, ": ")
}

// Words returns what the server said, with its response code: "[TOOBIG] too
// big".
func (e *ServerError) Words() string {
	if e.Code == "" {
		return e.Text
	}
	return strings.TrimSpace("[" + e.Code + "] " + e.Text)
}

// Unwrap returns the cause.
func (e *ServerError) Unwrap() error { return e.Err }

// KindOf returns the kind of the first [ServerError] in err's chain, or
// ErrOther.
func KindOf(err error) ErrorKind {
	var se *ServerError
	if errors.As(err, &se) {
		return se.Kind
	}
	return ErrOther
}
