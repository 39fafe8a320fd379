-- Deadlines: one row for each promise. Evaluated from the facts; never the source of a fact.

CREATE TABLE deadline (
  -- `recording:<id>`, `recorder:<id>` (footage that must be assumed), `case:<number>`
  subject    TEXT PRIMARY KEY,
  kind       TEXT NOT NULL CHECK (kind IN ('recording', 'recorder', 'case')),
  -- The due time by its earliest and latest bound; equal where the facts are credible.
  earliest   INTEGER NOT NULL,
  latest     INTEGER NOT NULL CHECK (latest >= earliest),
  reason     TEXT NOT NULL,
  recorder   TEXT,
  officer    INTEGER REFERENCES officer (id),
  unit       INTEGER REFERENCES unit (id),
  state      TEXT NOT NULL CHECK (state IN ('running', 'met', 'late', 'void')),
  -- When the promise was kept, and by how much too late (milliseconds past the latest bound).
  met_at     INTEGER,
  late_by    INTEGER CHECK (late_by > 0),
  -- When something about it changes by time alone: due soon, overdue, a day more.
  next_at    INTEGER,
  CHECK ((state = 'late') = (late_by IS NOT NULL)),
  CHECK ((state = 'running') = (next_at IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX deadline_next ON deadline (next_at) WHERE next_at IS NOT NULL;
-- Clocks that were not credible.
CREATE INDEX deadline_doubtful ON deadline (recorder, met_at) WHERE kind = 'recording' AND earliest < latest;
-- Stays of a recorder by number: times are set.
CREATE INDEX docking_of_recorder ON docking (recorder, id);
CREATE INDEX deadline_late ON deadline (met_at) WHERE state = 'late';
CREATE INDEX deadline_recorder ON deadline (recorder) WHERE state = 'running';
CREATE INDEX deadline_running ON deadline (kind, earliest, latest) WHERE state = 'running';

-- How far a reader of the custody log has come.
CREATE TABLE reader (
  name TEXT PRIMARY KEY,
  seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
