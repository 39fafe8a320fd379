-- Alerts, and the messages about them that wait to be delivered.

CREATE TABLE alert (
  id              INTEGER PRIMARY KEY,
  kind            TEXT NOT NULL,
  subject         TEXT NOT NULL,
  severity        TEXT NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
  state           TEXT NOT NULL CHECK (state IN ('open', 'acknowledged', 'resolved')),
  -- Escalation: how often it was raised to more people.
  level           INTEGER NOT NULL DEFAULT 0,
  message         TEXT NOT NULL,
  details         TEXT NOT NULL DEFAULT '{}',
  officer         INTEGER REFERENCES officer (id),
  unit            INTEGER REFERENCES unit (id),
  opened_at       INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  acknowledged_at INTEGER,
  acknowledged_by TEXT,
  note            TEXT,
  resolved_at     INTEGER,
  resolution      TEXT,
  CHECK ((state = 'resolved') = (resolved_at IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX alert_standing ON alert (kind, subject) WHERE state <> 'resolved';
CREATE INDEX alert_subject ON alert (subject);

CREATE TABLE outbox (
  id         INTEGER PRIMARY KEY,
  -- Idempotency: the same event for the same receiver is entered once.
  key        TEXT NOT NULL UNIQUE,
  channel    TEXT NOT NULL,
  -- `` for a channel with one receiver, an address, or `officer:<badge>`
  recipient  TEXT NOT NULL DEFAULT '',
  alert      INTEGER NOT NULL REFERENCES alert (id),
  event      TEXT NOT NULL CHECK (event IN ('opened', 'updated', 'escalated', 'acknowledged', 'resolved')),
  urgent     INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1)),
  -- dropped: there is nobody any more to send it to
  state      TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'dead', 'dropped')),
  -- The message it goes out in, together with others for the same receiver: once sent, or once it may
  -- have arrived, the message keeps its key.
  message    TEXT,
  attempts   INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  next_at    INTEGER NOT NULL,
  -- When it was sent, given up or dropped.
  done_at    INTEGER,
  error      TEXT,
  CHECK ((state = 'waiting') = (done_at IS NULL)),
  CHECK (state <> 'sent' OR message IS NOT NULL)
) STRICT;
CREATE INDEX outbox_waiting ON outbox (channel, next_at) WHERE state = 'waiting';
CREATE INDEX outbox_receiver ON outbox (channel, recipient) WHERE state = 'waiting';
CREATE INDEX outbox_message ON outbox (message) WHERE state = 'waiting';
CREATE INDEX outbox_alert ON outbox (alert);
CREATE INDEX outbox_dead ON outbox (channel, done_at) WHERE state = 'dead';
CREATE INDEX outbox_sent ON outbox (channel, done_at) WHERE state = 'sent';
-- Stays whose trouble is not mended by a later one.
CREATE INDEX docking_attention ON docking (id) WHERE state = 'attention';
