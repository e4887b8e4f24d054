-- What is counted as it is written; 'commit' is the number of the newest commit.
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('commit', 0), ('readings', 0), ('verdicts', 0);

-- Layouts of chunks: JSON [channels, model, version].
CREATE TABLE schemas (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

CREATE TABLE sensors (
    id INTEGER PRIMARY KEY,
    sensor_id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,            -- what lists are sorted by
    search TEXT NOT NULL,
    site TEXT NOT NULL DEFAULT '',
    info TEXT NOT NULL DEFAULT '{}',
    status INTEGER NOT NULL DEFAULT 0,
    open_incidents INTEGER NOT NULL DEFAULT 0,
    attention INTEGER AS (
        CASE WHEN open_incidents > 0 THEN 4 WHEN status > 1 THEN status ELSE 0 END
    ) VIRTUAL
);
CREATE INDEX sensors_by_attention ON sensors (attention DESC, title, id);
CREATE INDEX sensors_by_status ON sensors (status, open_incidents);

-- What changes with every commit, in short rows apart from what rarely does.
CREATE TABLE vitals (
    sensor INTEGER PRIMARY KEY REFERENCES sensors ON DELETE CASCADE,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    last_commit INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    judged INTEGER NOT NULL,        -- event time of the newest verdict
    rate REAL,
    per_month REAL
);

-- The newest row of each set of channels that a sensor sends.
CREATE TABLE newest (
    sensor INTEGER NOT NULL REFERENCES sensors ON DELETE CASCADE,
    schema INTEGER NOT NULL,
    time INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (sensor, schema)
) WITHOUT ROWID;

CREATE TABLE checkpoints (
    sensor INTEGER PRIMARY KEY REFERENCES sensors ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    state BLOB NOT NULL
);

-- The tail: chunks of the latest commits in commit order, so that a commit only appends.
CREATE TABLE commits (
    seq INTEGER PRIMARY KEY,
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    count INTEGER NOT NULL
);
CREATE TABLE tail_readings (
    seq INTEGER NOT NULL,
    sensor INTEGER NOT NULL,
    part INTEGER NOT NULL,
    schema INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    count INTEGER NOT NULL,
    extras TEXT,
    records BLOB NOT NULL,
    PRIMARY KEY (seq, sensor, part)
) WITHOUT ROWID;
CREATE TABLE tail_verdicts (
    seq INTEGER NOT NULL,
    sensor INTEGER NOT NULL,
    part INTEGER NOT NULL,
    schema INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    count INTEGER NOT NULL,
    min_rate REAL,
    max_status INTEGER NOT NULL,
    head BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (seq, sensor, part)
) WITHOUT ROWID;

-- The body: larger chunks by sensor and time, made from the tail. Blobs last, the small ones first:
-- SQLite reads a row only as far as it is asked for.
CREATE TABLE readings (
    id INTEGER PRIMARY KEY,
    sensor INTEGER NOT NULL,
    schema INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    part INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    count INTEGER NOT NULL,
    settled INTEGER NOT NULL,       -- 1: large enough to be left alone
    rollup BLOB,                    -- the same by hours
    seqs BLOB,                      -- u32 per row beyond first_seq; NULL: all 0
    extras TEXT,                    -- JSON: the senders' ids and tags
    records BLOB NOT NULL
);
CREATE INDEX readings_by_time ON readings (sensor, last_time, first_time);
CREATE INDEX readings_by_newest ON readings (last_time);
CREATE INDEX readings_by_oldest ON readings (first_time);
CREATE INDEX readings_loose ON readings (sensor, schema) WHERE NOT settled;
CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY,
    sensor INTEGER NOT NULL,
    schema INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    part INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    count INTEGER NOT NULL,
    min_rate REAL,
    max_status INTEGER NOT NULL,
    settled INTEGER NOT NULL,
    rollup BLOB,
    seqs BLOB,
    head BLOB NOT NULL,             -- time and rate
    body BLOB NOT NULL              -- everything else
);
CREATE INDEX verdicts_by_time ON verdicts (sensor, last_time, first_time);
CREATE INDEX verdicts_by_newest ON verdicts (last_time);
CREATE INDEX verdicts_anomalous ON verdicts (last_time) WHERE max_status >= 3;
CREATE INDEX verdicts_loose ON verdicts (sensor, schema) WHERE NOT settled;

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    sensor INTEGER NOT NULL REFERENCES sensors ON DELETE CASCADE,
    opened INTEGER NOT NULL,
    last INTEGER NOT NULL,
    closed INTEGER,
    document TEXT NOT NULL,
    is_open INTEGER AS (closed IS NULL) VIRTUAL
);
CREATE INDEX incidents_by_time ON incidents (is_open DESC, opened DESC, id);
CREATE INDEX incidents_by_sensor ON incidents (sensor, opened);
CREATE INDEX incidents_open ON incidents (sensor) WHERE closed IS NULL;
CREATE TABLE marks (
    incident TEXT PRIMARY KEY,
    sensor INTEGER,
    feedback TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE comments (
    id INTEGER PRIMARY KEY,
    incident TEXT NOT NULL,
    sensor INTEGER,
    time INTEGER NOT NULL,
    text TEXT NOT NULL,
    author TEXT NOT NULL
);
CREATE INDEX comments_by_incident ON comments (incident);

CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    raw BLOB NOT NULL
);
CREATE INDEX dead_letters_by_source ON dead_letters (source, id);

CREATE TABLE cursors (source TEXT PRIMARY KEY, cursor TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
