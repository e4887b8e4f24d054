"""A week of four real senseBoxes, for the demo; see README.md beside this file."""
