// Package diff answers the question that mailproof exists for: is every message
// of the source present and intact on the destination? It pairs two
// inventories of one account, makes a verdict for every message, counts them
// per folder and account, and plans the steps of the next copy pass.
//
// It is pure: it knows two inventories and nothing else. It never sees a
// server, SQL or the log of what was copied, as an APPENDUID is a claim and
// only a fresh reading of the destination is evidence. It imports the root
// package only and declares [Inventory], which the ledger satisfies.
//
// # Pairing
//
// Messages are paired as multisets, the finest tier first, so that copies
// count: two on the source want two on the destination. First each source
// message is looked for in the destination mailbox that its own is mapped to
// ([FolderMap]), by T0, T1, T2 and T2v. What is left of each Message-ID is
// settled with the whole account in view: what is equal by these tiers belongs
// together wherever it lies; then T3 pairs what remains, in the mapped folder
// first; and if then the mapped folder of a message that was found elsewhere
// still holds one of its identity that is nobody's counterpart, that one is its
// counterpart, altered, and the equal one elsewhere is a copy too many. Then
// come, by the tiers from T0 to T2v in the whole account, messages without
// Message-ID; then all by T2c, T3b and T4, in the mapped mailbox and in the account.
// Among messages of one Message-ID those of equal body go first, then those of
// equal header. Within one set of equal messages those of equal INTERNALDATE
// and flags are paired first, then those of equal INTERNALDATE, then the rest n-th with n-th by (INTERNALDATE, UID).
//
// Before all that, messages of which both sides have Gmail's X-GM-MSGID are
// paired where it is equal: in the same order of folders and tiers, copies with
// copies, but only with messages of that number. The number decides who belongs
// together and nothing else. A pair has to share the hash of some tier, T3b and
// T4 included, and its verdict is that of the finest it shares; an equal number
// over nothing equal is the accident of two accounts, and a number that more
// than 128 messages of a side have is none. Where no number occurs on both
// sides all is as if there were none.
//
// A label of Gmail is a mailbox over IMAP, and a message with three labels is
// listed three times under one number. They are compared as mailboxes. Where the
// destination lacks one of them and the message was found intact under another,
// no copy is lost but a label: the reason label-missing names it.
//
// A label can be hidden from IMAP and be no mailbox ("Show in IMAP"). X-GM-LABELS
// tells of it all the same ([Labelled]), and it is compared beside the verdict as
// flags are: a message that is good stays what it is, as none of its octets is
// lost, and Result.Labels says label-missing where the destination has its
// content neither under that label nor in the folder that the label is mapped to.
// \Starred is compared as the flag \Flagged; \Important, \Muted and the like are
// no places. The other way about, a source message may have no counterpart
// because the destination hides its label: then duplicate-collapsed has the
// reason label-hidden. It stays a collapse, as what IMAP does not show was not
// counted.
//
// Without such a number, T3b and T4 are suggestions. They pair only where the
// Date is the same too or where INTERNALDATE, From and Subject are, and T4 then
// only if one of the two has no Message-ID: otherwise today's report would pass
// for yesterday's and hide that one of them is missing. Last at T4 come messages
// of which one has no Message-ID and that share INTERNALDATE, Date, From and
// Subject, but no body. Suggestions are not made among more than 128 messages a
// side.
//
// Both inventories are read as sorted streams and merged. What is kept for each
// message is a few bits, and eight octets where it has an X-GM-MSGID until
// these are paired; leftovers are taken into memory once there are few
// (Options.Limit), and further rounds of streams do the same work where there
// are many. The messages of one set of equal ones are held together: of a large
// set the kinds of row that there are, and 64 octets for each message.
//
// # Verdicts
//
//	tier  in the mapped folder                          elsewhere
//	T0    identical                                     relocated
//	T1    identical-normalised                          relocated
//	T2    equivalent, or equivalent-with-notes where a  relocated
//	      loss beside the core is found: its reasons
//	T2v   equivalent-text                               relocated
//	T2c   equivalent-with-notes where the source has    relocated; altered
//	      no Message-ID, else altered
//	T3    altered; with an alias map that explains all  altered
//	      that differs: equivalent-with-notes
//	T3b   altered                                       altered
//	T4    altered                                       altered
//
// A source message without counterpart is duplicate-collapsed where a message
// of the same content was found intact, else missing; but where anything on
// the destination was not read, it is unverifiable: its counterpart may be
// there. A destination message without counterpart is duplicate-surplus where
// the source has its content, else extra; but where the depth of the pass left
// source messages unread, as a sample does, it is not checked: its original may
// be one of them. Flags, keywords and INTERNALDATE are
// compared beside the verdict; a date outside of 1970 to 2037 is not relied on.
//
// # Exceptions
//
// Missing, altered, duplicate-collapsed and unverifiable messages are open
// exceptions until somebody decides. A message found in a trash or junk folder
// only is open too, as servers empty these. Other relocated messages, and
// surplus duplicates, are noted for the record. Destination messages that
// cannot be read are open: one of them may be what is sought.
//
// # Findings
//
// The verdict of an account is [mailproof.Roll] of these findings and of
// nothing else. Where every exception of a check was accepted or waived, its
// outcome is accepted.
//
//	check                            outcome  when
//	inventory.complete               pass     a side was read to its end (one finding a side)
//	                                 unknown  it was not, or a folder of it was not
//	inventory.drift                  unknown  a folder changed while it was read, or its UIDVALIDITY did
//	inventory.exists                 unknown  a quiet folder has another number of messages than its server announced
//	messages.missing                 fail     a source message has no counterpart
//	messages.altered                 fail     a counterpart is not the same
//	messages.collapsed               fail     fewer copies than on the source
//	messages.relocated-to-trash      fail     found in a trash or junk folder only
//	messages.unverifiable            unknown  a source message cannot be judged
//	messages.destination-unreadable  unknown  a destination message could not be read
//	messages.not-checked             unknown  the content of a source message was not read
//	ledger.balance                   pass     the equations hold in every folder and for the account
//	                                 unknown  one does not: messages were counted that have no verdict, or the reverse
//	folders.absent                   warn     a source folder has no folder on the destination
//	folders.map                      info     folders were renamed, merged, or differ in case only
//	messages.flags                   warn     flags or keywords differ
//	messages.dates                   warn     INTERNALDATE differs by more than a second
//	messages.sizes                   warn     single messages came shorter than a source states whose sizes are right otherwise
//	messages.labels                  warn     labels that the source hides from IMAP are not on the destination
//	messages.signatures              warn     the octets of signed parts differ though their content does not
//
// # References
//
// RFC 9051 (IMAP4rev2) §2.3.1.1, §2.3.2, §5.1, §6.3.4; RFC 2342 (NAMESPACE);
// RFC 6154 (SPECIAL-USE); RFC 5322 §3.6; RFC 6376 §3.7; Gmail IMAP extensions,
// X-GM-MSGID.
package diff
