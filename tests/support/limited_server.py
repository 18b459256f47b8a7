"""The server with other constants or fewer descriptors: SERVER_SETTINGS has both, as JSON."""

import importlib
import json
import os
import resource

from dqn_tf.serving import __main__

constants, max_descriptors = json.loads(os.environ["SERVER_SETTINGS"])
for name, value in constants.items():
    module, _, constant = name.rpartition(".")
    setattr(importlib.import_module(f"dqn_tf.serving.{module}"), constant, value)
if max_descriptors:
    resource.setrlimit(resource.RLIMIT_NOFILE, (max_descriptors, max_descriptors))
__main__.command()
