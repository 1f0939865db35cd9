"""Which files of a run a mirror sends, and where they belong on the server."""

from __future__ import annotations

from pathlib import Path

from sidecar.contract.layout import ARTIFACTS, CHILDREN, STATE


def chosen_files(root: Path, patterns: tuple[str, ...]) -> list[str]:
    """The files of a run that the patterns name; never what the runner keeps for itself."""
    if not patterns:
        return []
    import pathspec

    chosen = pathspec.GitIgnoreSpec.from_lines(patterns)
    found = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    names = sorted(str(path.relative_to(root)) for path in found)
    return [name for name in names if not name.startswith(f"{STATE}/") and chosen.match_file(name)]


def place_of(path: str, run_id: str) -> tuple[str, str]:
    """(run, name among its artifacts) of a file in the run folder."""
    parts = path.split("/")
    if parts[0] == CHILDREN and len(parts) > 3:
        run_id, parts = parts[1], parts[2:]
    return run_id, "/".join(parts[1:] if parts[0] == ARTIFACTS and len(parts) > 1 else parts)
