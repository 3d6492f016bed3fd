package engagement

import (
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/diff"
)

// The reason codes that the copy journal adds to those of diff.
const (
	reasonRefused  = "append-refused"
	reasonFailed   = "append-failed"
	reasonNotFound = "not-found-after-append"
	// reasonUnrecognised says that the destination has something else in its place.
	reasonUnrecognised = "unrecognised-after-append"
)

// words is what a reason means, and what there is to do.
type words struct{ meaning, remedy string }

const (
	compareByHand = "compare the two with --fetch; if it matters, copy the message again by hand and remove the damaged copy"
	copyAgain     = "copy the message again by hand, or let the customer accept the loss"
	nothingToDo   = "nothing, unless the customer depends on it"
	readAgain     = "run mailproof inventory again, then diff"
)

// reasonWords explains every code of diff and of the journal.
var reasonWords = map[string]words{
	diff.ReasonMessageIDAdded:   {"the message had no Message-ID, and the destination or the copying program gave it one", nothingToDo},
	diff.ReasonFileName:         {"an attachment has another name; its content is the same", nothingToDo},
	diff.ReasonPreamble:         {"text before the first part or after the last one, which mail programs do not show, is not the same", nothingToDo},
	diff.ReasonFinalBoundary:    {"the line that ends the last part appeared or vanished; every part is complete", nothingToDo},
	diff.ReasonAttachmentEOL:    {"line ends of an attachment that looks like text were changed; for a text file that is harmless, for another it is damage", compareByHand},
	diff.ReasonSignatureBytes:   {"a signed part was encoded anew: what it says is the same, its signature (S/MIME or PGP) no longer verifies", "keep the source's copy where the signature is evidence"},
	diff.ReasonPartOrder:        {"the parts stand in another order; none is missing", nothingToDo},
	diff.ReasonMarkup:           {"the HTML was changed, its visible text was not", nothingToDo},
	diff.ReasonDisplayNames:     {"the names beside addresses are other ones; the addresses are the same", nothingToDo},
	diff.ReasonRecipientAliased: {"an address was rewritten as the list of aliases says", "nothing: it was asked for with --aliases"},
	diff.ReasonRelocated:        {"the message is intact, in another folder than the one its own is mapped to", "tell the user where it is, or map the folder with --map"},
	diff.ReasonToTrash:          {"the message was found in a trash or junk folder only, which servers empty by themselves", "move it to its folder on the destination, then inventory and diff"},

	diff.ReasonDate:              {"the Date is another one", compareByHand},
	diff.ReasonSubject:           {"the Subject is another one", compareByHand},
	diff.ReasonSender:            {"the sender (From) is another one", "if the new server rewrites addresses on purpose, list them with --aliases; else copy the message again"},
	diff.ReasonRecipientsLost:    {"recipients (To, Cc) are missing", compareByHand},
	diff.ReasonRecipientsAdded:   {"there are more recipients (To, Cc) than before", compareByHand},
	diff.ReasonRecipientsChanged: {"the recipients (To, Cc) are other ones", "if the new server rewrites addresses on purpose, list them with --aliases; else copy the message again"},
	diff.ReasonHeader:            {"a header field that could not be read as such was changed", compareByHand},
	diff.ReasonHeaderCharset:     {"characters outside ASCII were lost from a header field", copyAgain},
	diff.ReasonMessageIDLost:     {"the Message-ID is gone: replies no longer find the message", copyAgain},
	diff.ReasonMessageIDChanged:  {"the Message-ID is another one: it may be another message, or one that was given a new identity", compareByHand},
	diff.ReasonPartChanged:       {"the content of a part is not the same", compareByHand},
	diff.ReasonPartLost:          {"a part, text or attachment, is missing", copyAgain},
	diff.ReasonPartAdded:         {"there is a part that the source does not have", compareByHand},
	diff.ReasonPartEmptied:       {"a part is there and empty", copyAgain},
	diff.ReasonBodyEmptied:       {"nothing is left of the content but the header", copyAgain},
	diff.ReasonTruncated:         {"the destination has the beginning and not the end", copyAgain},
	diff.ReasonLineWrapped:       {"line breaks or white space were put into a text; some copying programs break long lines", "for plain text that is a matter of looks; for data in a text part it is damage"},
	diff.ReasonWhiteSpace:        {"line breaks or white space of a text were changed, its letters were not", "for plain text that is a matter of looks; for data in a text part it is damage"},
	diff.ReasonCharset:           {"characters outside ASCII were lost or garbled", copyAgain},
	diff.ReasonStubbed:           {"a notice stands in the place of an attachment, as size limits and virus scanners put it", "copy the message again with the limit raised, or deliver the attachment by another way"},
	diff.ReasonTNEF:              {"a winmail.dat was unpacked, or parts were packed into one; what was in it cannot be compared", compareByHand},
	diff.ReasonNUL:               {"the destination has NUL octets that the source does not have: data was overwritten with nothing", copyAgain},
	diff.ReasonDKIMBody:          {"the sender's DKIM signature covers the body as the source has it, and not as the destination has it", "the source's copy is the one that was sent"},
	diff.ReasonDKIMSource:        {"the sender's DKIM signature covers the body as the destination has it: the source's copy may be the changed one", "look at the source before blaming the destination"},
	diff.ReasonContent:           {"the content differs, and not in what the ledger keeps the details of", compareByHand},
	diff.ReasonMoreParts:         {"further parts differ; the list was cut", compareByHand},

	diff.ReasonUnreadable:        {"the server did not deliver the message: nothing is known of its content", readAgain},
	diff.ReasonUnread:            {"the message was listed and not read, as the depth did not include it", "run mailproof inventory at full depth"},
	diff.ReasonCounterpartUnread: {"part of the other side was not read, and a counterpart may be there", readAgain},
	diff.ReasonServerStub:        {"a server delivered a notice that it cannot produce the message, in the place of the message", "have the server's operator repair the mailbox, then read it again"},
	diff.ReasonNoMessageID:       {"the message has no Message-ID: it may be missing, or so changed that it cannot be recognised", compareByHand},
	diff.ReasonExcluded:          {"its folder was left out by a rule", "nothing: it was asked for with --exclude"},

	diff.ReasonLabel:       {"on Gmail one message can stand under several labels, which IMAP shows as folders unless it is told to hide them: the message arrived, one of its labels did not", "where the source hides the label, let IMAP show it (Gmail's settings, Labels), and copy again; else map the folder with --map, or let the customer accept that the label is gone"},
	diff.ReasonLabelHidden: {"the message is there and has its label, but Gmail does not show the label's folder in IMAP: as far as could be counted there is a copy too few", "let IMAP show the label on the destination (Gmail's settings, Labels), and take the inventory again"},

	diff.ReasonPreExisting:  {"it was on the destination before anything was copied", "nothing"},
	diff.ReasonArrivedLater: {"it came to the destination after the first reading, by mail or by a copying program", "nothing, if mail is delivered there already"},
	reasonUnconfirmed:       {"somebody said that this was fixed; neither side was read since", "run mailproof inventory, then diff"},
	reasonLapsed:            {"somebody decided on this when the evidence was another one; the decision does not hold for what is found now", "look again, and decide again with mailproof dispose"},
	diff.ReasonNotFixed:     {"somebody said that this was fixed; it is still found", "look again"},

	diff.ReasonSize:                       {"the servers state other sizes for the two, and both were found to state sizes truly", "run mailproof inventory at full depth"},
	string(mailproof.PreviewListed):       {mailproof.PreviewListed.Meaning(), "run mailproof inventory at full depth"},
	string(mailproof.PreviewElsewhere):    {mailproof.PreviewElsewhere.Meaning(), "run mailproof inventory at full depth"},
	string(mailproof.PreviewNotListed):    {mailproof.PreviewNotListed.Meaning(), "run mailproof copy, then inventory and diff"},
	string(mailproof.PreviewUnknown):      {mailproof.PreviewUnknown.Meaning(), "run mailproof inventory at full depth"},
	string(mailproof.PreviewNotOnSource):  {mailproof.PreviewNotOnSource.Meaning(), "nothing, if mail is delivered there already"},
	string(mailproof.PreviewHeaderDiffer): {mailproof.PreviewHeaderDiffer.Meaning(), "run mailproof inventory at full depth"},
	string(mailproof.PreviewSizeDiffers):  {mailproof.PreviewSizeDiffers.Meaning(), "run mailproof inventory at full depth"},

	diff.ReasonFlags: {"flags or keywords (read, answered, labels) are other ones; the content is not concerned", "mailproof copy carries later changes of flags over"},
	diff.ReasonDates: {"the date of receipt (INTERNALDATE), by which mail programs may sort, is another one; the content is not concerned", nothingToDo},

	"threading-lost":    {"what ties the message to its thread (In-Reply-To, References) is missing", nothingToDo},
	"threading-added":   {"the message has ties to a thread (In-Reply-To, References) that the source does not have", nothingToDo},
	"threading-changed": {"what ties the message to its thread (In-Reply-To, References) was changed", nothingToDo},

	reasonRefused:      {"the destination refused the message, in the words above", "mend what it names (a size limit, a bad header), then run mailproof copy again; or let the customer accept the loss"},
	reasonFailed:       {"the message could not be sent", "run mailproof copy again"},
	reasonNotFound:     {"the destination said that it took the message, and does not show it: it was moved, deleted or dropped since", "look for it in other folders and in the trash; run mailproof copy again"},
	reasonUnrecognised: {"the destination took the message and made another one of it, so that nothing tells the two are one; it is not sent again while that one is there", "compare the two by hand; mend what the server minds (as 8-bit characters in a header), delete its copy and run mailproof copy again, or let the customer accept it"},
}

// wordsOf explains a reason. Fields beside the core have codes made of their
// name and of what became of them.
func wordsOf(code string) words {
	if w, ok := reasonWords[code]; ok {
		return w
	}
	for _, s := range []struct{ suffix, what string }{
		{"-lost", "is missing on the destination"}, {"-added", "is on the destination only"}, {"-changed", "is another one"},
	} {
		if name, ok := strings.CutSuffix(code, s.suffix); ok {
			return words{"the header field " + name + " " + s.what, nothingToDo}
		}
	}
	return words{}
}

// tierWords says what a tier compares.
var tierWords = map[mailproof.Tier]string{
	mailproof.T0:  "the octets",
	mailproof.T1:  "the octets, but for line ends, folding and the store's own header fields",
	mailproof.T2:  "what the message says: Message-ID, sender, recipients, date, subject and every decoded part",
	mailproof.T2v: "what the message says, of HTML its visible text",
	mailproof.T2c: "what the message says, without the Message-ID",
	mailproof.T3:  "the Message-ID alone: identity, no proof of content",
	mailproof.T3b: "the first half of the Message-ID, and the date: a suggestion",
	mailproof.T4:  "the parts alone, and the date: a suggestion",
}
