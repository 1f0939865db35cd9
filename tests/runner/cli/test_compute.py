"""`runner compute`: targets come and go as files, and their machines are trusted and cleaned in rows."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.run_folders import command_line
from tests.doubles.ssh_server import SshServer, make_key, ssh_server

Ask = Callable[..., "subprocess.CompletedProcess[str]"]
FILE = "type: ssh\nusername: me  # a comment\nnodes: ['gpu[01-03]']\n"


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceLayout:
    """An empty workspace."""
    return WorkspaceLayout(tmp_path / "workspace")


@pytest.fixture
def ask(tmp_path: Path, workspace: WorkspaceLayout) -> Ask:
    """Runs `runner compute ...` for a person with an empty home."""
    home = tmp_path / "person"
    home.mkdir()
    workspace.root.mkdir()

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "HOME": str(home), "RUNNER_WORKSPACE": str(workspace.root)}
        environ.pop("SSH_AUTH_SOCK", None)
        command = command_line("compute", *arguments)
        return subprocess.run(  # type: ignore[call-overload,no-any-return]  # passed on
            command, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=tmp_path, **options
        )

    return run


def write_target(workspace: WorkspaceLayout, server: SshServer, *nodes: str) -> None:
    """Puts a compute file for the server into the workspace, and perhaps more nodes."""
    target = server.target()
    workspace.compute.mkdir()
    text = f"type: ssh\nusername: {target.username}\nprivate_key_file: {target.private_key_file}\n"
    text += f"work_directory: {target.work_directory}\nnodes:\n"
    text += f"- {{address: 127.0.0.1, name: gpu01, ssh_port: {server.port}}}\n"
    workspace.compute_file("lab").write_text(text + "".join(f"- {node}\n" for node in nodes))


def test_attach_list_show_detach(ask: Ask, workspace: WorkspaceLayout, tmp_path: Path) -> None:
    """A file becomes a target under its name, as it is, and goes again."""
    (tmp_path / "mine.yml").write_text(FILE)
    assert ask("attach", "lab", "mine.yml").returncode == 0
    assert workspace.compute_file("lab").read_text() == FILE
    listed = json.loads(ask("list", "-o", "json").stdout)
    assert [(row["name"], row["type"]) for row in listed] == [("local", "local"), ("lab", "ssh")]
    assert [node["name"] for node in json.loads(ask("show", "lab", "-o", "json").stdout)["nodes"]] == [
        "gpu01",
        "gpu02",
        "gpu03",
    ]
    assert "me@gpu02" in ask("show", "lab").stdout and "lab" in ask("list").stdout
    assert ask("detach", "lab").returncode == 0 and not workspace.compute_file("lab").exists()
    assert ask("detach", "lab").returncode == 2


def test_attach_keeps_what_relative_paths_mean(ask: Ask, workspace: WorkspaceLayout, tmp_path: Path) -> None:
    """A key file relative to the compute file is still that file after the move."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "key").write_text("")
    (folder / "c.yml").write_text("type: ssh\nprivate_key_file: key\nnodes: [gpu01]\n")
    assert ask("attach", "lab", "elsewhere/c.yml").returncode == 0
    assert json.loads(ask("show", "lab", "-o", "json").stdout)["private_key_file"] == str(folder / "key")


@pytest.mark.parametrize(
    ("name", "text"),
    [("lab", "type: ssh\nnodse: [a]\n"), ("local", FILE), ("-x y", FILE), ("lab", "nodes: [a]\n"), ("lab", "{")],
)
def test_attach_refuses_what_is_wrong(
    ask: Ask, workspace: WorkspaceLayout, tmp_path: Path, name: str, text: str
) -> None:
    """A wrong file or name changes nothing, and exits with 2."""
    (tmp_path / "mine.yml").write_text(text)
    done = ask("attach", "--", name, "mine.yml")
    assert done.returncode == 2 and done.stdout == "" and not workspace.compute.exists()


def test_attach_overwrites_nothing(ask: Ask, workspace: WorkspaceLayout, tmp_path: Path) -> None:
    """Another file under a name that is taken is refused; the same file is no change."""
    (tmp_path / "mine.yml").write_text(FILE)
    assert [ask("attach", "lab", "mine.yml").returncode for _ in range(2)] == [0, 0]
    (tmp_path / "mine.yml").write_text(FILE.replace(": me", ": you"))
    done = ask("attach", "lab", "mine.yml")
    assert done.returncode == 2 and "runner compute detach lab" in done.stderr
    assert workspace.compute_file("lab").read_text() == FILE


def test_broken_compute_file_is_a_row_with_its_problem(ask: Ask, workspace: WorkspaceLayout) -> None:
    """One broken file does not hide the others."""
    workspace.compute.mkdir()
    workspace.compute_file("bad").write_text("type: [")
    workspace.compute_file("good").write_text(FILE)
    rows = {row["name"]: row for row in json.loads(ask("list", "-o", "json").stdout)}
    assert rows["bad"]["problem"] and rows["good"]["problem"] is None


@pytest.mark.sshd
def test_trust_shows_then_writes(ask: Ask, workspace: WorkspaceLayout, tmp_path: Path) -> None:
    """Without a yes nothing is written; with it every key that was shown is known, and a second time nothing is new."""
    with ssh_server(tmp_path / "sshd", kinds=("ed25519", "rsa")) as server:
        write_target(workspace, server)
        shown = ask("trust", "lab")
        assert shown.returncode == 2 and shown.stdout.count("SHA256:") == 2 and not workspace.known_hosts.exists()
        assert ask("trust", "lab", "--yes").returncode == 0
        lines = workspace.known_hosts.read_text().splitlines()
        assert lines == [server.known_line("ed25519"), server.known_line("rsa")]
        again = ask("trust", "lab")
        assert again.returncode == 0 and again.stdout.count("known") == 2
        assert "userauth-request" not in server.read_log()


@pytest.mark.sshd
def test_trust_names_the_machine_that_is_down(ask: Ask, workspace: WorkspaceLayout, tmp_path: Path) -> None:
    """One machine out of reach is a row and exit code 3; the others are trusted all the same."""
    with ssh_server(tmp_path / "sshd") as server:
        write_target(workspace, server, "{address: nowhere.invalid, name: gpu02}")
        done = ask("trust", "lab", "--yes")
        assert done.returncode == 3 and "gpu02" in done.stderr and "not reached" in done.stdout
        assert workspace.known_hosts.read_text() == server.known_line() + "\n"


@pytest.mark.sshd
def test_trust_says_that_a_key_changed(ask: Ask, workspace: WorkspaceLayout, tmp_path: Path) -> None:
    """A changed key is marked in its row; after the yes the machine can be used."""
    with ssh_server(tmp_path / "sshd") as server:
        write_target(workspace, server)
        foreign = make_key(tmp_path / "foreign").with_suffix(".pub").read_text().split()[:2]
        workspace.known_hosts.write_text(" ".join([server.key_name, *foreign]) + "\n")
        assert ask("clean", "lab").returncode == 3
        assert "changed" in ask("trust", "lab", "--yes").stdout
        assert ask("clean", "lab").returncode == 0


@pytest.mark.sshd
def test_clean_is_a_row_a_node(ask: Ask, workspace: WorkspaceLayout, tmp_path: Path) -> None:
    """What the clean-up itself shipped is gone as well; a node out of reach is exit code 3."""
    with ssh_server(tmp_path / "sshd", environ={"PATH": "/usr/bin:/bin"}) as server:
        write_target(workspace, server, "{address: nowhere.invalid, name: gpu02}")
        workspace.known_hosts.write_text(server.known_line() + "\n")
        done = ask("clean", "lab", "-o", "json")
        assert done.returncode == 3
        first, second = json.loads(done.stdout)
        assert first["node"] == "gpu01" and first["removed"]["bundles"] == 1 and first["freed_bytes"] > 100_000
        assert second["node"] == "gpu02" and "nowhere.invalid" in second["problem"]
        assert list((server.home / "work" / "bundles").iterdir()) == []


@pytest.mark.sshd
def test_passphrase_comes_by_a_descriptor(ask: Ask, workspace: WorkspaceLayout, tmp_path: Path) -> None:
    """A key with a passphrase is opened by a secret that stands in no argument and no variable."""
    with ssh_server(tmp_path / "sshd", environ={"PATH": "/usr/bin:/bin"}) as server:
        write_target(workspace, server)
        workspace.known_hosts.write_text(server.known_line() + "\n")
        subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open sesame", "-f", str(server.client_key)], check=True)
        assert ask("clean", "lab").returncode == 3
        reading, writing = os.pipe()
        os.write(writing, b"open sesame\n")
        os.close(writing)
        done = ask("clean", "lab", "--passphrase-fd", str(reading), pass_fds=(reading,))
        os.close(reading)
        assert done.returncode == 0, done.stderr
