"""Pure algorithms: arrays in, arrays out. No I/O, no clock, no globals."""
