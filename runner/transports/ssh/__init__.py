"""Reaches a node over SSH with nothing there but sshd and Python: address, host key, login, landing, link."""
