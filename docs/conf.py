"""Configures the documentation site: `sphinx-build -W docs docs/_build/html`."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

project = "dqn_tf"
author = "The dqn_tf developers"
copyright = "2026, The dqn_tf developers"
release = re.search(
    r'__version__ = "([^"]+)"', (ROOT / "dqn_tf" / "__init__.py").read_text(encoding="utf-8")
).group(1)

extensions = ["myst_parser", "autodoc2", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"dqn_tf {release}"

# Markdown as GitHub shows it: a mermaid block is a diagram, a heading has an anchor.
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3

# The API reference is read from the source, without importing TensorFlow. Docstrings are Markdown.
autodoc2_packages = [
    {
        "path": "../dqn_tf",
        "exclude_files": ["__main__.py"],
    }
]
autodoc2_docstring_parser_regexes = [(".*", "myst")]
autodoc2_output_dir = "api"
autodoc2_hidden_objects = {"private", "dunder", "undoc", "inherited"}
autodoc2_module_all_regexes = []
