package report

import (
	"bytes"
	"errors"

	"github.com/mailproof/mailproof/report/pdf"
)

// mostAttached bounds an attachment, in octets: what is longer lies beside the
// report and in the bundle, and the PDF stays a file that can be mailed.
const mostAttached = 24 << 20

// attach puts into the PDF what a reader may want to compute with: the
// document itself, and the tables that pages hold in part or in cut cells.
func (d *Document) attach(s *pdf.Sheet) error {
	add := func(name, kind, relationship, description string, write func(*bounded) error) error {
		b := &bounded{}
		err := write(b)
		switch {
		case errors.Is(err, errTooLong):
			return nil
		case err != nil:
			return err
		}
		s.Attach(pdf.Attachment{Name: name, Type: kind, Relationship: relationship, Description: description, Data: b.b.Bytes()})
		return nil
	}
	err := add(JSONName, "application/json", "Source", "everything that this report says, as data", func(b *bounded) error { return d.WriteJSON(b) })
	for _, t := range []struct {
		table       csvTable
		description string
	}{
		{d.exceptionsCSV(), "every exception of sections 8 and 9"}, {d.accountsCSV(), "the ledger of every account"}, {d.foldersCSV(), "the ledger of every folder"},
	} {
		if err == nil {
			err = add(t.table.name+".csv", "text/csv", "Data", t.description, func(b *bounded) error { return t.table.write(b) })
		}
	}
	if err == nil && d.hasRows(MostRowsPDF) {
		s.Attach(pdf.Attachment{Name: "messages.csv", Type: "text/csv", Relationship: "Data", Description: "every message", Late: d.messagesTable})
	}
	return err
}

// messagesTable is the table of every message; nil where it is too long. The
// reading of the messages goes on while the pages are set.
func (d *Document) messagesTable() ([]byte, error) {
	var b bounded
	table, err := &b, error(nil)
	if d.shared != nil {
		table, err = d.shared.attached()
	} else {
		err = d.WriteMessagesCSV(&b)
	}
	if errors.Is(err, errTooLong) {
		return nil, nil
	}
	return table.b.Bytes(), err
}

var errTooLong = errors.New("too long to be attached")

// bounded is a buffer that takes no more than an attachment may have.
type bounded struct{ b bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.b.Len()+len(p) > mostAttached {
		return 0, errTooLong
	}
	return b.b.Write(p)
}
