"""Keyvault: secrets in environment variables, the same that a job's `get_secret` reads; they are written nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterable

from runner.sdk.exceptions import UserErrorException
from sidecar.contract.settings import SECRET_PREFIX


class Keyvault:
    """The secrets in this process's environment: `my-key` is RUNNER_SECRET_MY_KEY."""

    def get_secret(self, name: str) -> str:
        """The secret called `name`. Raises UserErrorException naming the variable where there is none."""
        secret = os.environ.get(_variable(name))
        if secret is None:
            raise UserErrorException(f"There is no secret {name!r}: the variable {_variable(name)} is not set.")
        return secret

    def get_secrets(self, secrets: Iterable[str]) -> dict[str, str | None]:
        """Several secrets by name; None for those that there are not."""
        return {name: os.environ.get(_variable(name)) for name in secrets}

    def set_secret(self, name: str, value: str) -> None:
        """Sets a secret in this process's environment: runs that it submits on this machine have it, the disk has not.

        For other machines a run's environment_variables carry it.
        """
        os.environ[_variable(name)] = value

    def set_secrets(self, secrets_batch: dict[str, str]) -> None:
        """Sets several secrets."""
        for name, value in secrets_batch.items():
            self.set_secret(name, value)

    def list_secrets(self) -> list[dict[str, str]]:
        """The names of the secrets, as far as a variable tells them."""
        names = [name[len(SECRET_PREFIX) :].lower() for name in os.environ if name.startswith(SECRET_PREFIX)]
        return [{"name": name.replace("_", "-")} for name in sorted(names)]

    def delete_secret(self, name: str) -> None:
        """Forgets a secret."""
        os.environ.pop(_variable(name), None)

    def delete_secrets(self, secrets: Iterable[str]) -> None:
        """Forgets several secrets."""
        for name in secrets:
            self.delete_secret(name)


def _variable(name: str) -> str:
    return SECRET_PREFIX + "".join(letter if letter.isalnum() else "_" for letter in name).upper()
