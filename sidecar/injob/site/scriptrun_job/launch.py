"""Runs a script so that it cannot tell: same `__main__`, same paths, same traceback, same exit code as plain Python.

    prepare the surroundings -> compile -> execute in __main__ -> (uncaught) note it -> let Python itself print and exit

What still differs: one frame below the script's for who walks the whole stack (`inspect.stack()`).
"""

from __future__ import annotations

import os
import sys

from scriptrun_job import flood, outcome

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from types import CodeType, TracebackType
    from typing import Any, Dict, List, NoReturn, Optional, Type


def run(namespace: Dict[str, Any], site: str) -> None:
    """Runs `sys.argv[1:]` in `namespace`, which is the one of `__main__`; raises whatever the script raises.

    `site` is the folder that jobs find `azureml` in.
    """
    argv, bootstrap = sys.argv[1:], sys.argv[0]
    if not argv:
        sys.exit("usage: python bootstrap.py SCRIPT [ARGUMENT ...]")
    source = _read(argv[0])
    if source is None:
        _become_python(argv)
    _prepare_children(site)
    sys.argv = argv
    if hasattr(sys, "orig_argv") and bootstrap in sys.orig_argv:
        sys.orig_argv.remove(bootstrap)
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, os.path.dirname(os.path.realpath(argv[0])))
    sys.path.insert(_place_on_path(), site)
    path = _path_as_python_has_it(argv[0])
    _make_main(namespace, path)
    flood.start()
    process = os.getpid()
    try:
        # No future statement of this file reaches the script; bytes, so that its own coding line counts.
        code: CodeType = compile(source, path, "exec", dont_inherit=True)
        del source
        exec(code, namespace)  # noqa: S102 - running the user's script is what this file is for
    except BaseException as error:
        if os.getpid() == process:  # A fork that came up to here leaves as plain Python would.
            outcome.note(error)
        _hide_frames_above(error.__traceback__)
        raise


def _read(script: str) -> Optional[bytes]:
    """The script's bytes; None for what only Python itself can run, or refuse: a folder, a zip, bytecode, nothing."""
    try:
        with open(script, "rb") as stream:
            source = stream.read()
    except OSError:
        return None
    return None if source.startswith(b"PK\x03\x04") or script.endswith(".pyc") else source


def _become_python(argv: List[str]) -> NoReturn:
    """Replaces this process by plain Python with the same options."""
    own = getattr(sys, "orig_argv", sys.argv)
    options = own[1 : own.index(sys.argv[0])] if sys.argv[0] in own else []
    os.execv(sys.executable, [sys.executable, *options, *argv])


def _prepare_children(site: str) -> None:
    """Child processes that are Python find `azureml` too, and their output is live; who asked otherwise is heeded."""
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != site]
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, site])


def _place_on_path() -> int:
    """Behind the script's own folder and the standard library, before what is installed.

    There a real azureml-core may be, which old conda files ask for: it would find no Azure, and metrics would be lost.
    """
    for index, folder in enumerate(sys.path):
        if os.path.basename(folder) in ("site-packages", "dist-packages"):
            return index
    return len(sys.path)


def _path_as_python_has_it(script: str) -> str:
    """What `__file__` and tracebacks show: absolute from 3.9, and not normalised any further."""
    if os.path.isabs(script) or sys.version_info < (3, 9):
        return script
    return os.path.join(os.getcwd(), script)


def _make_main(namespace: Dict[str, Any], path: str) -> None:
    """Leaves in `namespace` what Python puts there before a script's first line."""
    for name in [name for name in namespace if not (name.startswith("__") and name.endswith("__"))]:
        del namespace[name]
    loader = type(namespace["__loader__"])
    namespace.update(__doc__=None, __file__=path, __loader__=loader("__main__", path), __spec__=None)


def _hide_frames_above(traceback: Optional[TracebackType]) -> None:
    """Makes Python's own printing of the coming exception start at the script's first frame.

    The hook may be the script's; it is called once, by Python, with what it would have got without us.
    """
    of_script = traceback.tb_next if traceback is not None else None
    hook = sys.excepthook

    def show(kind: Type[BaseException], error: BaseException, _: Optional[TracebackType]) -> None:
        sys.excepthook = hook
        error.__traceback__ = sys.last_traceback = of_script
        hook(kind, error, of_script)

    sys.excepthook = show
