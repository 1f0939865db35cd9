"""Other programs' ways to the runs of a workspace."""
