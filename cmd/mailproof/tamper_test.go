package main

import (
	"database/sql"
	"errors"
	"fmt"
)

// tamper runs statements over a ledger without its triggers.
func tamper(path, statements string) (err error) {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.Query("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
	if err != nil {
		return err
	}
	var names []string
	for rows.Next() {
		names = append(names, "")
		if err := rows.Scan(&names[len(names)-1]); err != nil {
			return err
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, name := range names {
		if _, err := db.Exec(fmt.Sprintf("DROP TRIGGER %q", name)); err != nil {
			return err
		}
	}
	_, err = db.Exec(statements)
	return err
}
