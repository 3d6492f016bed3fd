-- The labels of Gmail, X-GM-LABELS, as a JSON list: what a message had besides
-- the folder it was listed in, from a pass until the next row of it. A message
-- without a row has none that a server told of. A message that vanished before
-- it was recorded may have a row all the same.
CREATE TABLE label (
  id      INTEGER PRIMARY KEY,
  message INTEGER NOT NULL,
  pass    INTEGER NOT NULL,
  labels  TEXT NOT NULL
) STRICT;
CREATE INDEX label_message ON label (message, id);
CREATE INDEX label_pass ON label (pass, message); -- for the chain

CREATE TRIGGER label_keep BEFORE DELETE ON label BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: label'); END;
CREATE TRIGGER label_fixed BEFORE UPDATE ON label BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: label'); END;
