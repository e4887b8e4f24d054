-- What it takes to read a letter again; those of MQTT had their topic in the reason.
ALTER TABLE dead_letters ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN content_type TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
ALTER TABLE dead_letters ADD COLUMN key TEXT NOT NULL DEFAULT '';
UPDATE dead_letters SET
    topic = substr(reason, 1, instr(reason, ': ') - 1),
    reason = substr(reason, instr(reason, ': ') + 2)
WHERE source = 'mqtt' AND instr(reason, ': ') BETWEEN 2 AND 200;
CREATE UNIQUE INDEX dead_letters_by_key ON dead_letters (source, topic, key) WHERE key != '';
