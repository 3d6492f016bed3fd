-- The evidence bundles that were made of the ledger: see seal.go.
CREATE TABLE seal (
  seq         INTEGER PRIMARY KEY,
  bundle      TEXT NOT NULL,
  sealed      TEXT NOT NULL,
  privacy     TEXT NOT NULL,
  verdict     TEXT NOT NULL,
  fingerprint TEXT NOT NULL, -- of the key that signed
  tagmanifest TEXT NOT NULL, -- SHA-256 of what was signed, in hexadecimal digits
  path        TEXT NOT NULL,
  roots       TEXT NOT NULL  -- JSON
) STRICT;

CREATE TRIGGER seal_keep BEFORE DELETE ON seal BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: seal'); END;
CREATE TRIGGER seal_fixed BEFORE UPDATE ON seal BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: seal'); END;
