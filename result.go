package mailproof

// Exception is a message verdict that needs a decision, or that is listed for
// the record.
type Exception struct {
	ID          string         // "E-001", given by the ledger and kept from diff to diff
	Account     string         //
	Mailbox     string         // the folder of the message: on the source, or on the destination for what is found only there
	Key         MessageKey     //
	Counterpart MessageKey     // the paired message on the other side; zero if none
	MessageID   string         //
	Subject     string         // shortened, for people
	Size        int64          // octets
	Verdict     MessageVerdict //
	Tier        Tier           // the tier that the verdict rests on
	Reasons     []Reason       //
	Disposition Disposition    //
}

// NeedsDecision reports whether a person must decide on the exception before
// the engagement can be COMPLETE.
func (e Exception) NeedsDecision() bool { return e.Disposition == Open }

// FolderResult is the comparison of one source folder with the destination
// folder that it is mapped to. Either name may be empty, where a folder has no
// counterpart.
type FolderResult struct {
	Source            string
	Destination       string
	SourceScan        MailboxScan
	DestinationScan   MailboxScan
	Counts            Counts
	FlagsDiffer       int64
	DatesDiffer       int64
	SignaturesChanged int64 // multipart/signed parts whose octets changed though the content is equivalent
}

// AccountResult is the comparison of one account.
type AccountResult struct {
	Account           string
	Verdict           Verdict // Roll(Findings)
	Counts            Counts
	FlagsDiffer       int64 // paired messages whose flags or keywords differ
	DatesDiffer       int64 // paired messages whose INTERNALDATE differs by more than a second
	SignaturesChanged int64
	Folders           []FolderResult
	Exceptions        []Exception
	// ExceptionsOmitted counts exceptions beyond the limit that was asked for.
	// They are in the counts.
	ExceptionsOmitted int64
	Findings          []Finding
	SourceScan        Scan
	DestinationScan   Scan
	SourceBytes       int64
	DestinationBytes  int64
	// ExcludedBy counts source messages that a rule leaves out of folders that
	// were read, by the rule. Those of folders that were not read stand with
	// the folder.
	ExcludedBy map[string]int64
}
