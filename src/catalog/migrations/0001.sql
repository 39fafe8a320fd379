-- Times are milliseconds since 1970-01-01 UTC; paths are the raw bytes of the card's file system.

CREATE TABLE custody (
  seq    INTEGER PRIMARY KEY,
  object TEXT NOT NULL,
  entry  BLOB NOT NULL,
  leaf   BLOB NOT NULL CHECK (length(leaf) = 32),
  chain  BLOB NOT NULL CHECK (length(chain) = 32)
) STRICT;
CREATE INDEX custody_object ON custody (object, seq);
CREATE TRIGGER custody_is_never_changed BEFORE UPDATE ON custody
BEGIN SELECT RAISE(ABORT, 'custody entries are never changed'); END;
CREATE TRIGGER custody_is_never_removed BEFORE DELETE ON custody
BEGIN SELECT RAISE(ABORT, 'custody entries are never removed'); END;

CREATE TABLE station (
  id         INTEGER PRIMARY KEY CHECK (id = 1),
  uuid       TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE volume (
  id       TEXT PRIMARY KEY,
  name     TEXT NOT NULL UNIQUE,
  path     TEXT NOT NULL,
  state    TEXT NOT NULL CHECK (state IN ('online', 'full', 'missing', 'foreign', 'failed')),
  reason   TEXT,
  state_at INTEGER NOT NULL
) STRICT;

CREATE TABLE recorder (
  id            TEXT PRIMARY KEY,
  first_seen_at INTEGER NOT NULL,
  last_seen_at  INTEGER NOT NULL
) STRICT;

CREATE TABLE docking (
  id              INTEGER PRIMARY KEY,
  dock            TEXT NOT NULL,
  card            BLOB NOT NULL,
  recorder        TEXT REFERENCES recorder (id),
  recorder_reason TEXT,
  profile         TEXT,
  profile_reason  TEXT,
  state           TEXT NOT NULL CHECK (state IN
                    ('looking', 'copying', 'safe', 'attention', 'vanished', 'interrupted', 'cancelled')),
  reason          TEXT,
  started_at      INTEGER NOT NULL,
  safe_at         INTEGER,
  ended_at        INTEGER,
  archived        INTEGER NOT NULL DEFAULT 0,
  duplicates      INTEGER NOT NULL DEFAULT 0,
  known           INTEGER NOT NULL DEFAULT 0,
  left_out        INTEGER NOT NULL DEFAULT 0,
  failed          INTEGER NOT NULL DEFAULT 0,
  bytes           INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX docking_open ON docking (id) WHERE ended_at IS NULL;

-- Work under way. A job ends as a row of `recording` (archived) or of `source_file` (duplicate).
CREATE TABLE job (
  id           INTEGER PRIMARY KEY,
  recording    TEXT NOT NULL UNIQUE,
  docking      INTEGER NOT NULL REFERENCES docking (id),
  recorder     TEXT NOT NULL REFERENCES recorder (id),
  source_path  BLOB NOT NULL,
  size         INTEGER NOT NULL CHECK (size >= 0),
  mtime_ns     INTEGER NOT NULL,
  kind         TEXT NOT NULL,
  facts        TEXT NOT NULL,
  taken_at     INTEGER NOT NULL,
  dest         TEXT NOT NULL,
  state        TEXT NOT NULL CHECK (state IN
                 ('planned', 'copying', 'copied', 'verified', 'retry', 'failed', 'quarantined')),
  reason       TEXT,
  attempts     INTEGER NOT NULL DEFAULT 0,
  sha256       BLOB CHECK (sha256 IS NULL OR length(sha256) = 32),
  sm3          BLOB,
  planned_at   INTEGER NOT NULL,
  CHECK (state NOT IN ('copied', 'verified') OR sha256 IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX job_source ON job (recorder, source_path) WHERE state NOT IN ('failed', 'quarantined');
CREATE INDEX job_docking ON job (docking, state, id);
CREATE INDEX job_content ON job (recorder, sha256, size) WHERE sha256 IS NOT NULL;

CREATE TABLE job_target (
  job    INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  volume TEXT NOT NULL REFERENCES volume (id),
  state  TEXT NOT NULL CHECK (state IN ('writing', 'copied', 'verified', 'placed', 'owed')),
  how    TEXT,
  PRIMARY KEY (job, volume)
) STRICT, WITHOUT ROWID;

-- The journal of running copies: after `offset` bytes, durable on every volume written to, the
-- hash stood in `state`. A SHA-256 state commits to all bytes before it, so it is the block digest too.
CREATE TABLE job_block (
  job    INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
  offset INTEGER NOT NULL,
  state  BLOB NOT NULL,
  PRIMARY KEY (job, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE recording (
  id          TEXT PRIMARY KEY,
  recorder    TEXT NOT NULL REFERENCES recorder (id),
  docking     INTEGER REFERENCES docking (id),
  state       TEXT NOT NULL CHECK (state IN ('archived', 'damaged', 'missing')),
  source_path BLOB NOT NULL,
  size        INTEGER NOT NULL,
  mtime_ns    INTEGER NOT NULL,
  sha256      BLOB NOT NULL CHECK (length(sha256) = 32),
  sm3         BLOB,
  kind        TEXT NOT NULL,
  facts       TEXT NOT NULL,
  day         TEXT NOT NULL,
  taken_at    INTEGER NOT NULL,
  archived_at INTEGER NOT NULL,
  probed      TEXT,
  take        TEXT,
  segment     INTEGER
) STRICT;
-- The identity of a recording is (recorder, SHA-256, size); an empty file has no content to be known by.
CREATE UNIQUE INDEX recording_content ON recording (recorder, sha256, size) WHERE size > 0;
CREATE INDEX recording_sha256 ON recording (sha256);
CREATE INDEX recording_day ON recording (day, recorder);
CREATE INDEX recording_recorder ON recording (recorder, taken_at);
CREATE INDEX recording_unprobed ON recording (id)
  WHERE probed IS NULL AND kind IN ('video', 'audio', 'photo');
CREATE INDEX recording_not_well ON recording (state) WHERE state <> 'archived';

CREATE TABLE copy (
  recording   TEXT NOT NULL REFERENCES recording (id),
  volume      TEXT NOT NULL REFERENCES volume (id),
  path        TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('archived', 'owed', 'damaged', 'missing')),
  verified_at INTEGER,
  how         TEXT,
  listed      INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (recording, volume)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX copy_path ON copy (volume, path);
CREATE INDEX copy_owed ON copy (volume, recording) WHERE state = 'owed';
CREATE INDEX copy_unlisted ON copy (volume, recording) WHERE listed = 0 AND state = 'archived';
CREATE INDEX copy_verified ON copy (verified_at) WHERE state = 'archived';

-- Every file of a card that is known to be archived: the hint that makes a second docking a look.
CREATE TABLE source_file (
  recorder  TEXT NOT NULL,
  path      BLOB NOT NULL,
  size      INTEGER NOT NULL,
  mtime_ns  INTEGER NOT NULL,
  recording TEXT NOT NULL REFERENCES recording (id),
  docking   INTEGER,
  PRIMARY KEY (recorder, path, size, mtime_ns)
) STRICT, WITHOUT ROWID;
CREATE INDEX source_file_recording ON source_file (recording);

-- What was seen on a card and not archived, with the reason.
CREATE TABLE left_file (
  recorder     TEXT NOT NULL,
  path         BLOB NOT NULL,
  reason       TEXT NOT NULL,
  first_docking INTEGER NOT NULL,
  last_docking  INTEGER NOT NULL,
  PRIMARY KEY (recorder, path)
) STRICT, WITHOUT ROWID;

-- Files set aside because something about them is not right; kept until a person decides.
CREATE TABLE quarantine (
  volume    TEXT NOT NULL REFERENCES volume (id),
  path      TEXT NOT NULL,
  recording TEXT NOT NULL,
  reason    TEXT NOT NULL,
  at        INTEGER NOT NULL,
  PRIMARY KEY (volume, path)
) STRICT, WITHOUT ROWID;
