"""v1's ways to log in: there is nothing to log in to, so each is taken and asks nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runner.sdk.exceptions import NotProvidedError


class Audience:
    """What v1 asks tokens for."""

    arm = "ARM"
    aml = "AML"


class AbstractAuthentication:
    """A login that is not needed: workspaces, runs and data lie on this machine."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def get_authentication_header(self) -> dict[str, str]:
        """Raises NotProvidedError: nobody would take a token."""
        raise NotProvidedError("get_authentication_header is not provided by scriptrun: there is nothing to log in to")

    def get_token(self, *scopes: Any, **_: Any) -> Any:
        """Raises NotProvidedError: nobody would take a token."""
        raise NotProvidedError("get_token is not provided by scriptrun: there is nothing to log in to")


class InteractiveLoginAuthentication(AbstractAuthentication):
    """A person at a browser."""


class AzureCliAuthentication(AbstractAuthentication):
    """The login of the az command."""


class MsiAuthentication(AbstractAuthentication):
    """The identity of a machine in Azure."""


class ServicePrincipalAuthentication(AbstractAuthentication):
    """The identity of a program."""


class ArmTokenAuthentication(AbstractAuthentication):
    """A token that the script brings."""


class AzureMLTokenAuthentication(AbstractAuthentication):
    """A token of a run."""


class TokenAuthentication(AbstractAuthentication):
    """A function of the script's that gets tokens; its own `get_token` works as it did."""

    def __init__(self, get_token_for_audience: Callable[..., Any], *_: Any, **__: Any) -> None:
        super().__init__()
        self._get = get_token_for_audience

    def get_token(self, *scopes: Any, **_: Any) -> Any:
        """What the script's function gives."""
        return self._get(*scopes)
