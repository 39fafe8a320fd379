-- The Merkle tree over the custody log, and its signed checkpoints.

-- Hashes of full subtrees: `level` 1 covers 256 entries, each further level 256 of the one below.
CREATE TABLE custody_tile (
  level INTEGER NOT NULL CHECK (level > 0),
  place INTEGER NOT NULL CHECK (place >= 0),
  hash  BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (
  size INTEGER PRIMARY KEY CHECK (size > 0),
  note TEXT NOT NULL,
  at   INTEGER NOT NULL
) STRICT;
