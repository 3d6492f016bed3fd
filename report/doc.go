// Package report says in print what the other rooms found. A [Document] holds
// everything that a report states; WriteHTML, WritePDF and WriteJSON render
// that one value, so that the three show the same numbers.
//
// The report is one of agreed procedures (ISRS 4400 in manner): it names the
// parties, the procedures, the facts and every exception, and leaves the
// conclusion to those who sign. It therefore never computes a verdict (that is
// [mailproof.Roll]'s), never rounds a share up to the whole, and never claims
// more than was read.
//
// The room reads no ledger, opens no connection and touches no file but the
// ones that [Document.WriteFiles] is told to write. Mail is foreign text here:
// subjects, folder names and servers' replies reach HTML through html/template
// only and PDF through report/pdf, which holds every call of the PDF library.
// Both media draw their charts from report/chart.
//
// Between Document and page stands one more value, the outline (see outline.go):
// the texts and tables of sections 2 to 13, made once and laid out twice.
//
// RFC 9051 gives the words for mailboxes and their state, RFC 2047 and RFC 5322
// those for messages, RFC 6962 those for the trees of the appendix.
package report
