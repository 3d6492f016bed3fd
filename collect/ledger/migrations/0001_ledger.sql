-- Version 1 of the ledger. Every table is append-only: what a pass recorded is
-- never edited or removed by another. The triggers at the end hold that. A
-- pass, a scan and a copy move once from 'running' to a final state.
--
-- Times are text, RFC 3339 in UTC; INTERNALDATE alone is Unix seconds beside its
-- zone, as it is compared as an instant and handed on as it was written. Blobs
-- of hashes hold eight SHA-256 values of 32 octets in the order T0 T1 T2 T2v T2c
-- T3 T3b T4; all zero means that the tier was not computed.
--
-- A message's number is epoch << 32 | uid: the messages of one mailbox and
-- UIDVALIDITY lie together in the order of their UIDs.

-- What is known of the engagement as a whole; the latest value of a key counts.
CREATE TABLE engagement (
  seq      INTEGER PRIMARY KEY,
  key      TEXT NOT NULL,
  value    TEXT NOT NULL,
  recorded TEXT NOT NULL
) STRICT;

CREATE TABLE pass (
  id        INTEGER PRIMARY KEY,
  kind      TEXT NOT NULL,
  side      TEXT NOT NULL,
  depth     TEXT NOT NULL,
  reverify  INTEGER NOT NULL,
  tool      TEXT NOT NULL,
  command   TEXT NOT NULL,
  algorithm TEXT NOT NULL, -- the fingerprint's: hashes of two algorithms never compare
  started   TEXT NOT NULL,
  finished  TEXT NOT NULL DEFAULT '',
  state     TEXT NOT NULL DEFAULT 'running',
  error     TEXT NOT NULL DEFAULT '',
  messages  INTEGER NOT NULL DEFAULT 0,
  bytes     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE account (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE mailbox (
  id      INTEGER PRIMARY KEY,
  account INTEGER NOT NULL REFERENCES account,
  side    TEXT NOT NULL CHECK (side IN ('source', 'destination')),
  name    TEXT NOT NULL,
  UNIQUE (account, side, name)
) STRICT;

-- A mailbox under one UIDVALIDITY: within it a UID names a message for ever.
CREATE TABLE epoch (
  id          INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 2147483647),
  mailbox     INTEGER NOT NULL REFERENCES mailbox,
  uidvalidity INTEGER NOT NULL,
  UNIQUE (mailbox, uidvalidity)
) STRICT;

CREATE TABLE flagset (
  id    INTEGER PRIMARY KEY,
  flags TEXT NOT NULL UNIQUE -- as IMAP writes it: (\Seen $Forwarded)
) STRICT;

-- An account's part of an inventory pass.
CREATE TABLE scan (
  pass     INTEGER NOT NULL REFERENCES pass,
  account  INTEGER NOT NULL REFERENCES account,
  side     TEXT NOT NULL CHECK (side IN ('source', 'destination')),
  started  TEXT NOT NULL,
  finished TEXT NOT NULL DEFAULT '',
  state    TEXT NOT NULL DEFAULT 'running',
  error    TEXT NOT NULL DEFAULT '',
  server   TEXT NOT NULL,
  PRIMARY KEY (pass, account, side)
) STRICT, WITHOUT ROWID;

CREATE TABLE mailbox_scan (
  id                 INTEGER PRIMARY KEY,
  pass               INTEGER NOT NULL,
  account            INTEGER NOT NULL,
  side               TEXT NOT NULL,
  mailbox            INTEGER NOT NULL REFERENCES mailbox,
  epoch              INTEGER REFERENCES epoch, -- null: not opened, or left out
  state              TEXT NOT NULL CHECK (state IN ('running', 'done', 'excluded')),
  separator          TEXT NOT NULL,
  prefix             TEXT NOT NULL,
  special_use        TEXT NOT NULL,
  subscribed         INTEGER NOT NULL,
  noselect           INTEGER NOT NULL,
  before_uidvalidity INTEGER NOT NULL,
  before_uidnext     INTEGER NOT NULL,
  before_exists      INTEGER NOT NULL,
  before_modseq      INTEGER NOT NULL,
  after_uidvalidity  INTEGER NOT NULL DEFAULT 0,
  after_uidnext      INTEGER NOT NULL DEFAULT 0,
  after_exists       INTEGER NOT NULL DEFAULT 0,
  after_modseq       INTEGER NOT NULL DEFAULT 0,
  complete           INTEGER NOT NULL DEFAULT 0,
  drifted            INTEGER NOT NULL DEFAULT 0,
  present            INTEGER NOT NULL DEFAULT 0,
  excluded           TEXT NOT NULL DEFAULT '',
  error              TEXT NOT NULL DEFAULT '',
  UNIQUE (pass, mailbox),
  FOREIGN KEY (pass, account, side) REFERENCES scan
) STRICT;

-- A message as it was first seen. Its epoch, pass and flagset are not declared
-- as foreign keys: checking them would cost a third of the loading speed.
CREATE TABLE message (
  id           INTEGER PRIMARY KEY,
  first_pass   INTEGER NOT NULL,
  internaldate INTEGER,          -- null: the server gave none that can be read
  zone         INTEGER NOT NULL, -- seconds east of UTC
  flags        INTEGER NOT NULL,
  size         INTEGER NOT NULL, -- RFC822.SIZE
  state        INTEGER NOT NULL CHECK (state IN (0, 1, 2)), -- unread, unreadable, read
  octets       INTEGER NOT NULL,
  hashes       BLOB CHECK ((state = 2) = (hashes IS NOT NULL) AND length(hashes) = 256),
  reason       TEXT
) STRICT;

-- The description beside the hashes, apart from them: comparing reads hashes
-- alone.
CREATE TABLE detail (
  message INTEGER PRIMARY KEY,
  detail  BLOB NOT NULL
) STRICT;

-- A later reading that differs from the one before it.
CREATE TABLE reading (
  id      INTEGER PRIMARY KEY,
  message INTEGER NOT NULL REFERENCES message,
  pass    INTEGER NOT NULL REFERENCES pass,
  state   INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
  octets  INTEGER NOT NULL,
  hashes  BLOB CHECK ((state = 2) = (hashes IS NOT NULL) AND length(hashes) = 256),
  reason  TEXT,
  detail  BLOB
) STRICT;
CREATE INDEX reading_message ON reading (message, id);

-- A message vanished (0), or was there again (1), by the word of a pass.
CREATE TABLE presence (
  message INTEGER NOT NULL REFERENCES message,
  pass    INTEGER NOT NULL REFERENCES pass,
  seq     INTEGER NOT NULL,
  present INTEGER NOT NULL CHECK (present IN (0, 1)),
  PRIMARY KEY (message, pass, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE flag_event (
  message INTEGER NOT NULL REFERENCES message,
  pass    INTEGER NOT NULL REFERENCES pass,
  seq     INTEGER NOT NULL,
  flags   INTEGER NOT NULL REFERENCES flagset,
  PRIMARY KEY (message, pass, seq)
) STRICT, WITHOUT ROWID;

-- The copy journal: claims, no evidence. Nothing that is compared reads it.
CREATE TABLE copy_account (
  pass     INTEGER NOT NULL REFERENCES pass,
  account  INTEGER NOT NULL REFERENCES account,
  finished TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (pass, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE step (
  id           INTEGER PRIMARY KEY,
  pass         INTEGER NOT NULL,
  account      INTEGER NOT NULL,
  kind         TEXT NOT NULL,
  target       TEXT NOT NULL,
  message      INTEGER NOT NULL, -- source's of an append, destination's of a flag change, else 0
  special_use  TEXT NOT NULL,
  internaldate INTEGER,
  zone         INTEGER NOT NULL,
  flags        INTEGER NOT NULL REFERENCES flagset, -- to append with, or to add
  remove       INTEGER NOT NULL REFERENCES flagset,
  size         INTEGER NOT NULL,
  t0           BLOB,
  intended     TEXT NOT NULL,
  FOREIGN KEY (pass, account) REFERENCES copy_account
) STRICT;
CREATE INDEX step_identity ON step (message, target, kind, account);

CREATE TABLE step_result (
  step        INTEGER PRIMARY KEY REFERENCES step,
  state       TEXT NOT NULL,
  reason      TEXT NOT NULL,
  uidvalidity INTEGER NOT NULL, -- what APPENDUID claimed
  uid         INTEGER NOT NULL,
  octets      INTEGER NOT NULL,
  finished    TEXT NOT NULL
) STRICT;

-- What a diff pass found for an account.
CREATE TABLE result (
  pass               INTEGER NOT NULL REFERENCES pass,
  account            INTEGER NOT NULL REFERENCES account,
  verdict            TEXT NOT NULL,
  counts             TEXT NOT NULL,
  flags_differ       INTEGER NOT NULL,
  dates_differ       INTEGER NOT NULL,
  signatures_changed INTEGER NOT NULL,
  exceptions_omitted INTEGER NOT NULL,
  source_pass        INTEGER REFERENCES pass,
  destination_pass   INTEGER REFERENCES pass,
  source_bytes       INTEGER NOT NULL,
  destination_bytes  INTEGER NOT NULL,
  PRIMARY KEY (pass, account)
) STRICT, WITHOUT ROWID;

CREATE TABLE result_folder (
  pass               INTEGER NOT NULL,
  account            INTEGER NOT NULL,
  position           INTEGER NOT NULL,
  source             TEXT NOT NULL,
  destination        TEXT NOT NULL,
  counts             TEXT NOT NULL,
  flags_differ       INTEGER NOT NULL,
  dates_differ       INTEGER NOT NULL,
  signatures_changed INTEGER NOT NULL,
  PRIMARY KEY (pass, account, position),
  FOREIGN KEY (pass, account) REFERENCES result
) STRICT, WITHOUT ROWID;

-- The numbers of exceptions, kept from diff to diff: E for those that need a
-- decision, N for those that are listed for the record.
CREATE TABLE exception_id (
  series  TEXT NOT NULL CHECK (series IN ('E', 'N')),
  number  INTEGER NOT NULL CHECK (number > 0),
  key     TEXT NOT NULL, -- of the message: side, account, mailbox, uidvalidity and uid as a JSON array
  PRIMARY KEY (series, number),
  UNIQUE (series, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE exception (
  pass        INTEGER NOT NULL,
  account     INTEGER NOT NULL,
  position    INTEGER NOT NULL,
  series      TEXT NOT NULL,
  number      INTEGER NOT NULL,
  mailbox     TEXT NOT NULL,
  counterpart TEXT NOT NULL, -- a key as in exception_id; empty: none
  message_id  TEXT NOT NULL,
  subject     TEXT NOT NULL,
  size        INTEGER NOT NULL,
  verdict     TEXT NOT NULL,
  tier        TEXT NOT NULL,
  reasons     TEXT NOT NULL, -- JSON: [[code, evidence], …]
  disposition TEXT NOT NULL, -- as the diff gave it
  PRIMARY KEY (pass, account, position),
  FOREIGN KEY (pass, account) REFERENCES result,
  FOREIGN KEY (series, number) REFERENCES exception_id
) STRICT, WITHOUT ROWID;

-- The decisions on exceptions; the latest one on a number counts, and only for
-- the verdict that it was made for.
CREATE TABLE disposition (
  seq         INTEGER PRIMARY KEY,
  series      TEXT NOT NULL,
  number      INTEGER NOT NULL,
  pass        INTEGER NOT NULL REFERENCES pass, -- the diff that the decision is about
  verdict     TEXT NOT NULL,
  disposition TEXT NOT NULL,
  decided_by  TEXT NOT NULL,
  why         TEXT NOT NULL,
  decided     TEXT NOT NULL,
  FOREIGN KEY (series, number) REFERENCES exception_id
) STRICT;
CREATE INDEX disposition_exception ON disposition (series, number);

-- Findings of a comparison (account is set) and of a DNS audit (it is null).
CREATE TABLE finding (
  id        INTEGER PRIMARY KEY,
  pass      INTEGER NOT NULL REFERENCES pass,
  account   INTEGER REFERENCES account,
  "check"   TEXT NOT NULL,
  domain    TEXT NOT NULL,
  about     TEXT NOT NULL, -- the account that the finding names
  mailbox   TEXT NOT NULL,
  phase     TEXT NOT NULL,
  outcome   TEXT NOT NULL,
  expected  TEXT NOT NULL,
  observed  TEXT NOT NULL,
  reference TEXT NOT NULL,
  remedy    TEXT NOT NULL,
  time      TEXT NOT NULL
) STRICT;
CREATE INDEX finding_pass ON finding (pass, account);
CREATE INDEX finding_domain ON finding (domain, phase, pass) WHERE account IS NULL;

CREATE TABLE observation (
  id       INTEGER PRIMARY KEY,
  pass     INTEGER NOT NULL REFERENCES pass,
  domain   TEXT NOT NULL,
  time     TEXT NOT NULL,
  question TEXT NOT NULL,
  type     TEXT NOT NULL,
  server   TEXT NOT NULL,
  role     TEXT NOT NULL,
  network  TEXT NOT NULL,
  rcode    TEXT NOT NULL,
  aa       INTEGER NOT NULL,
  ad       INTEGER NOT NULL,
  records  TEXT NOT NULL, -- JSON array
  min_ttl  INTEGER NOT NULL,
  max_ttl  INTEGER NOT NULL,
  error    TEXT NOT NULL,
  millis   INTEGER NOT NULL
) STRICT;
CREATE INDEX observation_pass ON observation (pass, domain);

-- For people who look into the file with the sqlite3 shell.
CREATE VIEW messages AS
SELECT m.id, a.name AS account, b.side, b.name AS mailbox, e.uidvalidity, m.id & 4294967295 AS uid, m.first_pass,
  datetime(m.internaldate, 'unixepoch') AS internaldate_utc, f.flags AS first_flags, m.size,
  CASE m.state WHEN 2 THEN 'read' WHEN 1 THEN 'unreadable' ELSE 'unread' END AS state, m.octets, m.reason,
  lower(hex(substr(m.hashes, 1, 32))) AS t0, lower(hex(substr(m.hashes, 33, 32))) AS t1,
  lower(hex(substr(m.hashes, 65, 32))) AS t2, lower(hex(substr(m.hashes, 97, 32))) AS t2v,
  lower(hex(substr(m.hashes, 129, 32))) AS t2c, lower(hex(substr(m.hashes, 161, 32))) AS t3,
  lower(hex(substr(m.hashes, 193, 32))) AS t3b, lower(hex(substr(m.hashes, 225, 32))) AS t4
FROM message m JOIN epoch e ON e.id = m.id >> 32 JOIN mailbox b ON b.id = e.mailbox
JOIN account a ON a.id = b.account LEFT JOIN flagset f ON f.id = m.flags;

-- Append-only.
CREATE TRIGGER engagement_keep BEFORE DELETE ON engagement BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: engagement'); END;
CREATE TRIGGER engagement_fixed BEFORE UPDATE ON engagement BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: engagement'); END;
CREATE TRIGGER pass_keep BEFORE DELETE ON pass BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: pass'); END;
CREATE TRIGGER pass_fixed BEFORE UPDATE ON pass WHEN OLD.state <> 'running' OR NEW.state = 'running' OR NEW.id IS NOT OLD.id OR NEW.kind IS NOT OLD.kind OR NEW.side IS NOT OLD.side OR NEW.depth IS NOT OLD.depth OR NEW.reverify IS NOT OLD.reverify OR NEW.tool IS NOT OLD.tool OR NEW.command IS NOT OLD.command OR NEW.algorithm IS NOT OLD.algorithm OR NEW.started IS NOT OLD.started
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: pass ends once'); END;
CREATE TRIGGER account_keep BEFORE DELETE ON account BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: account'); END;
CREATE TRIGGER account_fixed BEFORE UPDATE ON account BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: account'); END;
CREATE TRIGGER mailbox_keep BEFORE DELETE ON mailbox BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: mailbox'); END;
CREATE TRIGGER mailbox_fixed BEFORE UPDATE ON mailbox BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: mailbox'); END;
CREATE TRIGGER epoch_keep BEFORE DELETE ON epoch BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: epoch'); END;
CREATE TRIGGER epoch_fixed BEFORE UPDATE ON epoch BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: epoch'); END;
CREATE TRIGGER flagset_keep BEFORE DELETE ON flagset BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: flagset'); END;
CREATE TRIGGER flagset_fixed BEFORE UPDATE ON flagset BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: flagset'); END;
CREATE TRIGGER scan_keep BEFORE DELETE ON scan BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: scan'); END;
CREATE TRIGGER scan_fixed BEFORE UPDATE ON scan WHEN OLD.state <> 'running' OR NEW.state = 'running' OR NEW.pass IS NOT OLD.pass OR NEW.account IS NOT OLD.account OR NEW.side IS NOT OLD.side OR NEW.started IS NOT OLD.started
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: scan ends once'); END;
CREATE TRIGGER mailbox_scan_keep BEFORE DELETE ON mailbox_scan BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: mailbox_scan'); END;
CREATE TRIGGER mailbox_scan_fixed BEFORE UPDATE ON mailbox_scan WHEN OLD.state <> 'running' OR NEW.state = 'running' OR NEW.id IS NOT OLD.id OR NEW.pass IS NOT OLD.pass OR NEW.account IS NOT OLD.account OR NEW.side IS NOT OLD.side OR NEW.mailbox IS NOT OLD.mailbox OR NEW.epoch IS NOT OLD.epoch OR NEW.separator IS NOT OLD.separator OR NEW.prefix IS NOT OLD.prefix OR NEW.special_use IS NOT OLD.special_use OR NEW.subscribed IS NOT OLD.subscribed OR NEW.noselect IS NOT OLD.noselect OR NEW.before_uidvalidity IS NOT OLD.before_uidvalidity OR NEW.excluded IS NOT OLD.excluded
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: mailbox_scan ends once'); END;
CREATE TRIGGER message_keep BEFORE DELETE ON message BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: message'); END;
CREATE TRIGGER message_fixed BEFORE UPDATE ON message BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: message'); END;
CREATE TRIGGER detail_keep BEFORE DELETE ON detail BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: detail'); END;
CREATE TRIGGER detail_fixed BEFORE UPDATE ON detail BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: detail'); END;
CREATE TRIGGER reading_keep BEFORE DELETE ON reading BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: reading'); END;
CREATE TRIGGER reading_fixed BEFORE UPDATE ON reading BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: reading'); END;
CREATE TRIGGER presence_keep BEFORE DELETE ON presence BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: presence'); END;
CREATE TRIGGER presence_fixed BEFORE UPDATE ON presence BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: presence'); END;
CREATE TRIGGER flag_event_keep BEFORE DELETE ON flag_event BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: flag_event'); END;
CREATE TRIGGER flag_event_fixed BEFORE UPDATE ON flag_event BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: flag_event'); END;
CREATE TRIGGER copy_account_keep BEFORE DELETE ON copy_account BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: copy_account'); END;
CREATE TRIGGER copy_account_fixed BEFORE UPDATE ON copy_account WHEN OLD.finished <> '' OR NEW.finished = '' OR NEW.pass IS NOT OLD.pass OR NEW.account IS NOT OLD.account
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: copy_account ends once'); END;
CREATE TRIGGER step_keep BEFORE DELETE ON step BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: step'); END;
CREATE TRIGGER step_fixed BEFORE UPDATE ON step BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: step'); END;
CREATE TRIGGER step_result_keep BEFORE DELETE ON step_result BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: step_result'); END;
CREATE TRIGGER step_result_fixed BEFORE UPDATE ON step_result BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: step_result'); END;
CREATE TRIGGER result_keep BEFORE DELETE ON result BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: result'); END;
CREATE TRIGGER result_fixed BEFORE UPDATE ON result BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: result'); END;
CREATE TRIGGER result_folder_keep BEFORE DELETE ON result_folder BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: result_folder'); END;
CREATE TRIGGER result_folder_fixed BEFORE UPDATE ON result_folder BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: result_folder'); END;
CREATE TRIGGER exception_id_keep BEFORE DELETE ON exception_id BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: exception_id'); END;
CREATE TRIGGER exception_id_fixed BEFORE UPDATE ON exception_id BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: exception_id'); END;
CREATE TRIGGER exception_keep BEFORE DELETE ON exception BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: exception'); END;
CREATE TRIGGER exception_fixed BEFORE UPDATE ON exception BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: exception'); END;
CREATE TRIGGER disposition_keep BEFORE DELETE ON disposition BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: disposition'); END;
CREATE TRIGGER disposition_fixed BEFORE UPDATE ON disposition BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: disposition'); END;
CREATE TRIGGER finding_keep BEFORE DELETE ON finding BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: finding'); END;
CREATE TRIGGER finding_fixed BEFORE UPDATE ON finding BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: finding'); END;
CREATE TRIGGER observation_keep BEFORE DELETE ON observation BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: observation'); END;
CREATE TRIGGER observation_fixed BEFORE UPDATE ON observation BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: observation'); END;

-- Nothing is added to what has ended.
CREATE TRIGGER scan_open BEFORE INSERT ON scan WHEN (SELECT state FROM pass WHERE id = NEW.pass) <> 'running'
BEGIN SELECT RAISE(ABORT, 'the pass has ended'); END;
CREATE TRIGGER mailbox_scan_open BEFORE INSERT ON mailbox_scan
WHEN (SELECT state FROM scan WHERE pass = NEW.pass AND account = NEW.account AND side = NEW.side) <> 'running'
BEGIN SELECT RAISE(ABORT, 'the scan has ended'); END;
CREATE TRIGGER result_open BEFORE INSERT ON result WHEN (SELECT state FROM pass WHERE id = NEW.pass) <> 'running'
BEGIN SELECT RAISE(ABORT, 'the pass has ended'); END;
