-- The size and the INTERNALDATE that a message was listed with when it was read
-- again, where they are not those that stood here before: the server uses the UID
-- for another message, as after a restore, and the reading beside it is of that
-- one. From a pass until the next row of the message; one without a row is as it
-- was first listed.
CREATE TABLE listing (
  id           INTEGER PRIMARY KEY,
  message      INTEGER NOT NULL REFERENCES message,
  pass         INTEGER NOT NULL REFERENCES pass,
  size         INTEGER NOT NULL, -- RFC822.SIZE
  internaldate INTEGER,          -- as in message
  zone         INTEGER NOT NULL
) STRICT;
CREATE INDEX listing_message ON listing (message, id);
CREATE INDEX listing_pass ON listing (pass, message); -- for the chain

CREATE TRIGGER listing_keep BEFORE DELETE ON listing BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: listing'); END;
CREATE TRIGGER listing_fixed BEFORE UPDATE ON listing BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: listing'); END;
