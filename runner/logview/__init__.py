"""Shows the logs of a run: merged by time, labelled, harmless on a terminal, live."""
