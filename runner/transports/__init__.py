"""How a controller reaches a node: one file a way, all behind `Transport`."""
