"""A plain table of columns; 10,000 rows take some hundredths of a second."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from runner.cli.tty import bold
from runner.logview.terminal_text import harmless

MISSING = "N/A"

# A metric logged a thousand times must not make a line of ten thousand characters, nor a column that fills the screen.
_SHOWN_OF_A_LIST = 3


def format_table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, is_coloured: bool) -> str:
    """The table as text that ends with a newline; columns are as wide as they must be, no line ends in blanks."""
    cells = [tuple(map(cell, row)) for row in rows]
    heads = tuple(map(cell, headers))
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    pattern = "  ".join(f"{{:<{width}}}" for width in widths)
    lines = [bold(pattern.format(*heads).rstrip(), is_on=is_coloured)]
    lines += [pattern.format(*row).rstrip() for row in cells]
    return "\n".join(lines) + "\n"


def cell(value: Any) -> str:
    """`value` as it stands in a table: N/A for None, six digits of a number, a long list shortened, text harmless."""
    if value is None:
        return MISSING
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and len(value) > _SHOWN_OF_A_LIST:
        return f"[{cell(value[0])}, ..., {cell(value[-1])}] ({len(value)})"
    if isinstance(value, list) and all(isinstance(entry, int | float) for entry in value):
        return f"[{', '.join(map(cell, value))}]"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    one_line = text.replace("\r\n", "\u23ce").replace("\n", "\u23ce").replace("\r", "\u240d")
    return harmless(one_line.encode("utf-8", "replace"), is_coloured=False)


def dump(value: Any) -> str:
    """`value` as JSON over several lines, for `-o json`."""
    return json.dumps(value, indent=2, ensure_ascii=True)
