package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	rowsPerInsert      = 50
	rowsPerTransaction = 5000
	// maxAge bounds how long a committed row may wait for the transaction it
	// is in, and with it what a killed pass reads again.
	maxAge = time.Second
	// queued bounds the jobs that wait for the writer, and with it the memory
	// that rows on their way to the disk take.
	queued = 32
	// maxGroup bounds how many waiting callers share one commit.
	maxGroup = 256
)

// need says what must have happened to a job's rows before its caller goes on.
type need uint8

const (
	ran       need = iota // the statements were carried out
	committed             // others can see them, and they survive the process
	durable               // they are on disk, and survive a loss of power
)

// job is one piece of work for the writer. It runs as a whole or not at all.
type job struct {
	need need
	rows int // for the size of the transaction
	run  func(t *tx) error
	done chan error // of capacity 1; nil: nobody waits, and run keeps its own error
}

// writer owns the one connection that writes. Jobs queue up for it; those that
// wait for a commit at the same time share one, and with it one fsync.
type writer struct {
	path string
	db   *sql.DB
	tx   *tx
	jobs chan *job

	mu      sync.RWMutex // held while a job is queued: close waits for it
	closed  bool
	stopped chan struct{}

	failure atomic.Pointer[error] // the first error of the disk; nothing is written after it

	open    bool // a transaction is open
	synced  bool // that transaction's commit will reach the disk
	rows    int
	waiting []*job
	timer   *time.Timer
}

func openWriter(ctx context.Context, path string) (_ *writer, err error) {
	// secure_delete and the like stay at their defaults: nothing is deleted.
	// recursive_triggers makes REPLACE fire the triggers that forbid removal.
	db, err := sql.Open("sqlite", dsn(path, "rwc", "page_size(8192)", "cache_size(-1024)", "temp_store(MEMORY)",
		"recursive_triggers(1)", "foreign_keys(1)", "wal_autocheckpoint(2000)", "journal_size_limit(67108864)"))
	if err != nil {
		return nil, fmt.Errorf("ledger %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			err = explain(path, errors.Join(err, db.Close()))
		}
	}()
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	for _, pragma := range []string{"journal_mode = WAL", "synchronous = FULL"} {
		if _, err := conn.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	if err := migrate(ctx, conn, migrations); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = NORMAL"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	w := &writer{path: path, db: db, tx: newTx(conn), jobs: make(chan *job, queued), stopped: make(chan struct{}), timer: time.NewTimer(maxAge)}
	go w.loop()
	return w, nil
}

// do queues a job and waits until it has come as far as it needs. If the
// context ends first, whether the job was carried out stays open.
func (w *writer) do(ctx context.Context, n need, rows int, run func(t *tx) error) error {
	j := &job{need: n, rows: rows, run: run, done: make(chan error, 1)}
	if err := w.queue(ctx, j); err != nil {
		return err
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// queue hands over a job, waiting for room.
func (w *writer) queue(ctx context.Context, j *job) error {
	if err := w.failed(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.closed {
		return ErrClosed
	}
	select {
	case w.jobs <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) failed() error {
	if p := w.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// close commits what was queued, takes the write-ahead log into the file and
// closes the connection.
func (w *writer) close() error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.jobs)
	}
	w.mu.Unlock()
	<-w.stopped
	failure := w.failed()
	if failure == nil {
		// A reader elsewhere keeps the log from being emptied: it stays then,
		// and the next writer takes it in.
		_, err := w.tx.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
		if err != nil && !busy(err) {
			failure = explain(w.path, err)
		}
	}
	return errors.Join(failure, w.tx.close(), w.db.Close())
}

func (w *writer) loop() {
	defer close(w.stopped)
	for {
		select {
		case j, more := <-w.jobs:
			if !more {
				w.commit()
				return
			}
			w.take(j)
			w.gather()
			if len(w.waiting) > 0 || w.rows >= rowsPerTransaction {
				w.commit()
			}
		case <-w.timer.C:
			w.commit()
		}
	}
}

// gather runs the jobs that queued up behind one whose caller waits for a
// commit: they share it.
func (w *writer) gather() {
	for len(w.waiting) > 0 && len(w.waiting) < maxGroup {
		select {
		case j, more := <-w.jobs:
			if !more {
				return // loop sees it again
			}
			w.take(j)
		default:
			return
		}
	}
}

// take runs one job in the open transaction.
func (w *writer) take(j *job) {
	if j.need == durable && w.open && !w.synced {
		w.commit() // synchronous cannot change within a transaction
	}
	err := w.begin(j.need == durable)
	if err == nil {
		err = w.atomically(j)
	}
	if err == nil && j.need != ran {
		w.waiting = append(w.waiting, j)
		return
	}
	if j.done != nil {
		j.done <- err
	}
}

func (w *writer) begin(synced bool) error {
	if err := w.failed(); err != nil || w.open {
		return err
	}
	if synced {
		if err := w.exec("PRAGMA synchronous = FULL"); err != nil {
			return w.fail(err)
		}
	}
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return w.fail(err)
	}
	w.open, w.synced, w.rows = true, synced, 0
	w.timer.Reset(maxAge)
	return nil
}

// atomically runs a job between savepoints, so that one that is refused leaves
// nothing behind while the others of its transaction stand.
func (w *writer) atomically(j *job) error {
	if err := w.failed(); err != nil {
		return err
	}
	if err := w.exec("SAVEPOINT job"); err != nil {
		return w.fail(err)
	}
	if err := j.run(w.tx); err != nil {
		if !refused(err) {
			return w.fail(err)
		}
		w.tx.forget()
		if back := w.exec("ROLLBACK TO job"); back != nil {
			return w.fail(errors.Join(err, back))
		}
		if back := w.exec("RELEASE job"); back != nil {
			return w.fail(errors.Join(err, back))
		}
		return explain(w.path, err)
	}
	if err := w.exec("RELEASE job"); err != nil {
		return w.fail(err)
	}
	w.rows += j.rows
	return nil
}

// commit ends the open transaction and tells those who wait for it.
func (w *writer) commit() {
	err := w.failed()
	if err == nil && w.open {
		if err = w.exec("COMMIT"); err != nil {
			err = w.fail(err)
		} else if w.open = false; w.synced {
			// The rows are on disk whatever becomes of this.
			if err := w.exec("PRAGMA synchronous = NORMAL"); err != nil {
				_ = w.fail(err) // kept for the next caller
			}
		}
	}
	for _, j := range w.waiting {
		j.done <- err
	}
	w.waiting = w.waiting[:0]
}

// fail ends all writing: the transaction is rolled back, and this error is what
// everybody gets from now on.
func (w *writer) fail(err error) error {
	err = explain(w.path, err)
	if w.failure.CompareAndSwap(nil, &err) && w.open {
		if back := w.exec("ROLLBACK"); back != nil && !noTransaction(back) {
			err = errors.Join(err, explain(w.path, back))
			w.failure.Store(&err)
		}
	}
	w.open = false
	return w.failed()
}

// exec runs a statement without rows. It takes no context: a transaction is
// short, and cutting one off would end the writing for everybody.
func (w *writer) exec(query string) error {
	_, err := w.tx.exec(query)
	return err
}
