// Package dnsmem is a name server in memory, for tests and for the demo: it
// serves zones from strings over UDP and TCP on loopback, authoritatively
// (RFC 1034 §4.3.2) or as a small recursive resolver with a cache (§5.3.3),
// and can be made to misbehave in the ways that real servers do.
//
// It is no server for the open network: it listens on loopback only. It may
// not touch files, and imports nothing of ours.
package dnsmem
