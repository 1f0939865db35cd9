"""Logs in: named keys, the agent, the usual keys, a password; each at most once, and one message if none will do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import MachineError
from runner.transports.ssh.addresses import Hop
from runner.transports.ssh.secret import Secret

if TYPE_CHECKING:
    from paramiko import Agent, PKey, Transport

_DEFAULT_IDENTITIES = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
# sshd hangs up after six failures (MaxAuthTries), and a password may have to come after the keys.
_KEY_LIMIT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What a person gave for this command; `passphrase` opens private keys, `password` is for the login itself."""

    password: Secret | None = None
    passphrase: Secret | None = None


NO_SECRETS = Secrets()


@dataclass(slots=True)
class _Attempts:
    """What was tried and what could not be, in words."""

    refused: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    allowed: set[str] = field(default_factory=set)
    is_out_of_tries: bool = False


def authenticate(transport: Transport, hop: Hop, secrets: Secrets) -> None:
    """Logs in over a transport whose host key was accepted. Raises MachineError; final where a key is refused."""
    attempts = _Attempts()
    agent = _open_agent()
    try:
        for name, key in _keys(hop, agent, secrets, attempts):
            if len(attempts.refused) >= _KEY_LIMIT:
                attempts.unusable.append("more keys of the agent (set IdentityFile and IdentitiesOnly)")
                break
            if _is_let_in(transport, hop, attempts, name, lambda key=key: transport.auth_publickey(hop.user, key)):  # type: ignore[misc]  # the default binds this round's key
                return
    finally:
        if agent is not None:
            agent.close()
    password = secrets.password
    if password is not None and _is_let_in(
        transport, hop, attempts, "the password", lambda: transport.auth_password(hop.user, password.reveal())
    ):
        return
    raise _refusal(hop, attempts)


def _is_let_in(
    transport: Transport, hop: Hop, attempts: _Attempts, name: str, attempt: Callable[[], list[str]]
) -> bool:
    """One attempt; False where the server refuses it. Raises MachineError where the connection broke."""
    from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType, SSHException

    if attempts.is_out_of_tries:
        return False
    try:
        wanted = attempt()
    except BadAuthenticationType as error:
        attempts.allowed.update(error.allowed_types)
        attempts.refused.append(f"{name} (the server does not take that kind)")
        return False
    except AuthenticationException as error:
        if transport.is_active() and "timeout" not in str(error).lower():
            attempts.refused.append(name)
            return False
        if attempts.refused or "too many" in _last_words(transport).lower():
            attempts.refused.append(name)
            attempts.is_out_of_tries = True
            return False
        raise _broken(hop, transport, error) from error
    except (SSHException, OSError, EOFError, ValueError) as error:
        if transport.is_active():  # The agent refused to sign, or the key is of no use here: the next one may do.
            attempts.unusable.append(f"{name} ({error})")
            return False
        raise _broken(hop, transport, error) from error
    if wanted:
        attempts.unusable.append(f"{name} alone is not enough: the server also wants {', '.join(wanted)}")
        return False
    return True


def _last_words(transport: Transport) -> str:
    return str(getattr(transport, "last_words", ""))


def _broken(hop: Hop, transport: Transport, error: BaseException) -> MachineError:
    why = _last_words(transport) or str(error) or type(error).__name__
    return MachineError(f"{hop.subject}: {hop.place} broke off during login: {why}")


def _refusal(hop: Hop, attempts: _Attempts) -> MachineError:
    tried = ", ".join(attempts.refused) or "nothing: there is no key and no password to try"
    text = f"{hop.subject}: {hop.place} refused the login; tried {tried}"
    if attempts.unusable:
        text += f"; could not use {', '.join(attempts.unusable)}"
    if attempts.is_out_of_tries:
        text += "; the server then wanted no more tries"
    if attempts.allowed:
        text += f"; it takes {', '.join(sorted(attempts.allowed))}"
    hint = "ssh-add the key, or name it: private_key_file in the compute file, IdentityFile in ~/.ssh/config"
    return MachineError(text, hint=hint, is_final=True)


def _open_agent() -> Agent | None:
    from paramiko import Agent
    from paramiko.ssh_exception import SSHException

    if not os.environ.get("SSH_AUTH_SOCK"):
        return None
    try:
        return Agent()
    except (SSHException, OSError, EOFError):
        return None  # No agent answers there: files and a password may still do.


def _keys(hop: Hop, agent: Agent | None, secrets: Secrets, attempts: _Attempts) -> Iterator[tuple[str, PKey]]:
    """Every key that may open the door, each once: those named for the host, the agent's, the usual files."""
    held = {} if agent is None else {key.asbytes(): key for key in agent.get_keys()}
    seen: set[bytes] = set()
    usual = () if hop.identity_files or hop.is_only_these_identities else _DEFAULT_IDENTITIES
    for path in hop.identity_files:
        yield from _from_file(path, held, secrets, attempts, seen=seen, is_named=True)
    if not hop.is_only_these_identities:
        for content, key in held.items():
            if content not in seen:
                seen.add(content)
                yield f"the agent's key {key.comment or key.get_name()}", key
    for path in usual:
        yield from _from_file(os.path.expanduser(path), held, secrets, attempts, seen=seen, is_named=False)


def _from_file(
    path: str, held: Mapping[bytes, PKey], secrets: Secrets, attempts: _Attempts, *, seen: set[bytes], is_named: bool
) -> Iterator[tuple[str, PKey]]:
    """The key in `path`; the agent's copy of it where the file is closed by a passphrase that nobody gave."""
    if not os.path.exists(path):
        if is_named:
            attempts.unusable.append(f"{path} (there is no such file)")
        return
    key = _load(path, secrets, attempts, held)
    if key is not None and key.asbytes() not in seen:
        seen.add(key.asbytes())
        yield path, key


def _load(path: str, secrets: Secrets, attempts: _Attempts, held: Mapping[bytes, PKey]) -> PKey | None:
    from paramiko import PKey
    from paramiko.pkey import UnknownKeyType
    from paramiko.ssh_exception import PasswordRequiredException, SSHException

    try:
        return PKey.from_path(path)
    except PasswordRequiredException:
        pass
    except TypeError as error:  # What the underlying library says of a key that needs a passphrase.
        if "assword" not in str(error):
            raise
    except (SSHException, OSError, ValueError, UnknownKeyType) as error:
        attempts.unusable.append(f"{path} ({_short(error)})")
        return None
    in_agent = held.get(_public_part(path))
    if in_agent is not None:
        return in_agent
    if secrets.passphrase is None:
        attempts.unusable.append(f"{path} (it has a passphrase: ssh-add {path})")
        return None
    try:
        phrase = secrets.passphrase.reveal().encode("utf-8", "surrogateescape")
        return PKey.from_path(path, password=phrase)  # type: ignore[arg-type]  # it says str, and works with bytes only
    except (SSHException, OSError, ValueError, TypeError):
        attempts.unusable.append(f"{path} (the passphrase does not open it)")
        return None


def _public_part(path: str) -> bytes:
    """The public half beside a private key, to find it in the agent; empty where it is not there."""
    import base64

    try:
        return base64.b64decode(Path(path + ".pub").read_text(encoding="utf-8").split()[1])
    except (OSError, ValueError, IndexError):
        return b""


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
