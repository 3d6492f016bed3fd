package diff

// The reason codes of message verdicts. They are stable: scripts rely on them.
const (
	// Beside a verdict that says "intact": what the destination did not keep.
	ReasonMessageIDAdded   = "message-id-added"   // a Message-ID was invented for a message without one
	ReasonFileName         = "file-name"          // an attachment's name changed
	ReasonPreamble         = "preamble"           // text before or after the parts, which mail programs do not show, changed
	ReasonFinalBoundary    = "final-boundary"     // the closing delimiter of a multipart appeared or vanished
	ReasonAttachmentEOL    = "attachment-eol"     // line ends of a text-like attachment changed
	ReasonSignatureBytes   = "signature-bytes"    // the octets of a signed part changed: its signature no longer verifies
	ReasonPartOrder        = "part-order"         // the parts stand in another order
	ReasonMarkup           = "markup"             // the HTML changed, its visible text did not
	ReasonDisplayNames     = "display-names"      // the names beside addresses changed
	ReasonRecipientAliased = "recipient-aliased"  // an address was rewritten as the alias map says
	ReasonRelocated        = "relocated"          // it lies in another folder than the mapped one
	ReasonToTrash          = "relocated-to-trash" // it lies in a folder that servers empty by themselves

	// Of header fields beside the core (Bcc, In-Reply-To, …): the field's name
	// with one of these endings; threading stands for In-Reply-To and
	// References.
	suffixLost    = "-lost"
	suffixAdded   = "-added"
	suffixChanged = "-changed"

	// What makes a message altered.
	ReasonDate              = "date-changed"
	ReasonSubject           = "subject-changed"
	ReasonSender            = "from-changed"
	ReasonRecipientsLost    = "recipients-lost"
	ReasonRecipientsAdded   = "recipients-added"
	ReasonRecipientsChanged = "recipients-changed"
	ReasonHeader            = "header-changed" // a field that could not be read changed
	ReasonHeaderCharset     = "header-charset" // characters outside ASCII were lost from a header field
	ReasonMessageIDLost     = "message-id-lost"
	ReasonMessageIDChanged  = "message-id-changed"
	ReasonPartChanged       = "part-changed"
	ReasonPartLost          = "part-lost"
	ReasonPartAdded         = "part-added"
	ReasonPartEmptied       = "part-emptied"
	ReasonBodyEmptied       = "body-emptied"
	ReasonTruncated         = "truncated"
	ReasonLineWrapped       = "line-wrapped"
	ReasonWhiteSpace        = "white-space" // only white space or line breaks of a text were changed
	ReasonCharset           = "charset-damage"
	ReasonStubbed           = "attachment-stubbed"
	ReasonTNEF              = "tnef"
	ReasonNUL               = "nul-octets"
	ReasonDKIMBody          = "dkim-body"       // a DKIM body hash held on the source and does not on the destination
	ReasonDKIMSource        = "dkim-source"     // the reverse: the source's copy is in doubt
	ReasonContent           = "content-differs" // what differs is not among the details
	ReasonMoreParts         = "more-parts"      // the list of reasons was cut

	// Why nothing, or no more, can be said.
	ReasonUnreadable        = "unreadable"         // the message could not be read; the evidence is why
	ReasonUnread            = "not-read"           // the depth of the pass did not include its content
	ReasonCounterpartUnread = "counterpart-unread" // its counterpart may be among what was not read
	ReasonServerStub        = "server-stub"        // a server put a notice in the place of the message
	ReasonNoMessageID       = "no-message-id"      // missing or unrecognisable
	ReasonExcluded          = "excluded"           // the evidence is the rule
	ReasonLabel             = "label-missing"      // of Gmail: not a copy is missing but a label
	ReasonLabelHidden       = "label-hidden"       // of Gmail: it is there under a label that IMAP does not show

	// On leftovers.
	ReasonPreExisting  = "pre-existing"
	ReasonArrivedLater = "arrived-later"
	ReasonNotFixed     = "fix-not-confirmed" // said to be fixed, and still found

	// Beside any pair.
	ReasonFlags = "flags"
	ReasonDates = "internal-date"

	// In a preview.
	ReasonSize = "size-stated" // RFC822.SIZE differs, where both servers state it truly
)
