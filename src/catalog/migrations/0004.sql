-- Cases, their steps, exemptions, and the footage linked to them.

CREATE TABLE case_file (
  id             INTEGER PRIMARY KEY,
  number         TEXT NOT NULL,
  -- The number as it is compared (base::segment::number_key): one case, however its brackets are written.
  number_key     TEXT NOT NULL UNIQUE,
  kind           TEXT NOT NULL,
  checklist      TEXT NOT NULL,
  title          TEXT NOT NULL,
  parties        TEXT NOT NULL DEFAULT '',
  address        TEXT NOT NULL DEFAULT '',
  unit           INTEGER NOT NULL REFERENCES unit (id),
  stage          TEXT NOT NULL DEFAULT '',
  classification TEXT NOT NULL DEFAULT 'internal',
  -- Days for the file after the act's end; NULL means the unit's, or the settings'.
  case_days      INTEGER CHECK (case_days > 0),
  opened_at      INTEGER NOT NULL,
  act_ended_at   INTEGER CHECK (act_ended_at >= opened_at),
  closed_at      INTEGER
) STRICT;
CREATE INDEX case_opened ON case_file (opened_at);
CREATE INDEX case_unit ON case_file (unit, opened_at);
CREATE INDEX case_running ON case_file (act_ended_at) WHERE closed_at IS NULL AND act_ended_at IS NOT NULL;

-- The words of a case (base::segment::words), by its id; written with the case, in the same transaction.
-- Everything but ASCII is part of a word: the text is cut before.
CREATE VIRTUAL TABLE case_words USING fts5 (
  words, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);

CREATE TABLE case_officer (
  case_file INTEGER NOT NULL REFERENCES case_file (id),
  officer   INTEGER NOT NULL REFERENCES officer (id),
  PRIMARY KEY (case_file, officer)
) STRICT, WITHOUT ROWID;
CREATE INDEX case_officer_of ON case_officer (officer, case_file);

CREATE TABLE case_step (
  id         INTEGER PRIMARY KEY,
  case_file  INTEGER NOT NULL REFERENCES case_file (id),
  key        TEXT NOT NULL,
  name       TEXT NOT NULL,
  name_zh    TEXT NOT NULL DEFAULT '',
  place      INTEGER NOT NULL,
  -- audio-visual record: by the checklist
  av         TEXT NOT NULL CHECK (av IN ('required', 'recommended', 'optional')),
  shows      TEXT NOT NULL DEFAULT '',
  retention  TEXT NOT NULL DEFAULT '',
  article    TEXT NOT NULL DEFAULT '',
  -- What must be recorded of it in words: definitions (a list of key, name, name_zh) and values by key, JSON.
  asks       TEXT NOT NULL DEFAULT '[]',
  told       TEXT NOT NULL DEFAULT '{}',
  -- Whether the step takes place in this case at all; if not, why.
  applies    INTEGER NOT NULL DEFAULT 1 CHECK (applies IN (0, 1)),
  why_not    TEXT NOT NULL DEFAULT '',
  -- Who said so, and the badge of the second person who confirmed it: a required step needs one.
  waived_by  TEXT,
  waived_ok  TEXT,
  from_at    INTEGER,
  to_at      INTEGER CHECK (to_at >= from_at),
  UNIQUE (case_file, key)
) STRICT;
CREATE INDEX case_step_time ON case_step (from_at) WHERE from_at IS NOT NULL;

CREATE TABLE exemption (
  id          INTEGER PRIMARY KEY,
  step        INTEGER NOT NULL REFERENCES case_step (id),
  ground      TEXT NOT NULL CHECK (ground IN ('device_fault', 'party_uncooperative', 'severe_weather', 'other')),
  reason      TEXT NOT NULL,
  note        TEXT NOT NULL DEFAULT '',
  state       TEXT NOT NULL CHECK (state IN ('proposed', 'reviewed', 'approved', 'rejected', 'withdrawn')),
  proposer    TEXT NOT NULL,
  proposed_at INTEGER NOT NULL,
  reviewer    TEXT,
  reviewed_at INTEGER,
  approver    TEXT,
  approved_at INTEGER,
  -- Who rejected or withdrew it, when, and the remark on that.
  ended_by    TEXT,
  ended_at    INTEGER,
  remark      TEXT NOT NULL DEFAULT '',
  CHECK ((ended_by IS NOT NULL) = (state IN ('rejected', 'withdrawn'))),
  CHECK (state NOT IN ('reviewed', 'approved') OR reviewer IS NOT NULL),
  CHECK (state <> 'approved' OR approver IS NOT NULL),
  CHECK (reviewer <> proposer AND approver <> proposer AND approver <> reviewer)
) STRICT;
CREATE UNIQUE INDEX exemption_standing ON exemption (step) WHERE state IN ('proposed', 'reviewed', 'approved');
CREATE INDEX exemption_step ON exemption (step);

-- A recording, or the span [from_ms, to_ms) of one, attached to a step. Unlinking keeps the row.
CREATE TABLE link (
  id          INTEGER PRIMARY KEY,
  recording   TEXT NOT NULL REFERENCES recording (id),
  step        INTEGER NOT NULL REFERENCES case_step (id),
  from_ms     INTEGER CHECK (from_ms >= 0),
  to_ms       INTEGER CHECK (to_ms > from_ms),
  reason      TEXT NOT NULL,
  linked_by   TEXT NOT NULL,
  linked_at   INTEGER NOT NULL,
  automatic   INTEGER NOT NULL DEFAULT 0 CHECK (automatic IN (0, 1)),
  unlinked_by TEXT,
  unlinked_at INTEGER,
  unlinked_why TEXT,
  CHECK ((from_ms IS NULL) = (to_ms IS NULL)),
  CHECK ((unlinked_at IS NULL) = (unlinked_by IS NULL))
) STRICT;
CREATE UNIQUE INDEX link_once ON link (recording, step, coalesce(from_ms, -1), coalesce(to_ms, -1))
  WHERE unlinked_at IS NULL;
CREATE INDEX link_step ON link (step);
