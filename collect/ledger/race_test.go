//go:build race

package ledger

// raced says that the race detector is on: SQLite is ten times slower then.
const raced = true
