// Package mailproof holds the words of the project: the types that every room
// speaks and no mechanism at all. It imports the standard library only and
// nothing of ours; every other package may import it.
//
// # Words
//
// The code speaks RFC 9051 (IMAP4rev2) and RFC 5322 (messages). The customer's
// report says "folder" where the code says mailbox.
//
//   - engagement: one migration project, one directory, one ledger.
//   - account: one owner of mail, with a login on each [Side].
//   - [Mailbox]: a folder as LIST reports it.
//   - [Message]: one message in one mailbox, named by [MessageKey].
//   - [Fingerprint]: what mailproof remembers of a message's content.
//   - [Pass]: one run of inventory, copy, diff or DNS over an engagement.
//   - [MessageVerdict]: what was found for one message.
//   - [Finding]: the outcome of one check, about DNS or about the comparison.
//   - [Verdict]: what may be said of an account or of the engagement; only
//     [Roll] makes one.
//   - [Exception]: a message verdict that needs a decision; [Disposition] is
//     that decision.
//   - [Step]: one thing a copy pass is to do on the destination.
//   - ledger: the SQLite file that holds all of it.
//
// # What the zero values mean
//
// A value that was never filled in must never read as success. So the zero
// [Verdict] is Inconclusive, the zero [MessageVerdict] is Unverifiable, the
// zero [Outcome] is OutcomeUnknown and the zero [ReadState] is Unread.
package mailproof
