// Package fingerprint turns the octets of a message into its
// [mailproof.Fingerprint]: one pure, streaming function.
package fingerprint
