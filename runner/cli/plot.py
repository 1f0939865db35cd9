"""A line of points as a picture of characters: eight dots a character where the terminal knows them, else stars.

 2.31 ⡇
      ⠱⡀
      ⠀⠑⠤⣀⡀
0.125 ⠀⠀⠀⠈⠉⠒⠒
      0       99
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

# The dot at (column, row) of a character of two columns and four rows.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_EMPTY = 0x2800
_LABEL = 10


def draw(xs: Sequence[float], ys: Sequence[float], *, width: int, height: int, has_dots: bool) -> str:
    """The points joined by lines, in `width` times `height` characters with the extremes beside them.

    What is not finite is left out. Ends with a newline; without points it is empty.
    """
    points = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
    if not points:
        return ""
    columns, rows = max(2, width - _LABEL - 1), max(2, height)
    across, down = (2, 4) if has_dots else (1, 1)
    lit = _lit(points, columns * across, rows * down)
    least, greatest = min(y for _, y in points), max(y for _, y in points)
    lines = []
    for row in range(rows):
        label = f"{greatest:.4g}" if row == 0 else f"{least:.4g}" if row == rows - 1 and least != greatest else ""
        lines.append(f"{label:>{_LABEL}} {_line(lit, row, columns, has_dots=has_dots)}".rstrip())
    first, last = f"{min(x for x, _ in points):.6g}", f"{max(x for x, _ in points):.6g}"
    lines.append(f"{'':>{_LABEL}} {first}{last.rjust(columns - len(first))}")
    return "\n".join(lines) + "\n"


def _lit(points: Sequence[tuple[float, float]], width: int, height: int) -> set[tuple[int, int]]:
    """The dots that the line through `points` goes over; (0, 0) is at the top left."""
    least_x, span_x = _range([x for x, _ in points])
    least_y, span_y = _range([y for _, y in points])
    placed = [
        (round((x - least_x) / span_x * (width - 1)), round((1 - (y - least_y) / span_y) * (height - 1)))
        for x, y in points
    ]
    lit = set(placed)
    for (x0, y0), (x1, y1) in itertools.pairwise(placed):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        lit.update((x0 + round((x1 - x0) * i / steps), y0 + round((y1 - y0) * i / steps)) for i in range(steps))
    return lit


def _range(values: Sequence[float]) -> tuple[float, float]:
    least = min(values)
    return least, (max(values) - least) or 1.0


def _line(lit: set[tuple[int, int]], row: int, columns: int, *, has_dots: bool) -> str:
    if not has_dots:
        return "".join("*" if (column, row) in lit else " " for column in range(columns))
    line = []
    for column in range(columns):
        code = sum(_DOTS[x][y] for x in range(2) for y in range(4) if (2 * column + x, 4 * row + y) in lit)
        line.append(chr(_EMPTY + code))
    return "".join(line)
