-- Where sensors are, for finding what is near them in fleets of any size.
ALTER TABLE sensors ADD COLUMN latitude REAL AS (json_extract(info, '$.latitude')) VIRTUAL;
ALTER TABLE sensors ADD COLUMN longitude REAL AS (json_extract(info, '$.longitude')) VIRTUAL;
CREATE INDEX sensors_by_place ON sensors (latitude, longitude) WHERE latitude IS NOT NULL;
