package mailproof

// Header is what a preview knows of a message whose body was not read: its
// identity and the header fields that are compared. It proves nothing of the
// content.
type Header struct {
	// T3 is the hash of the Message-ID, as in a Fingerprint; zero where there
	// is none.
	T3 Hash
	// MessageID and Fields are as in Detail.
	MessageID string
	Fields    []FieldDigest
	// Reason says why the header could not be read; all else is empty then.
	Reason string
}
