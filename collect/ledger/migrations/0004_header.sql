-- The header of a message whose body was not read, as a preview fetched it: T3,
-- the hash of the Message-ID (null: it has none), and in detail the Message-ID and
-- the fields that are compared. Of a message that was read the same stands in
-- message and detail. A header that could not be read has a reason and nothing
-- else, and is asked for again by the next preview; the latest row counts.
CREATE TABLE header (
  id      INTEGER PRIMARY KEY,
  message INTEGER NOT NULL,
  pass    INTEGER NOT NULL,
  t3      BLOB CHECK (length(t3) = 32),
  detail  BLOB,
  reason  TEXT CHECK ((reason IS NULL) = (detail IS NOT NULL))
) STRICT;
CREATE INDEX header_message ON header (message, id);
CREATE INDEX header_pass ON header (pass, message); -- for the chain

CREATE TRIGGER header_keep BEFORE DELETE ON header BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: header'); END;
CREATE TRIGGER header_fixed BEFORE UPDATE ON header BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: header'); END;
