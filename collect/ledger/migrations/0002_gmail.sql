-- Gmail's number of a message, X-GM-MSGID, of those messages whose server gave
-- one when they were first seen. It lies apart from the messages, so that a
-- ledger of any other server has nothing of it. A number of 64 bits without a
-- sign stands in an integer of 64 bits with one.
CREATE TABLE gmail (
  message INTEGER PRIMARY KEY,
  msgid   INTEGER NOT NULL CHECK (msgid <> 0)
) STRICT;

CREATE TRIGGER gmail_keep BEFORE DELETE ON gmail BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: gmail'); END;
CREATE TRIGGER gmail_fixed BEFORE UPDATE ON gmail BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: gmail'); END;
