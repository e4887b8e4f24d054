-- The list of sites is asked for with every look at the fleet.
CREATE INDEX sensors_by_site ON sensors (site);
