-- The history as a chain, and what people say: see chain.go, attest.go,
-- decide.go and probe.go.

-- What one pass added is found without reading what the others did.
CREATE INDEX message_pass ON message (first_pass);
CREATE INDEX reading_pass ON reading (pass, message);
CREATE INDEX presence_pass ON presence (pass);
CREATE INDEX flag_event_pass ON flag_event (pass);
CREATE INDEX step_pass ON step (pass);
CREATE INDEX exception_number ON exception (series, number, pass);

-- The digest of what an inventory pass recorded of one account, made when the
-- scan of it ended.
CREATE TABLE scan_digest (
  pass    INTEGER NOT NULL,
  account INTEGER NOT NULL,
  side    TEXT NOT NULL,
  rows    INTEGER NOT NULL,
  digest  BLOB NOT NULL CHECK (length(digest) = 32),
  PRIMARY KEY (pass, account, side),
  FOREIGN KEY (pass, account, side) REFERENCES scan
) STRICT, WITHOUT ROWID;

-- The chain: a link for each pass, made when it ends, and one for what people
-- said since.
CREATE TABLE chain (
  seq      INTEGER PRIMARY KEY,
  pass     INTEGER UNIQUE REFERENCES pass, -- null: no pass, only what people said
  made     TEXT NOT NULL,
  upto     TEXT NOT NULL, -- JSON: the last row of each table that has no pass, by table
  parts    TEXT NOT NULL, -- JSON: [[name, rows, digest in hexadecimal digits], …]
  previous BLOB NOT NULL CHECK (length(previous) = 32), -- root of the link before; zeros for the first
  root     BLOB NOT NULL CHECK (length(root) = 32)
) STRICT;

-- A person's word for a step of the runbook; the latest of a step holds.
CREATE TABLE attestation (
  seq            INTEGER PRIMARY KEY,
  step           TEXT NOT NULL,
  attested_by    TEXT NOT NULL,
  note           TEXT NOT NULL,
  withdrawn      INTEGER NOT NULL,
  not_applicable INTEGER NOT NULL,
  recorded       TEXT NOT NULL
) STRICT;

-- A decision on a finding that is not about single messages. It holds as long
-- as the same is found.
CREATE TABLE finding_decision (
  seq         INTEGER PRIMARY KEY,
  "check"     TEXT NOT NULL,
  subject     TEXT NOT NULL, -- domain or account
  outcome     TEXT NOT NULL,
  observed    TEXT NOT NULL,
  disposition TEXT NOT NULL,
  decided_by  TEXT NOT NULL,
  why         TEXT NOT NULL,
  decided     TEXT NOT NULL
) STRICT;

-- A message that was sent to see where mail arrives.
CREATE TABLE probe (
  seq                INTEGER PRIMARY KEY,
  account            TEXT NOT NULL,
  recipient          TEXT NOT NULL,
  domain             TEXT NOT NULL,
  message_id         TEXT NOT NULL,
  exchange           TEXT NOT NULL, -- that took it; empty: none did
  tls                TEXT NOT NULL,
  reply              TEXT NOT NULL, -- in its words
  sent               TEXT NOT NULL,
  ended              TEXT NOT NULL,
  source_folder      TEXT NOT NULL, -- where it was seen; empty: nowhere
  source_seen        TEXT NOT NULL,
  source_error       TEXT NOT NULL, -- why that side could not be watched to the end
  destination_folder TEXT NOT NULL,
  destination_seen   TEXT NOT NULL,
  destination_error  TEXT NOT NULL
) STRICT;

CREATE TRIGGER scan_digest_keep BEFORE DELETE ON scan_digest BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: scan_digest'); END;
CREATE TRIGGER scan_digest_fixed BEFORE UPDATE ON scan_digest BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: scan_digest'); END;
CREATE TRIGGER chain_keep BEFORE DELETE ON chain BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: chain'); END;
CREATE TRIGGER chain_fixed BEFORE UPDATE ON chain BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: chain'); END;
CREATE TRIGGER attestation_keep BEFORE DELETE ON attestation BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: attestation'); END;
CREATE TRIGGER attestation_fixed BEFORE UPDATE ON attestation BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: attestation'); END;
CREATE TRIGGER finding_decision_keep BEFORE DELETE ON finding_decision BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: finding_decision'); END;
CREATE TRIGGER finding_decision_fixed BEFORE UPDATE ON finding_decision BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: finding_decision'); END;
CREATE TRIGGER probe_keep BEFORE DELETE ON probe BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: probe'); END;
CREATE TRIGGER probe_fixed BEFORE UPDATE ON probe BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: probe'); END;

-- What is in the chain gets no further rows. (Messages have no such trigger:
-- it would cost a part of the loading speed, and a late one breaks the chain.)
CREATE TRIGGER copy_account_linked BEFORE UPDATE ON copy_account WHEN EXISTS (SELECT 1 FROM chain WHERE pass = NEW.pass)
BEGIN SELECT RAISE(ABORT, 'the pass has ended'); END;
CREATE TRIGGER copy_account_late BEFORE INSERT ON copy_account
WHEN EXISTS (SELECT 1 FROM chain WHERE pass = NEW.pass) AND NOT EXISTS (SELECT 1 FROM copy_account c WHERE c.pass = NEW.pass AND c.account = NEW.account)
BEGIN SELECT RAISE(ABORT, 'the pass has ended'); END;
CREATE TRIGGER step_late BEFORE INSERT ON step WHEN EXISTS (SELECT 1 FROM chain WHERE pass = NEW.pass)
BEGIN SELECT RAISE(ABORT, 'the pass has ended'); END;
CREATE TRIGGER finding_late BEFORE INSERT ON finding WHEN EXISTS (SELECT 1 FROM chain WHERE pass = NEW.pass)
BEGIN SELECT RAISE(ABORT, 'the pass has ended'); END;
CREATE TRIGGER observation_late BEFORE INSERT ON observation WHEN EXISTS (SELECT 1 FROM chain WHERE pass = NEW.pass)
BEGIN SELECT RAISE(ABORT, 'the pass has ended'); END;
