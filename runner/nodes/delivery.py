"""Knows when everything that a node had at its end is in the run folder, byte for byte, and durable."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from runner.nodes import place
from runner.nodes.intake import DISK_FULL, Intake
from sidecar.contract import publish
from sidecar.contract.layout import RunLayout
from sidecar.contract.travel import SealedFile, sealed_files

_READ_BYTES = 1024 * 1024
# A file that still differs after so many complete transfers is being changed by somebody on the node.
_ATTEMPTS = 3
# A seal that is not what it should be, and has not grown for so long, is asked for once more.
_SEAL_PAUSE_S = 20.0


class Delivery:
    """The files of one node, once it has sealed them."""

    def __init__(self, run: RunLayout, node_id: str, intake: Intake) -> None:
        self._run = run
        self._node_id = node_id
        self._intake = intake
        self._sealed: dict[str, SealedFile] | None = None
        self._seal_sha256: str | None = None
        self._seal_size = 0
        self._next_seal_request = 0.0
        self._done: set[str] = set()
        self._attempts: dict[str, int] = {}
        self.problem: str | None = None

    def expect(self, seal_sha256: str) -> None:
        """The node's last seal has this hash: of a release that was killed and begun again there is an earlier one."""
        self._seal_sha256 = seal_sha256

    @property
    def sealed(self) -> dict[str, SealedFile] | None:
        """What the node had at its end, by path; None while its seal is not here. Sets `problem` for nonsense."""
        if self._sealed is None:
            content = self._intake.read_seal()
            if self._seal_sha256 in (None, hashlib.sha256(content).hexdigest()):
                try:
                    self._sealed = sealed_files(publish.parse_records(content), self._node_id)
                except ValueError as error:
                    self._sealed, self.problem = {}, f"the node's list of its files is damaged: {error}"
            elif time.monotonic() >= self._next_seal_request:
                # On its way, an earlier one that is about to be replaced, or damaged here: then all of it again.
                if content and len(content) == self._seal_size:
                    self._intake.begin_again(str(RunLayout.at("").seal(self._node_id)))
                self._seal_size = len(content)
                self._next_seal_request = time.monotonic() + _SEAL_PAUSE_S
        return self._sealed

    def leave_out(self, paths: set[str]) -> None:
        """These need not come: another node's file with the same bytes is in their place."""
        self._done |= paths

    def is_complete(self) -> bool:
        """Looks at every file that was not complete the last time; a file that differs is asked for once more.

        Sets `problem` where that does not help. Raises OSError where a file cannot be read.
        """
        if self.sealed is None:
            return False
        for path, sealed in self.sealed.items():
            if path not in self._done and self._is_here(sealed):
                self._done.add(path)
        return len(self._done) == len(self.sealed)

    def unreadable(self) -> list[str]:
        """A sentence for each file that its node has and cannot read: it never comes."""
        return [f"{sealed.path}: {sealed.problem}" for sealed in (self.sealed or {}).values() if sealed.problem]

    def missing(self) -> list[str]:
        """The paths that are not complete."""
        return sorted(set(self.sealed or ()) - self._done)

    def _is_here(self, sealed: SealedFile) -> bool:
        if sealed.problem is not None:
            return True
        if sealed.link is not None:
            return self._make_link(sealed)
        length, there = self._intake.length_of(sealed.path), self._intake.place_of(sealed.path)
        if length is None or there is None or length < sealed.size:
            return False
        if _is_whole(there, sealed):
            return True
        count = self._attempts[sealed.path] = self._attempts.get(sealed.path, 0) + 1
        if count <= _ATTEMPTS:
            self._intake.begin_again(sealed.path)
        else:
            self.problem = f"{sealed.path} differs from what the node sealed"
        return False

    def _make_link(self, sealed: SealedFile) -> bool:
        """Links that stay inside their folder come over; others are left out, as on this machine."""
        aim = sealed.link or ""
        top = sealed.path.split("/")[0]
        inside = os.path.normpath(os.path.join(os.path.dirname(sealed.path), aim))
        if not os.path.isabs(aim) and inside.split("/")[0] == top and "\0" not in aim:
            try:
                place.make_link(self._run.root, sealed.path, aim)
            except OSError as error:
                if error.errno in DISK_FULL:
                    raise
                # Another node's file is where this one needs a folder: left out as well.
        return True


def _is_whole(path: Path, sealed: SealedFile) -> bool:
    """Whether the first `size` bytes are the sealed ones; makes them durable."""
    digest, left = hashlib.sha256(), sealed.size
    with open(path, "rb", buffering=0) as stream:
        while left > 0 and (content := stream.read(min(left, _READ_BYTES))):
            digest.update(content)
            left -= len(content)
        if left == 0 and digest.hexdigest() == sealed.sha256:
            os.fsync(stream.fileno())
            return True
    return False
