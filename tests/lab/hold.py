"""Holds the switch's namespaces until the lab's owner has ended: `python -I -S hold.py OWNER_FD`."""

from __future__ import annotations

import select
import sys

print("born", flush=True)
select.select([int(sys.argv[1])], [], [])
