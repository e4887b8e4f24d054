-- All quality flags of a chunk's values, or-ed; NULL where an older redshank wrote it.
ALTER TABLE verdicts ADD COLUMN flags INTEGER;
ALTER TABLE tail_verdicts ADD COLUMN flags INTEGER;
-- The column lies behind large blobs: what looks for flags reads them in an index.
DROP INDEX verdicts_by_time;
CREATE INDEX verdicts_by_time ON verdicts (sensor, last_time, first_time, flags);
DROP INDEX verdicts_by_newest;
CREATE INDEX verdicts_by_newest ON verdicts (last_time, first_time, flags);
