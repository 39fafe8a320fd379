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
  recipient  TEXT NOT NULL DEFAULT '',
  alert      INTEGER REFERENCES alert (id),
  event      TEXT NOT NULL,
  urgent     INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1)),
  state      TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'dead')),
  attempts   INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  next_at    INTEGER NOT NULL,
  sent_at    INTEGER,
  error      TEXT
) STRICT;
CREATE INDEX outbox_waiting ON outbox (next_at) WHERE state = 'waiting';
CREATE INDEX outbox_dead ON outbox (channel) WHERE state = 'dead';
