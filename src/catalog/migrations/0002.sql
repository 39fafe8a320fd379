-- What lists, status and fsck ask of a catalogue with a million recordings.
CREATE INDEX recording_taken ON recording (taken_at, id);
CREATE INDEX recording_size ON recording (state, size);
CREATE INDEX left_docking ON left_file (last_docking, path);
CREATE INDEX copy_not_well ON copy (volume, recording) WHERE state IN ('damaged', 'missing');
