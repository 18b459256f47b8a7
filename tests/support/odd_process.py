"""Becomes train.py as a process with something odd about its descriptors or its disk.

ODD is a JSON object: "closed": [1, 2] are closed; "unread": true, stdout is a pipe that nobody
reads; "full": true, stdout is on a full disk; "file_bytes": no file may grow beyond it, as on a
full disk.
"""

import json
import os
import resource
import runpy
import sys
from pathlib import Path

odd = json.loads(os.environ["ODD"])
for descriptor in odd.get("closed", ()):
    os.close(descriptor)
    setattr(sys, ("stdin", "stdout", "stderr")[descriptor], None)
if odd.get("unread"):
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)
if odd.get("full"):
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
if "file_bytes" in odd:
    resource.setrlimit(resource.RLIMIT_FSIZE, (odd["file_bytes"], odd["file_bytes"]))
sys.argv[0] = str(Path(__file__).parents[2] / "train.py")
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    os._exit(end.code or 0)  # before anybody looks for the streams that are not there
