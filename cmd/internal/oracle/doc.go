// Package oracle checks mailproof from outside: it reads two IMAP accounts on
// its own and says how they differ, so that an end-to-end test can hold
// mailproof's verdict against a second opinion. It also fills accounts and
// plants disagreements in them.
//
// It is written apart from the product on purpose, down to the reading of the
// wire and of modified UTF-7 (RFC 3501 §5.1.3), and may import nothing of it
// but the generator of test mail: an error in a shared piece would be believed
// by both. It is slow and simple where the product is fast: whole responses in
// memory, one command after the other. Reading uses EXAMINE and BODY.PEEK[];
// what writes says so in its name.
package oracle
