// Package imapconn is the only package that speaks IMAP as a client. It reads
// a source through a [Reader], which has no method that writes, so that
// writing to a source does not compile, and fills a destination through a
// [Writer]. It may not judge what it reads, store anything, or decide what is
// to be copied.
//
// # Layers
//
// A connection is a pile of layers, each with one job:
//
//	TCP, TLS       dial.go, tls.go   RFC 8314, RFC 9051 §6.2.1 (STARTTLS)
//	progress       progress.go       deadline on silence, octet counters
//	wire           wire.go           greeting, STARTTLS, sign-in, ID, line by line
//	sanitizer      sanitize.go       makes responses canonical, leaves literals alone
//	imapclient     go-imap           FETCH and SEARCH, the bulk of the octets
//
// go-imap's client closes the connection on a response that it does not know,
// and it loses a body without a word where a server answers in an unusual
// order. So it is handed canonical FETCH, SEARCH and tagged responses only.
// The commands that name mailboxes, and APPEND, are our own (command.go): a
// mailbox is asked for with the very octets that LIST gave, a refusal keeps
// the server's words, and a refused APPEND leaves the connection usable.
//
// X-GM-MSGID, Gmail's number of a message, is asked for by a command of our own
// too (gmail.go), once for each piece of [Reader.Metadata] and only of a server
// that announces X-GM-EXT-1. The sanitizer takes it out of the FETCH response
// and never passes it on. It is no evidence: a server that refuses it, or gives
// no number of 64 bits, is read like any other.
//
// # Round trips
//
// Commands of which none can be mistaken for an answer to another travel together
// (flight.go): ID, NAMESPACE and LIST behind the sign-in (survey.go), the opening of
// a mailbox and the listing of its messages (ahead.go). What came along in such a way
// is used only where it is whole and agrees with itself; else it is asked for again.
// LIST tells the states of mailboxes along where the server can (RFC 5819), never
// that of the open one.
//
// # What is not believed
//
// A FETCH that ended with OK has not proven that it answered for every
// message. [Reader.Metadata] counts against EXISTS and UID SEARCH ALL;
// [Reader.Bodies] accepts a body only if every announced octet arrived and the
// response around it was whole, asks again for what is missing, and reports
// what it could not get. An error is never an empty mailbox.
//
// Sections: RFC 9051 and RFC 3501 (IMAP4rev2, rev1), RFC 2342 (NAMESPACE), RFC
// 2971 (ID), RFC 5258 (LIST-EXTENDED), RFC 5819 (LIST-STATUS), RFC 3691
// (UNSELECT), RFC 6154 (SPECIAL-USE), RFC 7888
// (LITERAL+), RFC 4315 (UIDPLUS), RFC 4731 (ESEARCH), RFC 4959 (SASL-IR), RFC
// 4616 (PLAIN), RFC 5802 and RFC 7677 (SCRAM), RFC 5929 and RFC 9266 (channel
// binding), RFC 4013 (SASLprep), RFC 2195 (CRAM-MD5), RFC 7628 (OAUTHBEARER),
// RFC 4422 (EXTERNAL), RFC 2221 (login referrals), RFC 5530 (response codes), RFC 7162 (CONDSTORE), RFC 7889
// (APPENDLIMIT), RFC 9208 (QUOTA); Gmail IMAP extensions, X-GM-EXT-1.
package imapconn
