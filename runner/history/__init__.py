"""What happened: the record of a run, its processes, its metrics."""
