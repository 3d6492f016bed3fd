-- Readiness checks: see readiness.go. Nothing of the proof rests on them.
CREATE TABLE readiness (
  id       INTEGER PRIMARY KEY,
  taken    TEXT NOT NULL,
  tool     TEXT NOT NULL,
  command  TEXT NOT NULL,
  ready    INTEGER NOT NULL,
  estimate TEXT NOT NULL,
  findings TEXT NOT NULL -- JSON: those of servers, DNS and recipients
) STRICT;

CREATE TABLE readiness_account (
  seq       INTEGER PRIMARY KEY,
  readiness INTEGER NOT NULL REFERENCES readiness,
  position  INTEGER NOT NULL,
  account   TEXT NOT NULL, -- by name: a check comes before anything is known of an account
  folders   INTEGER NOT NULL,
  messages  INTEGER NOT NULL,
  octets    INTEGER NOT NULL,
  ready     INTEGER NOT NULL,
  result    TEXT NOT NULL,
  troubles  TEXT NOT NULL, -- JSON
  UNIQUE (readiness, position)
) STRICT;

CREATE TRIGGER readiness_keep BEFORE DELETE ON readiness BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: readiness'); END;
CREATE TRIGGER readiness_fixed BEFORE UPDATE ON readiness BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: readiness'); END;
CREATE TRIGGER readiness_account_keep BEFORE DELETE ON readiness_account BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: readiness_account'); END;
CREATE TRIGGER readiness_account_fixed BEFORE UPDATE ON readiness_account BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: readiness_account'); END;
