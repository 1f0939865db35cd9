"""Says hello, shows where it runs, and leaves a file in outputs/."""

import argparse
import os
import platform
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--name", default="world")
name = parser.parse_args().name

print(f"Hello, {name}!")
print(f"Python {platform.python_version()} on {platform.node()}, process {os.getpid()}, in {Path.cwd()}")
print(f"This is process {os.environ.get('AZUREML_PROCESS_NAME', '(none: started by hand)')}")

# What is in outputs/ at the end is kept with the run; everything else in this folder is thrown away.
Path("outputs").mkdir(exist_ok=True)
Path("outputs/hello.txt").write_text(f"Hello, {name}!\n", encoding="utf-8")
