"""The documents say what the code does: links, codes, settings, layers, commands, examples."""

import ast
import os
import re
import subprocess
import tomllib

import pytest
import yaml

from sales_api.names import ORDER_LINE, RECORD_COLUMNS, REQUEST_ENV
from sales_api.report import ExitCode
from sales_api.v1alpha1 import ColumnMapping, Format, Quality
from sales_pipeline.codes import FileCode, RowCode
from sales_pipeline.settings import PREFIX, Settings
from tests.docs import pages

SOURCES = sorted(pages.ROOT.glob("*/src/**/*.py"))
CODE = re.compile(r"[a-z][a-z0-9_]*\.(?!html$|json$|log$|csv$)[a-z][a-z0-9_]*")
ADRS = sorted((pages.ROOT / "docs/adr").glob("*.md"))


def called(values):
    """Readable ids for parametrised cases."""
    return [" ".join(map(str, v)) if isinstance(v, tuple | list) else str(v) for v in values]


# --- links --------------------------------------------------------------------------------------

LINKS = [(pages.name(page), link) for page in pages.PAGES for link in pages.links(page)]


@pytest.mark.parametrize(("page", "link"), LINKS, ids=called(LINKS))
def test_link_leads_to_a_file_and_a_heading_that_exist(page, link):
    path, _, anchor = link.partition("#")
    target = (pages.ROOT / page).parent / path if path else pages.ROOT / page
    assert target.exists()
    assert not anchor or anchor in pages.anchors(target)


# --- codes --------------------------------------------------------------------------------------


def documented(heading):
    """The codes in the first cells of a section's tables."""
    cells = [row[0] for row in pages.rows(pages.section("docs/codes.md", heading))]
    return [cell for cell in cells if CODE.fullmatch(cell)]


@pytest.mark.parametrize(("heading", "codes"), [("Rows", RowCode), ("Objects", FileCode)])
def test_each_code_of_rows_and_objects_is_documented_once(heading, codes):
    assert sorted(documented(heading)) == sorted(code.value for code in codes)


def test_each_exit_code_is_documented():
    cells = [row[:2] for row in pages.rows(pages.section("docs/codes.md", "Exit codes"))]
    ours = [[str(code.value), code.name] for code in ExitCode]
    assert [cell for cell in cells if not cell[1].startswith("(")] == ours


def constants(tree):
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]


def code_arguments(tree):
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.keyword) and n.arg == "code"]


def codes_of_runs():
    """Codes in the sources: of a family that is documented or that some `code=` names."""
    trees = [ast.parse(path.read_text("utf-8")) for path in SOURCES]
    literal = [a.value for t in trees for a in code_arguments(t) if isinstance(a, ast.Constant)]
    families = {code.partition(".")[0] for code in [*literal, *documented("Runs")]}
    found = {c for t in trees for c in constants(t) if isinstance(c, str) and CODE.fullmatch(c)}
    return {code for code in found if code.partition(".")[0] in families - {"file"}}


def test_each_code_of_runs_is_documented_once_and_no_other():
    codes = documented("Runs")
    assert set(codes) ^ codes_of_runs() == set()
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("path", SOURCES, ids=pages.name)
def test_codes_are_spelled_whole_so_that_they_can_be_searched_for(path):
    arguments = code_arguments(ast.parse(path.read_text("utf-8")))
    assert not [a.lineno for a in arguments if isinstance(a, ast.JoinedStr)]


# --- data and settings --------------------------------------------------------------------------


def test_each_column_of_the_record_is_documented_in_file_order():
    columns = [row[0] for row in pages.rows(pages.section("docs/data.md", "The sales record"))]
    assert columns == [*RECORD_COLUMNS, ORDER_LINE]


@pytest.mark.parametrize("model", [Format, ColumnMapping, Quality])
def test_each_field_of_the_contract_is_documented(model):
    part = pages.section("docs/data.md", "How files become records")
    aliases = {field.alias for field in model.model_fields.values()}
    assert {alias for alias in aliases if f"`{alias}" not in part} == set()


def test_each_table_is_documented():
    folder = pages.ROOT / "pipeline/src/sales_pipeline/sql/migrations"
    scripts = "".join(path.read_text("utf-8") for path in folder.glob("*.sql"))
    tables = re.findall(r"^CREATE TABLE (\w+)", scripts, re.MULTILINE)
    assert tables
    assert [table for table in tables if f"`{table}`" not in pages.text("docs/data.md")] == []


def test_each_setting_is_documented_with_its_default():
    fields = Settings.model_fields.items()
    ours = {PREFIX + name.upper(): str(field.default or "none") for name, field in fields}
    table = pages.rows(pages.section("docs/pipeline.md", "Settings"))
    theirs = {row[0]: row[1] for row in table if row[0].startswith(PREFIX)}
    assert theirs == {**ours, REQUEST_ENV: "none"}


# --- architecture -------------------------------------------------------------------------------


def layers_of_linter():
    linter = tomllib.loads(pages.text("pyproject.toml"))["tool"]["importlinter"]
    layered = [c for c in linter["contracts"] if c["type"] == "layers"]
    return {package: c["layers"] for c in layered for package in c.get("containers", [])}


def layers_of_picture():
    """The left column of each picture; two blanks begin the explanation."""
    return {
        block.info.split()[1]: [re.split(r"\s{2,}", line)[0] for line in block.text.splitlines()]
        for block in pages.blocks("layers")
    }


def test_the_picture_of_the_layers_is_the_linters():
    assert layers_of_picture() == layers_of_linter()


def test_adrs_are_numbered_without_a_gap():
    numbers = [int(path.name[:4]) for path in ADRS]
    assert numbers == list(range(1, len(ADRS) + 1))


@pytest.mark.parametrize("path", ADRS, ids=pages.name)
def test_an_adr_is_one_page_in_four_parts_that_the_architecture_names(path):
    text = path.read_text("utf-8")
    parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert parts == ["Context", "Decision", "Consequences", "Rejected"]
    assert text.startswith(f"# {path.name[:4]} ")
    assert len(text.splitlines()) <= 60
    assert f"adr/{path.name}" in pages.text("docs/architecture.md")


# --- make ---------------------------------------------------------------------------------------


def make_targets():
    return re.findall(r"^([a-z][a-z0-9-]*):(?!=)", pages.text("Makefile"), re.MULTILINE)


def make(*arguments):
    # Not as a child of the make that may run these tests.
    env = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    command = ["make", "--no-print-directory", *arguments]
    done = subprocess.run(command, cwd=pages.ROOT, env=env, check=True, capture_output=True)
    return done.stdout.decode()


def test_make_help_lists_each_target_and_is_the_default():
    listed = re.findall(r"^  make (\S+) +\S", make("help"), re.MULTILINE)
    assert listed == make_targets()
    assert make() == make("help")


def test_no_target_is_taken_for_a_file():
    phony = re.search(r"^\.PHONY: (.+)$", pages.text("Makefile"), re.MULTILINE)
    assert phony
    assert phony[1].split() == make_targets()


CALLS_OF_MAKE = pages.commands_of("make")


@pytest.mark.parametrize(("page", "words"), CALLS_OF_MAKE, ids=called(CALLS_OF_MAKE))
def test_documents_call_targets_that_exist(page, words):
    assert words[0] in make_targets()


def test_the_readme_shows_how_to_begin():
    shown = [words[0] for page, words in CALLS_OF_MAKE if page == "README.md"]
    assert shown[:2] == ["demo", "test"]


# --- the command line ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cli():
    """The command line's commands by name; imported late, for it imports every driver."""
    import typer.main

    from sales_pipeline.cli import app

    return typer.main.get_command(app).commands


CALLS = pages.commands_of("sales-pipeline")


@pytest.mark.parametrize(("page", "words"), CALLS, ids=called(CALLS))
def test_documents_call_commands_and_options_that_exist(page, words, cli):
    # Parses options and arguments as a call would, and runs nothing.
    context = cli[words[0]].make_context(words[0], words[1:])
    assert context.command is cli[words[0]]


def test_the_readme_names_each_command(cli):
    readme = pages.text("README.md")
    assert [command for command in cli if f"sales-pipeline {command}" not in readme] == []


# --- examples -----------------------------------------------------------------------------------

EXAMPLES = pages.blocks("yaml")
OURS = (pages.ROOT, pages.ROOT / "docs")
MANIFESTS = [b for b in EXAMPLES if b.page.parent in OURS and "apiVersion:" in b.text]
"""The rest are values of charts."""


@pytest.mark.parametrize("block", EXAMPLES, ids=str)
def test_examples_in_yaml_are_yaml(block):
    assert list(yaml.safe_load_all(block.text))


@pytest.mark.parametrize("block", MANIFESTS, ids=str)
def test_example_manifests_are_valid(block, tmp_path):
    from sales_pipeline.ingest_file import _PARTS, read_ingest

    path = tmp_path / "ingest.yaml"
    path.write_text(block.text, encoding="utf-8")
    request = read_ingest(path, run="docs")
    # A misspelt part would be passed over as one of the operator's.
    assert set(yaml.safe_load(block.text)["spec"]) <= set(_PARTS)
    assert request.contract.columns
