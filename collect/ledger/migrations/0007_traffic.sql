-- The book of the day's budgets: see traffic.go. Octets of IMAP between us and
-- one login; a day of UTC is the sum of its rows.
CREATE TABLE traffic (
  seq      INTEGER PRIMARY KEY,
  day      TEXT NOT NULL, -- YYYY-MM-DD
  account  TEXT NOT NULL, -- by name: the first octets come before anything is known of an account
  side     TEXT NOT NULL,
  read     INTEGER NOT NULL,
  sent     INTEGER NOT NULL,
  recorded TEXT NOT NULL
) STRICT;

CREATE INDEX traffic_day ON traffic (account, side, day);

CREATE TRIGGER traffic_keep BEFORE DELETE ON traffic BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: traffic'); END;
CREATE TRIGGER traffic_fixed BEFORE UPDATE ON traffic BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: traffic'); END;

-- Messages that were deleted on the destination, because an earlier pass had put
-- them there and their source is gone: see deletion.go. What was intended stands
-- in the ledger before the command is sent.
CREATE TABLE deletion (
  seq            INTEGER PRIMARY KEY,
  pass           INTEGER NOT NULL REFERENCES pass, -- the copy pass that deleted
  account        TEXT NOT NULL,
  mailbox        TEXT NOT NULL, -- of the destination
  uidvalidity    INTEGER NOT NULL,
  uid            INTEGER NOT NULL,
  t0             BLOB NOT NULL CHECK (length(t0) = 32), -- as it was read right before
  octets         INTEGER NOT NULL,
  source_mailbox TEXT NOT NULL, -- where its source was
  source_validity INTEGER NOT NULL,
  source_uid     INTEGER NOT NULL,
  appended_by    INTEGER NOT NULL REFERENCES pass, -- that put it there
  intended       TEXT NOT NULL
) STRICT;

CREATE TABLE deletion_result (
  seq      INTEGER PRIMARY KEY,
  deletion INTEGER NOT NULL UNIQUE REFERENCES deletion,
  state    TEXT NOT NULL, -- done, kept or failed
  reason   TEXT NOT NULL,
  finished TEXT NOT NULL
) STRICT;

CREATE TRIGGER deletion_keep BEFORE DELETE ON deletion BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: deletion'); END;
CREATE TRIGGER deletion_fixed BEFORE UPDATE ON deletion BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: deletion'); END;
CREATE TRIGGER deletion_result_keep BEFORE DELETE ON deletion_result BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: deletion_result'); END;
CREATE TRIGGER deletion_result_fixed BEFORE UPDATE ON deletion_result BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: deletion_result'); END;
