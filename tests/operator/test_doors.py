"""Each driver has one door: who wants to replace it knows where."""

import ast

import pytest

from tests.docs import pages

SOURCES = sorted((pages.ROOT / "operator/src/sales_operator").glob("*.py"))
IMPORTERS = {
    "kubernetes_asyncio": {"cluster"},
    "boto3": {"bucket"},
    "botocore": {"bucket", "store_problems"},
    "kopf": {"handlers", "leading"},
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("driver", IMPORTERS)
def test_a_driver_is_imported_by_its_door_alone(driver):
    importers = {path.stem for path in SOURCES if driver in imported(path)}
    assert importers
    assert importers <= IMPORTERS[driver]
