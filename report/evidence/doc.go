// Package evidence builds, signs and verifies the evidence bundle: a directory,
// or a zip of one, that holds what a migration was found to be, so that nobody
// can change it unseen afterwards.
//
// It reads and writes bundles and nothing else. It knows no ledger, no report
// and no server: what a bundle is made of comes through [Contents]. It imports
// the root package only. The one thing that it sends anywhere is a hash, to a
// timestamp authority that its caller names. It holds keys in memory; it writes
// no private key and no key of pseudonyms into a bundle.
//
// # Layout
//
// A bundle is a bag (RFC 8493), and every file of it has one form:
//
//	bagit.txt  bag-info.txt  manifest-sha256.txt  tagmanifest-sha256.txt
//	data/source.jsonl  data/destination.jsonl  data/verdicts.jsonl
//	data/source.checkpoint  data/destination.checkpoint  data/verdicts.checkpoint
//	data/dispositions.jsonl  data/dns.jsonl  data/passes.jsonl
//	data/attestations.jsonl  data/deletions.jsonl
//	report/report.html  report/report.pdf  report/report.json
//	keys/signer.pem  keys/signer.vkey  keys/allowed_signers
//	sig/tagmanifest.ed25519  sig/tagmanifest.sshsig
//	sig/tagmanifest.tsq  sig/tagmanifest.tsr  sig/tagmanifest.tsr.ed25519   where a timestamp was asked for
//	keys/countersigner-1.pem  keys/countersigner-1.allowed_signers          for each further signer
//	sig/countersigner-1.ed25519  sig/countersigner-1.sshsig  sig/countersigner-1.note
//	VERIFY.md
//
// The payload manifest covers data. The tag manifest covers the payload
// manifest, the report, keys/signer.*, keys/allowed_signers and VERIFY.md, and is
// what is signed: with Ed25519 over its octets (RFC 8032), and as ssh-keygen
// signs (PROTOCOL.sshsig, namespace "mailproof-bundle", SHA-512). What it does
// not cover can only be what its contents determine: a signature, a public key
// in its one form, a countersigner's signed statement, and the reply of a
// timestamp authority (RFC 3161), which the signer signs in turn.
//
// So the order is: lines, roots, checkpoints, bundle id, report, manifests,
// signature, timestamp. The report cites the roots and is covered by the
// signature.
//
// # Lines and trees
//
// A line is a JSON object with its keys in fixed order, without white space,
// strings escaped as RFC 8785 §3.2.2.2 says, and whole numbers. A reader refuses
// everything else, so that no two lines say the same. Lines end in LF.
//
// Lines of source, destination and verdicts are sorted by account, folder,
// UIDVALIDITY and UID, bytewise and as printed; on a tie the verdict on the
// source message comes first. Each of the three files is a tree of RFC 6962
// §2.1: a leaf is the octets of a line without its LF, and the index of a leaf is
// the line's number less one. Its head is a C2SP tlog-checkpoint, a signed note
// without extension lines whose key has the name of the origin,
// "mailproof/SERIES/TREE". No two bundles share a series. The bundle's id is
// "mp1-" and the first 16 hexadecimal digits of SHA-256 over the three
// checkpoints in the order source, destination, verdicts.
//
// A verdict is about one message of the source, or one of the destination that
// is nobody's counterpart, and every message of both inventories is in exactly
// one. It cites the lines of its messages by number and by the first 16 digits
// of their leaf hashes, so that a changed line is found, and not only a changed
// file. The proof is the root.
//
// The other files of data hold what the verdicts rest on beside the messages:
// every decision on an exception or a finding, every word for a step of the
// runbook, the last of each holding; DNS; the passes; and every message of the
// destination that was deleted on request. report.json repeats them, and a
// verification finds where it does not repeat them as they are.
//
// # Privacy
//
// In a redacted bundle accounts, folders, subjects, keywords, domains and
// persons are pseudonyms ([Pseudonyms]), and so are the hashes of messages; the
// Message-ID with its hashes, the MIH, what servers said, the words of people and
// the evidence of reasons are left out. Each leaf of the trees has a salt. A summary has the
// checkpoints over the lines of a redacted bundle and not the lines; they stay
// with its maker, who can prove single messages from them ([Prove]).
//
// # Proofs
//
// A [Proof] is a C2SP tlog-proof with the leaf in its extra field.
//
// # References
//
// RFC 6962 §2.1, RFC 8493, RFC 8785 §3.2.2.2, RFC 8032, RFC 3161, RFC 5816, RFC
// 5958, RFC 8018, RFC 8709 §4; C2SP signed-note, tlog-checkpoint, tlog-proof;
// OpenSSH PROTOCOL.sshsig; EDRM Message ID Hash.
package evidence
