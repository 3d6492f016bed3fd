// Package fingerprint turns the octets of a message into its
// [mailproof.Fingerprint]: one pure, streaming function of the octets and of
// nothing else. It opens no file and no connection, knows no server and no
// ledger, and has no error of its own: every sequence of octets has a
// fingerprint. It stands on RFC 5322 (messages), RFC 2045, 2046, 2047 and 2231
// (MIME), RFC 1847 (signed parts) and RFC 6376 (the body hash of DKIM).
//
// What follows is the norm of the algorithm mpfp-1. It is meant to be enough
// for a second implementation that gets the same hashes; testdata/fingerprint
// of the repository has messages with all of theirs in vectors.json.
//
// # 1. Notation
//
// H is SHA-256. Octets are written in C notation. WSP is SP or HTAB, white
// space without further words is SP and the octets 0x09 to 0x0D. Lower case of
// names, types and parameters is that of ASCII.
//
//	num(n)        n as 8 octets, most significant first
//	str(s)        num(length of s in octets), s
//	list(s1 … sn) num(n), str(s1), …, str(sn)
//	hash(name, x) H(str("mpfp-1"), str(name), x)
//
// A Short is the first 16 octets of a hash.
//
// # 2. Tier T0
//
// T0 is H of the octets as they came, with no prefix: sha256sum(1) of the
// literal of BODY.PEEK[] gives the same value. It is the only hash without the
// name of the algorithm, as it does not depend on one.
//
// # 3. Canonical lines
//
// A line ends at LF, or at the end of the input. CRs before that end belong to
// the line end (CR* LF); all others are content. In the content NUL becomes
// 0x80. A run of 1 to 64 ">" at the beginning of a line is removed where
// "From " follows it. Blank lines (without an octet) at the end of the body
// are left off. The blank line that ends the header is not of the body.
//
// Everything below is made of canonical lines and of nothing else. So two
// messages with equal T1 have equal T2, and so on down, by construction.
//
// An implementation reads a line in pieces of 65,536 raw octets. A line with
// its line end longer than that is no delimiter (§7); nothing else depends on
// pieces.
//
// # 4. Header
//
// A line is a field if it begins with 1 to 998 octets from 0x21 to 0x7E except
// ":" (the name), perhaps WSP, and ":". A line that begins with WSP after a
// field continues it. The canonical value of a field is all its lines joined,
// each run of WSP as one SP, none at either end; its name is in lower case.
//
// Before the first field, lines beginning "From " or ">From " that are no
// field are envelope lines and dropped. If then the first line is neither
// a field nor blank, there is no header and the line is the first of the body.
// The header of a part is read in the same way, but has no envelope lines.
// Later lines that are no field, with their continuations, are junk: their
// value is made as that of a field.
//
// The fields that §6, §7 and §13 name are kept, up to 1,048,576 octets in a
// message's header and 65,536 in a part's, where each costs its value and 32. The
// first that goes beyond, and all later ones of these names, are not kept:
// "name:value" LF of each goes into OVER instead. JUNK has the value and LF of every junk
// line. In the header of a part only the three Content fields count, and OVER
// is not used.
//
// # 5. Tier T1
//
//	T1 = H(str("mpfp-1"), str("T1"), fields, LF, body)
//
// where fields is, in order, "name:value" LF for each field, ":value" LF for
// junk, and nothing for envelope lines and for the bookkeeping of stores: status,
// x-status, x-keywords, x-uid, x-uidl, x-imap, x-imapbase, content-length,
// lines, x-tuid, x-offlineimap, x-gmail-labels, x-delivery-id, x-message-flag and
// every name beginning x-mozilla- or x-gm-; and body is the canonical lines of
// the body, each followed by LF.
//
// # 6. Head
//
//	HEAD = hash("head", str(date) list(from) list(to) list(cc) str(subject) str(over) str(junk))
//
// where over and junk are the 32 octets of H(OVER) and H(JUNK), or empty where
// there is none of either, and
//
//   - date: of the first Date field, the instant as "2006-01-02T15:04:05Z"; "?"
//     and the value where it cannot be read; empty if there is none. It is
//     read as words (8 at most), separated by white space, commas and comments, by
//     "-" after the beginning of one of the first four, and by "+" or "-" after
//     a ":": a day of the week (its first three letters; may be absent),
//     day (1 or 2 digits), month (first three letters), year (2 digits: below 50
//     in the 21st century, else in the 20th; 3 digits: plus 1900; or 4), hh:mm
//     or hh:mm:ss, zone. Month before day, with the year after the time, is
//     read too. The zone is +hhmm or -hhmm (a colon between may be), or one of
//     EST EDT CST CDT MST MDT PST PDT (-5 -4 -6 -5 -7 -6 -8 -7 hours);
//     every other word not beginning with a digit, and none, is +0000. An
//     hour above 23, a minute above 59, a second above 60 or a day that the
//     month has not cannot be read.
//   - from, to, cc: the addresses (§6.1) of all fields of that name, sorted by
//     their octets, each as often as it occurs.
//   - subject: the text (§6.2) of the first Subject field.
//
// ID, the Message-ID, is of the first such field that has one: from the first
// "<" to the next ">", or the whole value where there is no such pair, all
// white space removed; empty if there is none.
//
// # 6.1 Addresses
//
// A value is read from left to right. A quoted-string and a comment, which
// may nest, are what RFC 5322 says; one without its end is plain text from its
// first octet on, and so are all later ones in the value. A "[" with a "]"
// within 255 octets is a domain literal. "," and ";" end an address, a ":"
// before which the address has no "@" and no "<" ends the name of a group,
// which is dropped. "<" to the next ">" outside quoted-strings is the address,
// and nothing within ends it; of several the first. Without one, everything but comments is. The name is
// the text (§6.2) of what stands outside the brackets, quoted-strings without
// their quotes; without brackets, of the first comment.
//
// The canonical address is without comments; white space as one SP, trimmed; a
// route ("@…:") removed; then split at the last "@". In both halves SP beside
// "." and at the ends is removed, unless the half begins with a quote; a local
// part that is one quoted-string with the content of a dot-atom loses its
// quotes; octets are decoded as in §9 without a declared charset, NFC; Unicode
// lower case. The domain loses one final "."; if it is not ASCII it becomes
// A-labels (RFC 3492, no other mapping). Without "@" the address is the text
// (§6.2) of the whole, in lower case. An empty address is left out.
//
// # 6.2 Text of a header value
//
// Encoded-words are decoded wherever they stand: "=?", a charset (1 to 80
// octets, none of SP HTAB < > @ , ; " =, cut at "*"), "?", B or Q, "?", anything up to the
// next "?=", 4,096 octets at most in all. White space between two of them
// is dropped. Adjacent ones with the same charset are joined as octets before
// they are decoded. B is decoded as in §8, Q as RFC 2047 says, "=" without two
// hexadecimal digits standing for itself. The octets and the text between are
// decoded to characters as in §9, the latter without a declared charset. Then
// NFC, white space as one SP, trimmed.
//
// # 7. Structure
//
// The body of an entity is decided by the first Content-Type, the first
// Content-Transfer-Encoding and the first Content-Disposition of its header.
// Comments are removed from all three. The media type is the value up to ";"
// or white space, in lower case; without a "/" with something on both sides
// it is text/plain, in a part of a multipart/digest message/rfc822. Parameters
// are what follows it, with or without a ";" between: name=value pairs separated by ";", values quoted or up to the next ";", the
// first of a name counts, 256 at most; sections "name*0", "name*1*", …
// (RFC 2231) are joined in order. The encoding is base64 or quoted-printable;
// every other is the identity.
//
//   - multipart/* with a boundary parameter of 1 to 998 octets (WSP at its end
//     removed) is a multipart, whatever its encoding says. A delimiter is a
//     line of "--", the boundary, perhaps "--", perhaps WSP, and nothing
//     else, a run of WSP counting as one SP, as it does in the header. It is looked for in all multiparts that are open and not yet
//     closed by their own closing delimiter, the innermost first; it ends
//     everything that is open inside its multipart. The line end before it
//     is part of it. Before the first is the preamble, after the closing one
//     the epilogue. If none comes, what would be the preamble is a leaf of
//     kind data with that media type, encoding identity.
//   - message/rfc822, message/global and message/news are an embedded message.
//     In the identity encoding its lines are those of the part. Otherwise its
//     octets are what the part decodes to (§8), read as in §3; but if
//     base64 is claimed and the first line that is not blank is a field or an
//     envelope line, the encoding is the identity and blank lines before it do
//     not count.
//   - anything else is a leaf: of kind html if text/html, of kind text if any
//     other text/*, else of kind data.
//
// Limits: an entity that would be the 65th container within each other, an
// embedded message in an encoding within four such, is a leaf of kind
// data. Parts begun by a delimiter and embedded messages are counted, all
// together; behind a delimiter that begins a part beyond the 20,000th, the rest
// of the message, or of the embedded message in an encoding, is one
// leaf of kind data, encoding identity.
//
// # 8. Decoding
//
// The decoded octets of a leaf are, in the identity encoding, its lines joined
// by CR LF. In base64: what is not in the alphabet is left out; four
// characters give three octets; "=" and the end of the part end a group, whose two or
// three characters give one or two octets, whose single one gives none; then
// decoding goes on. In quoted-printable: WSP at the end of each line is
// removed (if it is longer than 1,000 octets, none of it is); a final "=" is
// removed and joins the line with the next; other lines are joined by CR LF;
// "=" and two hexadecimal digits of either case are an octet; any other "="
// stands for itself.
//
// # 9. Characters
//
// Octets with a declared charset become characters so: us-ascii, utf-8 and none
// declared (also ascii, utf8, unknown-8bit, x-unknown, default_charset): as UTF-8
// where they are valid UTF-8; iso-8859-1 (latin1) and windows-1252 (cp1252) by
// their tables, windows-1252 with the five free places as C1 controls; utf-7 as
// RFC 2152, all of ASCII but "+" direct, its runs of base64 without bits left over; any
// other charset that is known (those of go-message/charset: the IANA names of
// golang.org/x/text), if every sequence has a character, none of them
// U+FFFD; and where all that fails, as UTF-8 if valid, else windows-1252.
//
// # 10. Canonical content
//
// Kind data: the decoded octets with line ends (CR* LF, and CR* at the end) as
// LF and those at the end removed, if the octets are text-like: none is below
// 0x20 or 0x7F, except HTAB, LF, FF, CR and ESC. Otherwise the decoded octets:
// in the identity encoding too, whose lines are joined by CR LF (§8), so that
// what a gateway turns into base64 stays what it was.
//
// Kinds text and html: the characters (§9) as UTF-8, a BOM (U+FEFF) at the
// beginning removed, NFC (in its stream-safe form, UAX 15 §13); then of each
// line, ended by LF: quoting of "From " removed as in §3, SP, HTAB
// and CR at the end removed; then blank lines and the last LF at the end
// removed. If the decoded octets are more than 1,048,576: the rule for data that
// is text-like, whatever they are.
//
//	leaf(kind, content) = hash("leaf", str(kind) str(H(content)))
//
// with the kind "data", "text" or "html". A leaf whose canonical content is
// empty is left out. A part with junk in its header has beside its leaf
// hash("leaf", str("junk") str(H(JUNK))).
//
// # 11. Visible text
//
// Of html (not of one beyond the limit) the visible text is made of the
// canonical content: from left to right,
//
//   - "<!--" up to the next "-->", whose "--" may be that of the beginning, is
//     dropped; without such an end, it is text
//   - "<" and a letter, "/", "!" or "?" up to the next ">" is a tag; without one
//     it is text. Its name is letters, digits, ":" and "-", in lower
//     case, with the "/" of an end tag
//   - after a tag script, style or head, everything up to the first end tag of that
//     name and its ">" is dropped; if there is none, nothing
//   - all else is text: character references decoded (HTML §13.5), all
//     characters with the property White_Space removed.
//
// VISIBLE is the text, 0x00, and the name and SP of each tag after the last
// character of the text, except of tags without a name, meta and hidden elements;
// no more names once these are 4,096 octets. In tier T2v
// hash("leaf", str("visible") str(H(VISIBLE))) takes the place of the leaf.
// The tags are there because of messages cut off behind their last word.
//
// # 12. Tiers
//
//	set(m)  = hash("bodyset", num(n) h1 … hn)   the hashes of §10 of the message, sorted
//	setv(m) = the same with those of §11 for html, sorted
//	T2      = hash("T2",  str(ID) str(HEAD) str(set))
//	T2v     = hash("T2v", str(ID) str(HEAD) str(setv))
//	T2c     = hash("T2c", str(HEAD) str(set))
//	T3      = hash("T3",  str(ID))       none without ID
//	T3b     = hash("T3b", str(LOCAL))    likewise; ID without "<" and ">", up to the last "@"
//	T4      = hash("T4",  str(set))      none if the canonical contents of all leaves, those of
//	                                     embedded messages too, are together less than 64 octets
//
// MIH, which no tier rests on, is the MD5 of ID (EDRM message identification
// hash).
//
// An embedded message counts in the set of the message around it as
// hash("message", str(ID) str(HEAD) str(set)), in setv with its own setv; its
// leaves are in its own set only. It is left out if it has neither field
// nor leaf.
//
// # 13. Detail
//
// Fields, each left out where it is empty, in this order; Hash is Short of
// hash("field", str(name) str(value)) of the whole value:
//
//	date, subject            as in §6
//	from, to, cc             as in §6, joined by ", "
//	sender, reply-to, bcc    likewise
//	in-reply-to, references  the "<…>" of all fields in order, joined by SP;
//	                         where there is none, the words
//	names                    "name <address>" of From, To and Cc with a name, an empty address too,
//	                         sorted, joined by ", "
//	unparsed                 over and junk of §6 in hexadecimal, zeros for none
//
// Leaves are in the order of the message, an embedded message before its
// own, with its media type, the lengths of the canonical contents of its leaves
// together as Size and Short(HEAD) as Octets and Content. The first 64 are kept,
// of a media type 64 octets, of a file name 96 and of ID 998, cut between
// characters. Of a leaf: Octets is Short of H of the decoded octets,
// Content of H of the canonical content (zero if empty), Visible of H(VISIBLE);
// FileName is the parameter filename of the disposition, or name of the type,
// RFC 2231 or 2047 decoded, NFC. Prefixes are CRC-32C (Castagnoli) of the first
// 16, 64, 256, … decoded octets. Of kinds text and html: Squeezed is CRC-32C of
// the decoded octets without SP, HTAB, CR and LF; Letters of the ASCII letters
// and digits of the characters before NFC, NonASCII the number of those
// above U+007F, a BOM at the beginning not counted; beyond the limit both of the decoded octets.
//
// BodySeq is Short of H of all hashes that enter a set, in the order in which
// their parts end. Extra is Short of H of, for each preamble and epilogue that
// is not only WSP, CR and LF, "P" or "E" and H of its content by the rule for data,
// in order. SignedOctets is Short of H of, for the first part of each
// multipart/signed that is not inside another's first part, H of its lines
// between the delimiters, joined by CR LF, their From-quoting kept. The DKIM
// witness is of the first 16 DKIM-Signature fields those with an algorithm
// ending in -sha256, without l=, a bh= of 32 octets and the body
// canonicalisation simple or relaxed (RFC 6376 §3.4; a line ending in LF alone
// is taken as ending in CRLF).
//
// # 14. Conservation
//
// Every octet is counted in exactly one region (header, blank line, delimiter,
// preamble, part, epilogue, blank lines at the end), in the message and in
// each decoded embedded message, and the sum is compared with the number of octets read,
// each time. If they differed, AnomalyUnaccounted would be set and no tier
// below T0 be given.
package fingerprint
