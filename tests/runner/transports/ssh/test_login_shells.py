"""Whatever the login shell is and prints, Python is found and started, or one message says why not."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from runner.errors import MachineError
from runner.transports.ssh.bootstrap import make_bootstrap
from runner.transports.ssh.ssh import SshTransport
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.ssh_server import ssh_server
from tests.doubles.tiny_bundles import TinyBundles
from tests.runner.transports.ssh.conftest import MakeAccess

pytestmark = pytest.mark.sshd

PLAIN = {"PATH": "/usr/bin:/bin"}


class Shells:
    """Lands on nodes with odd login shells."""

    def __init__(self, folder: Path, make_access: MakeAccess, workspace: WorkspaceLayout) -> None:
        self._folder = folder
        self._make_access = make_access
        self._bundles = TinyBundles(workspace)

    def land(
        self,
        *,
        shell: str = "/bin/sh",
        files: Mapping[str, str] | None = None,
        environ: Mapping[str, str] = PLAIN,
        forced_command: str | None = None,
        limit_s: float = 20.0,
    ) -> str:
        """The interpreter that the landing runs under."""
        import dataclasses

        folder = self._folder / "sshd"
        environ = {name: value.replace("HOME", str(folder / "home")) for name, value in environ.items()}
        with ssh_server(folder, shell=shell, environ=environ, forced_command=forced_command) as server:
            for name, content in (files or {}).items():
                path = server.home / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
                path.chmod(0o755)
            access = self._make_access(server.target(), server.known_line(), limit_s=limit_s)
            access = dataclasses.replace(access, bundles=self._bundles)
            link = SshTransport(access=access, node=server.node(), argv=("word",)).connect()
            try:
                assert link.pipe.read_line(1 << 20, float("inf")).startswith(b'{"argv": ["word"]')
                return link.landing.executable
            finally:
                link.close()

    def refusal(self, **how: object) -> MachineError:
        """The error where nothing can land."""
        with pytest.raises(MachineError) as caught:
            self.land(**how)  # type: ignore[arg-type]  # passed on
        assert caught.value.message.startswith("gpu01: ")
        return caught.value


@pytest.fixture
def shells(tmp_path: Path, make_access: MakeAccess, workspace: WorkspaceLayout) -> Shells:
    """A machine for odd shells."""
    return Shells(tmp_path, make_access, workspace)


def test_command_is_fit_for_every_shell() -> None:
    """One pair of single quotes, and nothing between them that some shell reads something into."""
    command = make_bootstrap().command
    assert command.startswith("sh -c '") and command.endswith("'")
    assert not set(command[len("sh -c '") : -1]) & set("'\\!\n")


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "csh", "fish"])
def test_login_shell(shells: Shells, shell: str) -> None:
    """The usual login shells all pass the command on unchanged."""
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    assert shells.land(shell=path).startswith("/usr/bin/python3")


@pytest.mark.parametrize(
    "noise",
    [
        "echo welcome",
        "printf 'no newline'",
        "printf '\\000\\377\\033[31m'; yes | head -c 30000",
        "echo moan >&2; yes >&2 | head -0",
    ],
)
def test_start_up_files_may_print(shells: Shells, noise: str) -> None:
    """What .bashrc prints before the landing speaks is passed over."""
    shells.land(shell="/bin/bash", files={"noise": noise + "\n"}, environ={**PLAIN, "BASH_ENV": "HOME/noise"})


def test_csh_start_up_file_may_print(shells: Shells) -> None:
    """The same for .cshrc."""
    path = shutil.which("csh")
    if path is None:
        pytest.skip("csh is not installed")
    shells.land(shell=path, files={".cshrc": "echo welcome; echo more\n"})


def test_endless_noise_is_cut_off(shells: Shells) -> None:
    """A forced command that only talks ends in one final message."""
    error = shells.refusal(forced_command="exec yes no thanks")
    assert error.is_final and "no thanks" in error.message and "forced command" in (error.hint or "")


def test_forced_command_that_does_something_else(shells: Shells) -> None:
    """What it printed and how it ended are in the message; trying again is of no use."""
    error = shells.refusal(forced_command="echo only backups here; exit 7")
    assert error.is_final and "exit code 7" in error.message and "only backups here" in error.message


def test_start_up_file_that_waits(shells: Shells) -> None:
    """A shell that never gets to the command ends within the limit, and is tried again."""
    error = shells.refusal(forced_command="echo wait; exec sleep 30", limit_s=1.5)
    assert not error.is_final and "in time" in error.message and "start-up file" in (error.hint or "")


# Takes the node's own interpreters away: what the command looks for in /usr and /opt is looked for in /nowhere.
BARE = 'exec sh -c "$(printf %s "$SSH_ORIGINAL_COMMAND" | sed "s#/usr/#/nowhere/#g;s#/opt/#/nowhere/#g")"'
OLD = "#!/bin/sh\nexit 0\n"
BIN = {
    "bin/sh": '#!/bin/dash\nexec /bin/dash "$@"\n',
    **{f"bin/{name}": f'#!/bin/dash\nexec /usr/bin/{name} "$@"\n' for name in ("sed", "readlink")},
}


def test_no_python(shells: Shells) -> None:
    """One clear sentence, no retry, and a way out that needs no root."""
    error = shells.refusal(forced_command=BARE, files=BIN, environ={"PATH": "HOME/bin"})
    assert error.is_final and "no Python 3.9 or newer" in error.message and "no root is needed" in (error.hint or "")


def test_python_too_old(shells: Shells) -> None:
    """An interpreter that is too old is named."""
    error = shells.refusal(forced_command=BARE, files={**BIN, "bin/python3": OLD}, environ={"PATH": "HOME/bin"})
    assert error.is_final and "too old or broken" in error.message and "/bin/python3" in error.message


def test_newer_python_beside_an_old_one(shells: Shells) -> None:
    """python3 is too old, python3.11 lies beside it: that one is taken."""
    newer = '#!/bin/sh\nexec /usr/bin/python3 "$@"\n'
    environ = {"PATH": "HOME/pythons:/usr/bin:/bin"}
    shells.land(files={"pythons/python3": OLD, "pythons/python3.13": newer}, environ=environ)


def test_python_of_the_home_folder(shells: Shells) -> None:
    """Miniconda in the home is found although no PATH names it."""
    conda = '#!/bin/dash\nexec /usr/bin/python3 "$@"\n'
    shells.land(forced_command=BARE, files={**BIN, "miniconda3/bin/python3": conda}, environ={"PATH": "HOME/bin"})
