"""`JOBPYTHON bootstrap.py SCRIPT ARGS...` is `JOBPYTHON SCRIPT ARGS...` with live output and `azureml.core.Run`.

It runs in the job's own interpreter (3.8 or newer) and must not show: this module *is* `__main__`, so it gives its
namespace to the script and keeps nothing of its own in it.
"""

import sys

if not getattr(sys.flags, "safe_path", False):  # Python put this file's folder there, as it would the script's.
    del sys.path[0]
sys.path.insert(0, __file__[: -len("bootstrap.py")] + "site")
import scriptrun_job.launch

scriptrun_job.launch.run(globals(), sys.path.pop(0))
