-- Registers: units, officers, recorders, and the ledger of who took which recorder when.

CREATE TABLE unit (
  id            INTEGER PRIMARY KEY,
  code          TEXT NOT NULL UNIQUE,
  name          TEXT NOT NULL,
  parent        INTEGER REFERENCES unit (id),
  -- Limits of its own; NULL means the parent's, or the settings'.
  archive_hours INTEGER CHECK (archive_hours > 0),
  case_days     INTEGER CHECK (case_days > 0),
  closed        INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1))
) STRICT;

CREATE TABLE officer (
  id     INTEGER PRIMARY KEY,
  badge  TEXT NOT NULL UNIQUE,
  name   TEXT NOT NULL,
  unit   INTEGER NOT NULL REFERENCES unit (id),
  role   TEXT NOT NULL CHECK (role IN ('officer', 'reviewer', 'head', 'supervisor', 'storage', 'admin')),
  email  TEXT,
  -- Local times: '22:00-07:00' (nothing but what is overdue), '08:00' (one message a day).
  quiet  TEXT,
  digest TEXT,
  left   INTEGER NOT NULL DEFAULT 0 CHECK (left IN (0, 1))
) STRICT;
CREATE INDEX officer_unit ON officer (unit, role);
CREATE INDEX unit_parent ON unit (parent) WHERE parent IS NOT NULL;

-- What the unit says of its recorders; `recorder` is what the station has seen of them. One identity.
CREATE TABLE recorder_entry (
  id      TEXT PRIMARY KEY,
  model   TEXT NOT NULL DEFAULT '',
  profile TEXT,
  unit    INTEGER REFERENCES unit (id),
  officer INTEGER REFERENCES officer (id),
  state   TEXT NOT NULL CHECK (state IN ('in_service', 'lent', 'broken', 'retired')),
  note    TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX recorder_entry_officer ON recorder_entry (officer);
CREATE INDEX recorder_entry_unit ON recorder_entry (unit);

CREATE TABLE issue (
  id                INTEGER PRIMARY KEY,
  recorder          TEXT NOT NULL,
  officer           INTEGER NOT NULL REFERENCES officer (id),
  purpose           TEXT NOT NULL,
  issued_at         INTEGER NOT NULL,
  -- Condition: percent, bytes free, milliseconds that its clock is ahead of the station's.
  issued_battery    INTEGER CHECK (issued_battery BETWEEN 0 AND 100),
  issued_free       INTEGER CHECK (issued_free >= 0),
  issued_clock      INTEGER,
  returned_at       INTEGER CHECK (returned_at >= issued_at),
  returned_battery  INTEGER CHECK (returned_battery BETWEEN 0 AND 100),
  returned_free     INTEGER CHECK (returned_free >= 0),
  returned_clock    INTEGER,
  -- The stay that returned it by itself.
  returned_docking  INTEGER REFERENCES docking (id),
  note              TEXT NOT NULL DEFAULT '',
  -- Entered by mistake. It covers no time, so that nobody who looks at periods only is misled.
  void              INTEGER NOT NULL DEFAULT 0 CHECK (void IN (0, 1)),
  CHECK (void = 0 OR returned_at IS issued_at),
  CHECK (returned_docking IS NULL OR returned_at IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX issue_open ON issue (recorder) WHERE returned_at IS NULL;
-- Void entries count each for itself; the index serves queries that say nothing of them too.
CREATE UNIQUE INDEX issue_recorder ON issue (recorder, issued_at, iif(void, id, 0));
CREATE INDEX issue_officer ON issue (officer, issued_at);

-- Who held the recorder when the recording was made, by the ledger.
ALTER TABLE recording ADD COLUMN officer INTEGER REFERENCES officer (id);
ALTER TABLE recording ADD COLUMN classification TEXT NOT NULL DEFAULT 'unclassified';
CREATE INDEX recording_officer ON recording (officer, taken_at) WHERE officer IS NOT NULL;
CREATE INDEX docking_recorder ON docking (recorder, started_at);
