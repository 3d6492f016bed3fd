package mailproof

// Preview is what the comparison of two listings with their headers says of an
// account. It rests on no body: that a message with some identity is listed is
// no statement about its content, and none of it is part of a verdict.
type Preview struct {
	Account string `json:"account"`
	// Messages in scope, as the inventories list them.
	SourceMessages      int64 `json:"source_messages"`
	DestinationMessages int64 `json:"destination_messages"`
	// Each source message is one of these four. An identity is the Message-ID
	// or, where there is none, Date, From, To, Cc and Subject together; copies
	// count.
	Listed    int64 `json:"listed"`           // a message with this identity is listed in the folder that its own is mapped to
	Elsewhere int64 `json:"listed_elsewhere"` // in another folder
	NotListed int64 `json:"not_listed"`       // in none
	Unknown   int64 `json:"unknown"`          // it has no identity, or its header could not be read
	// NotOnSource is the number of destination messages whose identity the
	// source does not list, or lists fewer times; DestinationUnknown of those
	// without identity.
	NotOnSource        int64 `json:"not_on_source"`
	DestinationUnknown int64 `json:"destination_unknown"`
	// ByHeader is how many of the listed ones have no Message-ID.
	ByHeader int64 `json:"by_header"`
	// HeadersDiffer is how many of the listed ones have another Date, From, To,
	// Cc or Subject on the destination; HeadersNoted how many differ in fields
	// beside these only.
	HeadersDiffer int64 `json:"headers_differ"`
	HeadersNoted  int64 `json:"headers_noted"`
	// SizesDiffer is how many of the listed ones have another RFC822.SIZE. It
	// means something only where SizesCount says so: both servers state sizes
	// that are those of what they send.
	SizesDiffer      int64       `json:"sizes_differ"`
	SizesCount       bool        `json:"sizes_count"`
	SourceSizes      Calibration `json:"source_sizes"`
	DestinationSizes Calibration `json:"destination_sizes"`
	// Folders are the mapped folders, and those that only one side has.
	Folders []PreviewFolder `json:"folders"`
	// Examples are the first messages of each kind of difference, Omitted the
	// number of those beyond them.
	Examples []PreviewExample `json:"examples"`
	Omitted  int64            `json:"omitted"`
}

// PreviewFolder is a destination folder with all that is mapped to it.
type PreviewFolder struct {
	Folder              string `json:"folder"` // on the destination, or of the source where there is none
	SourceMessages      int64  `json:"source_messages"`
	DestinationMessages int64  `json:"destination_messages"`
	NotListed           int64  `json:"not_listed"`    // source messages whose identity is not listed in this folder
	NotOnSource         int64  `json:"not_on_source"` // destination messages in this folder that are nobody's
	// SameUIDs says that both folders have one UIDVALIDITY and that the UIDs they
	// have in common name messages of one identity, as where a tool kept them:
	// then the two numbers are of UIDs that one side has only.
	SameUIDs          bool  `json:"same_uids"`
	UIDsOnSource      int64 `json:"uids_on_source_only"`
	UIDsOnDestination int64 `json:"uids_on_destination_only"`
}

// PreviewKind is what a preview found of one message.
type PreviewKind string

// The kinds.
const (
	PreviewListed       PreviewKind = "listed"
	PreviewElsewhere    PreviewKind = "listed-elsewhere"
	PreviewNotListed    PreviewKind = "not-listed"
	PreviewUnknown      PreviewKind = "unknown"
	PreviewNotOnSource  PreviewKind = "not-on-source"
	PreviewHeaderDiffer PreviewKind = "header-differs"
	PreviewSizeDiffers  PreviewKind = "size-differs"
)

var previewMeanings = map[PreviewKind]string{
	PreviewListed:       "a message with this identity is listed; nothing is said of its content",
	PreviewElsewhere:    "a message with this identity is listed in another folder; nothing is said of its content",
	PreviewNotListed:    "no message with this identity is listed on the destination",
	PreviewUnknown:      "it has no identity that could be looked for, or its header could not be read",
	PreviewNotOnSource:  "the source lists no message with this identity, or fewer of them",
	PreviewHeaderDiffer: "a message with this identity is listed, and its header is another one",
	PreviewSizeDiffers:  "a message with this identity is listed, and is of another size",
}

// Meaning says in plain words what a preview's finding means.
func (k PreviewKind) Meaning() string { return previewMeanings[k] }

// PreviewExample is one message that a preview points out.
type PreviewExample struct {
	Kind      PreviewKind `json:"kind"`
	Meaning   string      `json:"meaning"`
	Side      Side        `json:"side"`
	Folder    string      `json:"folder"`
	UID       UID         `json:"uid"`
	MessageID string      `json:"message_id"`
	Reasons   []Reason    `json:"reasons"`
}

// Calibration is what RFC822.SIZE of a server was found to be worth: the
// stated size of a few messages against the octets that came.
type Calibration struct {
	Sampled int64 `json:"sampled"` // messages read for it
	Wrong   int64 `json:"wrong"`   // of those, of another length than stated
	Off     int64 `json:"off"`     // octets by which the worst of them was wrong
	Octets  int64 `json:"octets"`  // read for it
}

// Add adds another calibration.
func (c *Calibration) Add(d Calibration) {
	c.Sampled, c.Wrong, c.Off, c.Octets = c.Sampled+d.Sampled, c.Wrong+d.Wrong, max(c.Off, d.Off), c.Octets+d.Octets
}

// Trusted reports whether every message that was looked at was as long as
// stated. A calibration of nothing is none.
func (c Calibration) Trusted() bool { return c.Sampled > 0 && c.Wrong == 0 }
