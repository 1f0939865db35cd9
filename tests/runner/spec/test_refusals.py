"""Whatever is wrong in a config is one message: file, line, column, what is allowed, what was probably meant.

The messages are compared with `golden/refusals.txt`; after a wanted change run with UPDATE_GOLDEN=1 and read the diff.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_GOLDEN = Path(__file__).with_name("golden") / "refusals.txt"

_REFUSED = """
sript: train.py
===
script: train.py
sourceDirectry: .
===
script: train.py
traget: local
===
script: train.py
arguments: --epochs 3 --name "a b"
===
script: train.py
args: [1]
===
script: train.py
pip_requirements: requirements.txt
===
script: train.py
environment: {pyton: {}}
===
script: train.py
environment: {python: {interpretor_path: python3}}
===
script: train.py
environment: {python: {pipRequirments: requirements.txt}}
===
script: train.py
distributed_job_config: {type: Mpi, process_per_node: 2}
===
script: train.py
distributed_job_config: {type: Mpi, process_count: 2}
===
script: train.py
completely_different: 1
===
script: train.py
experiment_name: a
experimentName: b
===
script: train.py
target: local
compute_target: local
===
experiment_name: x
===
script: train.py
command: python train.py
===
command: python train.py
arguments: [a]
===
command: "  "
===
command: 5
===
command: {a: b}
===
script: [train.py]
===
script: 3
===
script: trian.py
===
script: none/x.py
===
script: ../outside.py
===
script: escape.py
===
script: /etc/passwd
===
script: .
===
script: train.py
source_directory: nowhere
===
script: train.py
source_directory: train.py
===
script: train.py
experiment_name: a b
===
script: train.py
experiment_name: 2020-01-01
===
script: train.py
environment: digits
===
script: train.py
environment: {python: {user_managed_dependencies: "yes"}}
===
script: train.py
environment: {python: {pip_requirements: none.txt}}
===
script: train.py
environment: {python: {pip_requirements: numpy}}
===
script: train.py
environment: {python: {conda_dependencies: {dependencies: [python=3.9]}}}
===
script: train.py
environment: {python: {pip_requirements: [numpy, {a: b}]}}
===
script: train.py
environment: {python: {pip_requirements: [numpy, ""]}}
===
script: train.py
environment: {python: {pip_requirements: 3}}
===
script: train.py
environment: {python: {conda_dependencies_file: conda.yml}}
===
script: train.py
environment: {python: {conda_dependencies_file: train.py, pip_requirements: [a]}}
===
script: train.py
environment: {environment_variables: {A: null}}
===
script: train.py
environment: {environment_variables: {A: [1]}}
===
script: train.py
environment: {environment_variables: {"A=B": 1}}
===
script: train.py
environment: {docker: {base_image: a, build_context: b}}
===
script: train.py
environment: {docker: {shm_size: lots}}
===
script: train.py
distributed_job_config: Mpi
===
script: train.py
distributed_job_config: {node_count: 2}
===
script: train.py
distributed_job_config: {type: Horovod}
===
script: train.py
distributed_job_config: {type: Mpi, node_count: 0}
===
script: train.py
distributed_job_config: {type: Mpi, node_count: -3}
===
script: train.py
distributed_job_config: {type: Mpi, node_count: true}
===
script: train.py
distributed_job_config: {type: Mpi, node_count: two}
===
script: train.py
distributed_job_config: {type: Mpi, node_count: "2"}
===
script: train.py
distributed_job_config: {type: Mpi, node_count: 1.5}
===
script: train.py
distributed_job_config: {type: Mpi, node_count: 010}
===
script: train.py
distributed_job_config: {type: Mpi, node_count: 99999999999999999999999999999}
===
script: train.py
distributed_job_config: {type: Mpi, node_count: -99999999999999999999999999999}
===
script: train.py
distributed_job_config: {type: PyTorch, process_count: 3, node_count: 2}
===
script: train.py
distributed_job_config: {type: PyTorch, communication_backend: mpi}
===
script: train.py
distributed_job_config: {type: Tensorflow, worker_count: 0}
===
script: train.py
node_count: 0
===
script: train.py
compute_target: {type: local, node_count: 2}
distributed_job_config: {type: Mpi, node_count: 3}
===
script: train.py
communicator: smoke
===
script: train.py
communicator: IntelMpi
distributed_job_config: {type: Mpi}
===
script: train.py
communicator: IntelMpi
nodeCount: 2
mpi: {nodeCount: 3}
===
script: train.py
framework: Java
===
script: train.py
max_run_duration_seconds: 0
===
script: train.py
max_run_duration_seconds: 1h
===
script: train.py
tags: [a]
===
script: train.py
tags: {a: [b]}
===
script: train.py
tags: {"": b}
===
script: "a\\0b"
"""


def test_every_refusal_reads_as_agreed(project: Any) -> None:
    """One message a wrong config, word for word."""
    (project.folder.parent / "outside.py").touch()
    (project.folder / "escape.py").symlink_to("../outside.py")
    answers = [
        f"{config.strip()}\n---\n{project.refusal(config.strip() + chr(10))}\n" for config in _REFUSED.split("===\n")
    ]
    text = "\n".join(answers).replace(str(project.folder.parent), "ABOVE")
    if os.environ.get("UPDATE_GOLDEN"):
        _GOLDEN.write_text(text)
    assert text == _GOLDEN.read_text()


def test_a_refused_config_creates_nothing(project: Any) -> None:
    """Reading writes no file."""
    project.write("sript: train.py\n")
    before = sorted(project.folder.rglob("*"))
    project.refusal("sript: train.py\n")
    assert sorted(project.folder.rglob("*")) == before
