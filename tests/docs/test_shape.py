"""The code keeps the shape that CONTRIBUTING.md promises: measured, not eyeballed."""

import ast
import sys
from statistics import median, quantiles

import pytest

from tests.docs import pages

TOOLS = ("certs", "cluster", "deploy")
PACKAGES = ("api/src", "operator/src", "pipeline/src", "vault/src", *TOOLS)
SOURCES = sorted(path for name in PACKAGES for path in (pages.ROOT / name).rglob("*.py"))
MAX_FILE, MAX_BODY, P90_BODY, MEDIAN_BODY = 400, 50, 30, 7
FORBIDDEN = {"utils", "types", "secrets"}


def body_lines(function):
    """Lines of a function without its signature and docstring."""
    body = function.body if ast.get_docstring(function) is None else function.body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def functions(source):
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


def bodies():
    return [body_lines(f) for path in SOURCES for f in functions(path.read_text("utf-8"))]


@pytest.mark.parametrize(
    ("source", "want"),
    [
        pytest.param("def f(\n  a,\n):\n  b = a\n\n  # why\n  return b\n", 4, id="signature"),
        pytest.param('def f():\n  """One.\n\n  Two."""\n  return 1\n', 1, id="docstring"),
        pytest.param('def f():\n  """Only this."""\n', 0, id="nothing else"),
        pytest.param("async def f():\n  return [\n    1,\n  ]\n", 3, id="async"),
    ],
)
def test_a_body_is_measured_without_signature_and_docstring(source, want):
    assert body_lines(functions(source)[0]) == want


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_is_measured(package):
    """An empty measure would pass every limit."""
    assert [path for path in SOURCES if path.is_relative_to(pages.ROOT / package)]


@pytest.mark.parametrize("path", SOURCES, ids=pages.name)
def test_a_file_and_its_functions_are_short(path):
    source = path.read_text("utf-8")
    long = {f.name: n for f in functions(source) if (n := body_lines(f)) > MAX_BODY}
    assert long == {}
    assert len(source.splitlines()) <= MAX_FILE


def test_most_functions_are_far_shorter():
    sizes = bodies()
    assert median(sizes) <= MEDIAN_BODY
    assert quantiles(sizes, n=10)[-1] <= P90_BODY


def test_no_module_has_a_name_that_says_nothing_or_shadows_the_standard_library():
    names = {
        part for path in SOURCES for part in path.relative_to(pages.ROOT).with_suffix("").parts
    }
    assert names & FORBIDDEN == set()


def test_the_cluster_needs_the_standard_library_alone():
    """It runs on machines where nothing is installed yet."""
    imported = {
        module.partition(".")[0]
        for path in SOURCES
        if path.is_relative_to(pages.ROOT / "cluster")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for module in modules(node)
    }
    assert "subprocess" in imported
    assert imported - sys.stdlib_module_names == {"cluster"}


def modules(node):
    """The absolute names that an import names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) else []


def test_the_folder_operator_does_not_shadow_the_standard_library():
    assert (pages.ROOT / "operator").is_dir()
    assert not (pages.ROOT / "operator" / "__init__.py").exists()
