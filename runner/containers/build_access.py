"""What a build needs of this machine to reach package indexes: proxies, certificates, pip's settings, logins.

All of it goes into files that are mounted while the build runs, so that none of it stays in the image.
"""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
_INDEXES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX")
_CONDA = ("CONDA_CHANNELS", "CONDA_CHANNEL_ALIAS")
_OTHERS = ("PIP_TRUSTED_HOST", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES")
# Where a bundle of certificates may be named; the first that is a file is taken.
_BUNDLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
# Who is told of it, inside.
_TOLD = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "CONDA_SSL_VERIFY", "GIT_SSL_CAINFO")
_LOOPBACK = re.compile(r"localhost|127\.|\[?::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildAccess:
    """What to give a build. `variables` may hold passwords; `folders` are looked at where they are, and only read."""

    variables: Mapping[str, str]
    bundle: str | None
    pip_config: str | None
    netrc: str | None
    folders: tuple[str, ...]
    needs_host_network: bool

    def write(self, folder: Path, *, seen_as: str) -> None:
        """Writes the files into `folder`, which the build sees at `seen_as`; only the user may read them."""
        variables = dict(self.variables)
        if self.bundle is not None:
            shutil.copyfile(self.bundle, folder / "certificates.pem")
            variables.update(dict.fromkeys(_TOLD, f"{seen_as}/certificates.pem"))
        if self.pip_config is not None:
            shutil.copyfile(self.pip_config, folder / "pip.conf")
            variables["PIP_CONFIG_FILE"] = f"{seen_as}/pip.conf"
        if self.netrc is not None:
            shutil.copyfile(self.netrc, folder / ".netrc")
            variables["NETRC"] = f"{seen_as}/.netrc"
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())]
        (folder / "variables").write_text("".join(lines), encoding="utf-8")


def read_access(environ: Mapping[str, str]) -> BuildAccess:
    """What this machine's own pip would use."""
    variables = {name: environ[name] for name in (*_INDEXES, *_CONDA, *_OTHERS) if environ.get(name)}
    for name in _PROXIES:
        for spelled in (name, name.lower()):
            if environ.get(spelled):
                variables[name] = variables[name.lower()] = environ[spelled]
    home = Path(environ.get("HOME", "/"))
    config = _pip_config(environ, home)
    settings = list(_config_values(config)) if config else []
    netrc = Path(environ.get("NETRC") or home / ".netrc")
    bundle = _bundle(environ, [value for name, value in settings if name == "cert"])
    urls = [variables[name] for name in (*_INDEXES, "HTTP_PROXY", "HTTPS_PROXY") if name in variables]
    urls += [value for name, value in settings if name in ("index-url", "extra-index-url", "find-links", "proxy")]
    words = [word for url in urls for word in url.split()]
    return BuildAccess(
        variables=variables,
        bundle=bundle,
        pip_config=str(config) if config else None,
        netrc=str(netrc) if netrc.is_file() else None,
        folders=tuple(sorted({folder for word in words for folder in _local_folder(word)})),
        needs_host_network=any(_LOOPBACK.match(urlsplit(word).hostname or "") for word in words if "://" in word),
    )


def proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """The proxies as arguments of a build, which every builder knows and none keeps in the image."""
    known = read_access(environ).variables
    return {name: value for name, value in known.items() if name.upper() in _PROXIES}


def _pip_config(environ: Mapping[str, str], home: Path) -> Path | None:
    named = environ.get("PIP_CONFIG_FILE")
    config_home = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    places = [Path(named)] if named else [config_home / "pip/pip.conf", home / ".pip/pip.conf", Path("/etc/pip.conf")]
    return next((place for place in places if place.is_file()), None)


def _config_values(path: Path) -> Iterator[tuple[str, str]]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (OSError, configparser.Error, UnicodeDecodeError):
        return  # pip itself will say in the log what is wrong with it.
    for section in parser.sections():
        if section in ("global", "install"):
            yield from ((name.replace("_", "-"), value) for name, value in parser.items(section))


def _bundle(environ: Mapping[str, str], configured: list[str]) -> str | None:
    named = [environ.get(name) for name in _BUNDLES] + list(configured)
    return next((path for path in named if path and os.path.isfile(path)), None)


def _local_folder(word: str) -> Iterator[str]:
    path = urlsplit(word).path if word.startswith("file:") else word
    if os.path.isabs(path) and os.path.isdir(path):
        yield path
