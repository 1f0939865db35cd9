"""Turns a request into processes: one file a launcher. All here is deciding; nothing touches the world."""
