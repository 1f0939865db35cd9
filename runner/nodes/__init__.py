"""Nodes as the controller sees them: a link that may break, orders that must arrive, events that arrive once."""
