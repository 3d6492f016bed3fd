// Package imapmem is an IMAP server that holds its mail in memory, for the
// demonstration and for tests. It keeps every message octet for octet: what
// APPEND brought is what FETCH gives back, whatever it holds. Nothing of it
// takes part in a proof; real migrations meet real servers.
//
// It speaks the protocol itself and uses no IMAP library, so that a test in
// which a client of ours talks to it never compares a library with itself.
//
// # What it does
//
// RFC 3501 with LITERAL+ (RFC 7888), MULTIAPPEND (RFC 3502), UIDPLUS (RFC
// 4315), NAMESPACE (RFC 2342), ID (RFC 2971), SASL-IR (RFC 4959), PLAIN (RFC
// 4616), STARTTLS, LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819),
// SPECIAL-USE and CREATE-SPECIAL-USE (RFC 6154), CHILDREN (RFC 3348), ESEARCH
// (RFC 4731), CONDSTORE (RFC 7162), ENABLE (RFC 5161), MOVE (RFC 6851),
// UNSELECT (RFC 3691), QUOTA (RFC 9208), COMPRESS=DEFLATE (RFC 4978), APPENDLIMIT (RFC 7889) and
// STATUS=SIZE (RFC 8438); with [Options].Gmail also the reading half of Gmail's
// X-GM-EXT-1. Any of them can be hidden with [Options].Hide. It
// has no ENVELOPE and no BODYSTRUCTURE: mailproof asks for neither.
//
// # What it guards
//
// EXAMINE protects: a STORE, EXPUNGE or MOVE on an examined mailbox is refused
// and recorded as a violation. \Seen is set by FETCH BODY[] on a selected
// mailbox, and by no BODY.PEEK[]. [Account.Activity] tells what was done to an
// account, so that a test can state that a source was never written to.
//
// Message bodies are shared and never copied: a fetch writes the stored octets
// to the connection.
package imapmem
