// Package mailgen invents mail for the demonstration and for tests: messages
// as a small company has them, and whole accounts of them. The same seed gives
// the same octets on every machine.
//
// It makes what real mail is made of (RFC 5322, RFC 2045 to 2047): plain text
// in several charsets and encodings, HTML alternatives, attachments that are
// valid files, forwarded messages, threads, headers with raw 8-bit octets,
// messages without a Message-ID, true duplicates, and different messages under
// one Message-ID; folders with names in other scripts. Every name and address
// is under a domain reserved by RFC 2606.
//
// It knows no server: what it returns is octets, flags, dates and paths. It
// stands on the root package alone.
package mailgen
