"""The phases of a run, one file each: `plan` decides and is pure, `run` acts on what was decided."""
