"""In the style of manage-runs/hello_with_delay.py: it would take very long."""

import time

print("Wait for very long...", flush=True)
time.sleep(600)
print("Hello, after all")
