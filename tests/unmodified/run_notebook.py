"""Runs a notebook in a kernel of this Python, and writes it back with its outputs: `python run_notebook.py FILE`."""

from __future__ import annotations

import sys

import nbformat
from jupyter_client import KernelManager
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
kernel = KernelManager()
kernel._kernel_spec = kernel.kernel_spec_manager.get_kernel_spec("python3")
kernel._kernel_spec.argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
NotebookClient(notebook, km=kernel, timeout=100).execute()
nbformat.write(notebook, sys.argv[1])
