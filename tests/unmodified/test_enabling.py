"""The names of azureml in a Python, before and after the command."""

from __future__ import annotations

import subprocess
from pathlib import Path

IMPORT = "import azureml.core; print(azureml.core.Run.__module__, azureml.core.VERSION)"


def test_enabled_disabled_and_enabled_again(enabled_python: Path, tmp_path: Path) -> None:
    """One file comes and goes, and the names with it; asking twice is asking once."""

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run([enabled_python, *arguments], cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout or done.stderr

    try:
        assert run("-m", "runner", "azureml", "status")[1].startswith("enabled in")
        assert run("-c", IMPORT) == (0, "runner.sdk.run 1.61.0\n")
        assert run("-m", "runner", "azureml", "disable") == (0, "disabled\n")
        assert run("-m", "runner", "azureml", "disable") == (0, "was not enabled\n")
        code, text = run("-c", IMPORT)
        assert code == 1 and "No module named 'azureml'" in text
    finally:
        for _ in range(2):
            assert run("-m", "runner", "azureml", "enable")[0] == 0
    assert run("-c", IMPORT)[0] == 0
