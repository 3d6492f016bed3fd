-- Plans of a copy that came out empty: see settled.go. It spares a pass in which
-- nothing has happened the comparison of all messages, and is no evidence.
CREATE TABLE settled (
  seq              INTEGER PRIMARY KEY,
  account          TEXT NOT NULL,
  source_pass      INTEGER NOT NULL REFERENCES pass, -- the inventories that were compared
  destination_pass INTEGER NOT NULL REFERENCES pass,
  base_pass        INTEGER NOT NULL, -- the inventory whose flags were the base; 0: none
  rules            TEXT NOT NULL,    -- a digest of whatever else the plan rested on
  recorded         TEXT NOT NULL
) STRICT;
CREATE INDEX settled_account ON settled (account, seq);

CREATE TRIGGER settled_keep BEFORE DELETE ON settled BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: settled'); END;
CREATE TRIGGER settled_fixed BEFORE UPDATE ON settled BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: settled'); END;

-- Whether anything of a mailbox was not read is asked at each pass, and seldom so.
CREATE INDEX message_unread ON message (id) WHERE state <> 2;
