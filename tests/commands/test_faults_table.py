"""faults.md: each row names the tests that cause the fault, and they exist."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ROWS = [
    line.strip("|").split("|")
    for line in (HERE / "faults.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| fault |")
]


def cited(row: list[str]) -> list[str]:
    """The tests of a row, as pytest names them."""
    return re.findall(r"`(tests/[\w/]+\.py::test_\w+)`", row[-1])


def names_of_tests(path: Path) -> set[str]:
    """Names of the test functions in a file."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    names = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    return {name for name in names if name.startswith("test_")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_each_row_names_tests_that_exist(row):
    assert len(row) == 3 and cited(row)
    for test in cited(row):
        path, _, name = test.partition("::")
        assert name in names_of_tests(ROOT / path), test


@pytest.mark.parametrize("path", sorted(HERE.glob("test_faults_*.py")), ids=lambda path: path.stem)
def test_each_test_of_faults_has_its_row(path):
    if path == Path(__file__):
        return
    names = {test for row in ROWS for test in cited(row)}
    assert {f"tests/commands/{path.name}::{name}" for name in names_of_tests(path)} <= names
