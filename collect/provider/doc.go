// Package provider knows the mail providers and mail servers of this world:
// where they answer, how one signs in, how they name their special folders,
// which folders hold no mail, what they limit and rewrite, and what their
// refusals mean. The knowledge is data (presets.toml, replies.toml), each
// preset with its source and the day on which that was looked at.
//
// The package reads what a server has said and draws conclusions; it speaks to
// no server, and decides nothing about a message. A preset never makes a
// statement about mail: what is left out because of one is recorded by the
// inventory as left out, with its count.
//
// Sections: RFC 2342 (NAMESPACE), RFC 2971 (ID), RFC 5530 (response codes), RFC
// 6154 (SPECIAL-USE), RFC 7889 (APPENDLIMIT).
package provider
