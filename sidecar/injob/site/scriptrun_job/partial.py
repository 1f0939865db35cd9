"""Classes of which a job has a part: any other name of theirs ends in one clear error."""

from __future__ import annotations

from scriptrun_job.errors import not_provided

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import NoReturn


class Partial(type):
    """A class that says of the names that it lacks, its own and its objects', why: `_why`."""

    _why: str

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, object]) -> Partial:
        """Gives the objects the same answer."""
        made = super().__new__(mcs, name, bases, body)

        def missing(self: object, attribute: str) -> NoReturn:
            raise AttributeError(not_provided(f"{name}.{attribute}", made._why))

        made.__getattr__ = missing  # type: ignore[method-assign,assignment]
        return made

    def __getattr__(cls, name: str) -> NoReturn:
        raise AttributeError(not_provided(f"{cls.__name__}.{name}", cls._why))
