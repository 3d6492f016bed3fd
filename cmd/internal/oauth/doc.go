// Package oauth gets OAuth 2 access tokens for IMAP and keeps them fresh: by a
// person's sign-in in a browser on this machine (RFC 8252, with PKCE, RFC 7636)
// or on another one (RFC 8628), by an application's own right (RFC 6749 §4.4,
// with a secret or a signed assertion, RFC 7523 §2.2), or by a service account
// that stands in for its users (RFC 7523 §2.1).
//
// What outlives the process, refresh tokens above all, is kept in the system's
// keyring or in a file encrypted with age, and nowhere else. No error, log or
// file of ours holds a token, code or secret. Two processes, and any number of
// connections, share one refresh: a refresh token that is used twice at once is
// taken for a stolen one and revoked.
//
// The package may not touch IMAP, the ledger or the terminal: it returns values,
// and asks a [UI] to show a person where to sign in.
package oauth
