// Package dnsaudit judges the DNS of a mail domain at the three moments of a
// migration: while it is planned, when all should be ready, and after the
// cut-over. It asks every address of every authoritative server, and samples
// resolvers for what the world still believes; it compares the answers with
// the profile of the provider that the mail moves to; and it returns findings,
// each with what was expected, what each server said, and a remedy that prints
// the zone lines to change.
//
// The work has three parts that do not mix. Gathering (resolver.go, zones.go,
// dossier.go) asks and keeps every exchange as evidence. The checks
// (check_*.go) are small functions from what was gathered and the profile to
// findings; they ask nothing. Profiles (profiles.toml) are data.
//
// What could not be asked is unknown, and never a pass. Before a name exists
// only authoritative servers are asked for it: a question to a public resolver
// would plant a negative answer in its cache (RFC 2308 §5).
//
// The package imports the root package and its own room spf, writes no file
// and prints nothing. It follows RFC 1034, 1035, 2181, 2308, 4035, 5321, 6376,
// 6698, 7208, 7505, 7672, 8460, 8461, 9989 and 9990.
package dnsaudit
