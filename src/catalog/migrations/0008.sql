-- Whether footage of a recorder is known that is not archived.
CREATE INDEX job_recorder ON job (recorder, kind);
-- What the ledger says of a recorder's clock.
CREATE INDEX issue_clock ON issue (recorder, issued_at)
  WHERE void = 0 AND (returned_clock IS NOT NULL OR issued_clock IS NOT NULL);
-- Messages that were dropped: people look at them beside those that wait.
CREATE INDEX outbox_dropped ON outbox (done_at) WHERE state = 'dropped';
