"""Ignore rules give git's own verdicts."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import SnapshotError
from runner.store.ignore_rules import IgnoreRules, is_secret, parse_rules, read_ignore_rules
from runner.store.source_walk import Limits, walk

_NAMES = ["a", "b", "a.txt", "b.py", "a b"]
_PARTS = st.sampled_from([*_NAMES, "*", "**", "?", "*.txt", "[ab]", "[!a]*", "\\a", "a*"])
_LINES = st.builds(
    lambda bang, root, parts, end: bang + root + "/".join(parts) + end,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "", "/"]),
    st.lists(_PARTS, min_size=1, max_size=3),
    st.sampled_from(["", "", "/", " ", "\r"]),
)
_PATHS = st.lists(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=4).map("/".join), min_size=1, max_size=6)


def _make(root: Path, paths: list[str]) -> None:
    for path in paths:
        place = root / path
        if not any(parent.is_file() for parent in place.parents) and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("")


def _kept_by_git(root: Path) -> set[str]:
    subprocess.run(["git", "init", "-q", root], check=True)
    found = subprocess.run(
        ["git", "-c", "core.excludesFile=", "ls-files", "-z", "--others", f"--exclude-from={root / '.gitignore'}"],
        cwd=root,
        check=True,
        stdout=subprocess.PIPE,
    )
    return {name for name in found.stdout.decode().split("\0") if name} - {".gitignore"}


@given(lines=st.lists(_LINES, min_size=1, max_size=4), paths=_PATHS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_files_kept_are_those_that_git_keeps(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], paths: list[str]
) -> None:
    """Whatever the lines and the tree, the same files are kept as by git itself."""
    root = tmp_path_factory.mktemp("tree")
    _make(root, paths)
    (root / ".gitignore").write_text("\n".join(lines) + "\n")
    rules = read_ignore_rules(root)
    limits = Limits(size_bytes=10**9, files=1000)
    findings = walk(str(root), rules, skipped=frozenset(), include_secrets=True, limits=limits)
    kept = {found.path for found in findings.entries if not found.is_folder} - {".gitignore"}
    assert kept == _kept_by_git(root)


def test_amlignore_wins_entirely(tmp_path: Path) -> None:
    """Where both files exist, not one line of .gitignore counts."""
    (tmp_path / ".gitignore").write_text("*.py\n")
    (tmp_path / ".amlignore").write_bytes(b"\xef\xbb\xbfdata/\r\n")
    rules = read_ignore_rules(tmp_path)
    assert rules.source == ".amlignore"
    assert rules.verdict("train.py", is_folder=False) is None
    assert rules.verdict("data", is_folder=True) is True


def test_a_star_matches_a_newline_in_a_name() -> None:
    """A name with a newline in it obeys the rules like any other."""
    (tmp_rule,) = parse_rules(["*.log"])
    assert tmp_rule.matches("two\x01lines.log", is_folder=False)


def test_what_a_double_star_ignores_can_be_taken_in_again() -> None:
    """`data/**` leaves the folder itself alone, so `!data/keep` works as people expect."""
    rules = IgnoreRules(source=None, rules=parse_rules(["data/**", "!data/keep"]))
    assert rules.verdict("data", is_folder=True) is None
    assert rules.verdict("data/keep", is_folder=False) is False
    assert rules.verdict("data/big", is_folder=False) is True


def test_an_unreadable_ignore_file_is_an_error(tmp_path: Path) -> None:
    """A snapshot without its ignore file could hold anything, so it is refused."""
    (tmp_path / ".amlignore").mkdir()
    with pytest.raises(SnapshotError, match="amlignore"):
        read_ignore_rules(tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [(".env", True), ("key.pem", True), ("id_rsa", True), ("id_ed25519.pub", True), ("grid_1", False), ("env", False)],
)
def test_secrets_are_known_by_name(name: str, expected: bool) -> None:
    """`.env`, `*.pem` and `id_*` are secrets, and nothing that merely resembles them."""
    assert is_secret(name) is expected
