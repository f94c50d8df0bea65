"""The README's quick start, run as it is written: in the namespace that it names."""

import base64
import json
import os
import re
import secrets
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.charts.support import program
from tests.docs import pages
from tests.e2e.conftest import MAKER, OURS
from tests.e2e.dump import dump
from tests.e2e.installation import CRD
from tests.e2e.kube import CONTEXT, Namespace, call

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

SECONDS = 1500
SALES = Namespace("sales")
SCRIPT = "manifests/quickstart.sh"
USED = ("certs", "charts", "manifests")
"""What the commands need of the project's folder, beside `.venv`."""
END = "\036"
"""Printed after each command's output: no program here does."""
DEFINITION = "crd/salesingests.minidata.io"
MADE_OURS = (OURS, f"{MAKER}={os.getpid()}")
OF_HELM = {
    "labels": ["app.kubernetes.io/managed-by"],
    "annotations": ["meta.helm.sh/release-name", "meta.helm.sh/release-namespace"],
}
"""By what Helm knows that an object belongs to which release."""


# --- as it is written ---------------------------------------------------------------------------


def written():
    """The block that installs, and the one that removes."""
    part = pages.section("README.md", "On a cluster")
    return [block for block in pages.blocks("console") if block.text in part]


def to_run(block):
    """Its commands, but for those about the cluster, which is there."""
    return [line for line in pages.lines(block) if not line.startswith("make ")]


def test_quick_start_begins_with_a_cluster_and_ends_without():
    install, remove = map(pages.lines, written())
    assert install[0] == "make setup cluster images load"
    assert remove[-1] == "make cluster-down"


# --- as it runs ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def place(cluster, tmp_path_factory):
    """A folder like the project's, and an environment whose cluster is the one under test."""
    folder = tmp_path_factory.mktemp("project")
    for name in USED:
        (folder / name).symlink_to(pages.ROOT / name)
    (folder / ".venv").symlink_to(Path(sys.prefix))
    config = folder / "kubeconfig"
    view = ("config", "view", "--minify", "--flatten", "--raw", f"--context={CONTEXT}")
    config.write_text(call("kubectl", *view))
    config.chmod(0o600)
    path = f"{Path(program('kubectl')).parent}:{os.environ['PATH']}"
    return {"cwd": folder, "env": {**os.environ, "KUBECONFIG": str(config), "PATH": path}}


@pytest.fixture(scope="module")
def outputs(place):
    """Command -> what it printed; the platform is there until the last test has ended."""
    if SALES.kubectl("get", "namespace", SALES.name, "--ignore-not-found"):
        pytest.fail(
            f"namespace {SALES.name} is somebody's: the quick start needs it", pytrace=False
        )
    install, remove = map(to_run, written())
    with definition_left_as_it_was():
        try:
            yield dict(zip(install, run(place, install), strict=True))
        finally:
            run(place, remove)
    assert not SALES.kubectl("get", "namespace", SALES.name, "--ignore-not-found")


@contextmanager
def definition_left_as_it_was():
    """Other tests apply the definition without Helm, and have no conflict with its release."""
    SALES.apply(yaml.safe_load(CRD.read_text("utf-8")))
    metadata = SALES.get(DEFINITION)["metadata"]
    before = {
        part: {key: metadata.get(part, {}).get(key) for key in keys}
        for part, keys in OF_HELM.items()
    }
    try:
        yield
    finally:
        text = json.dumps({"metadata": before})
        SALES.kubectl("patch", DEFINITION, "--type=merge", f"--patch={text}")


def run(place, commands):
    """Run them in one shell that stops at the first failure; what each printed."""
    lines = ["set -Eeuo pipefail"]
    for command in commands:
        lines += [command, f"printf '{END}'"]
        if command.startswith("kubectl create namespace"):
            # So that a later session removes what this one, were it killed, leaves.
            lines.append(f"kubectl label namespace {SALES.name} {' '.join(MADE_OURS)} >/dev/null")
    done = shell(place, "\n".join(lines))
    assert done.returncode == 0, told(done)
    return done.stdout.split(END)[:-1]


def shell(place, script):
    argv = ["bash", "-c", script]
    return subprocess.run(
        argv, **place, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def told(done):
    state = dump(SALES, pages.ROOT / "out/e2e" / SALES.name)
    return f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}\n{state}"


def trimmed(text):
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def test_last_command_shows_the_rows_that_the_readme_shows(outputs):
    block, _ = written()
    *_, last = outputs.values()
    assert trimmed(last) in block.text
    (count,) = re.findall(r"^ +(\d+) \|", last, re.MULTILINE)
    assert int(count) > 900


def test_ingest_is_shown_as_in_the_readme_but_for_its_age(outputs):
    block, _ = written()
    (shown,) = (text for command, text in outputs.items() if "get -n sales" in command)
    head, row = (re.split(r" {2,}", line.strip()) for line in shown.splitlines())
    ours = [re.split(r" {2,}", line.strip()) for line in block.text.splitlines()]
    assert head in ours
    assert row[:-2] in [cells[:-2] for cells in ours]


# --- what it keeps to itself --------------------------------------------------------------------


def secret_values(namespace):
    """Every secret text of the Secrets in a namespace, and its lines and parts."""
    found = namespace.get("secrets")["items"]
    texts = [
        base64.b64decode(data).decode()
        for one in found
        if one["type"] == "Opaque"
        for key, data in one["data"].items()
        if key not in {"username", "access_key", "key_version"}
    ]
    parts = {
        part for text in texts for part in re.split(r"[\n:]|^[A-Z_]+=", text, flags=re.MULTILINE)
    }
    return {part for part in parts if len(part) >= 24}


def test_no_output_shows_a_secret(outputs):
    values = secret_values(SALES)
    assert len(values) == 10
    assert [v for v in values if any(v in text for text in outputs.values())] == []


def test_secrets_that_are_there_are_kept(outputs, place):
    before = secret_values(SALES)
    (again,) = run(place, [f"{SCRIPT} secrets"])
    assert {line.split()[0] for line in again.splitlines()} == {"kept"}
    assert secret_values(SALES) == before


@pytest.fixture
def overheard(place, tmp_path):
    """The place with a kubectl that notes what a list of processes would show of it."""
    notes = tmp_path / "notes"
    spy = tmp_path / "kubectl"
    spy.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >>{notes}\nenv >>{notes}\nexec {program("kubectl")} "$@"\n'
    )
    spy.chmod(0o700)
    env = place["env"] | {"PATH": f"{tmp_path}:{place['env']['PATH']}"}
    return place | {"env": env}, notes


@pytest.fixture
def empty():
    """A namespace with nothing in it."""
    namespace = Namespace(f"minidata-e2e-quickstart-{secrets.token_hex(3)}")
    namespace.kubectl("create", "namespace", namespace.name)
    try:
        namespace.kubectl("label", "namespace", namespace.name, *MADE_OURS)
        yield namespace
    finally:
        namespace.kubectl("delete", "namespace", namespace.name, "--wait=false")


def test_making_secrets_shows_none_to_those_who_list_processes_or_labels(overheard, empty):
    place, notes = overheard
    (shown,) = run(place, [f"{SCRIPT} --namespace {empty.name} secrets"])
    seen = (
        shown
        + notes.read_text()
        + json.dumps([one["metadata"] for one in empty.get("secrets")["items"]])
    )
    values = secret_values(empty)
    assert len(values) == 10
    assert "create" in notes.read_text().splitlines()
    assert [value for value in values if value in seen] == []


def test_both_sides_of_the_events_get_one_token(place, empty):
    """Also where a first attempt was cut off after half of them."""
    run(place, [f"{SCRIPT} --namespace {empty.name} secrets"])
    empty.kubectl("delete", "secret", "minio-server")
    run(place, [f"{SCRIPT} --namespace {empty.name} secrets"])
    data = {one["metadata"]["name"]: one["data"] for one in empty.get("secrets")["items"]}
    token = base64.b64decode(data["sales-operator-events"]["token"]).decode()
    config = base64.b64decode(data["minio-server"]["config.env"]).decode()
    settings = dict(line.split("=", 1) for line in config.splitlines())
    shown = [value for name, value in settings.items() if "AUTH_TOKEN" in name]
    assert shown == [token] * len(shown) != []
    asked_for = pages.section("charts/minio/README.md", "Before the first install")
    assert set(re.findall(r"MINIO_[A-Z_]+", asked_for)) == settings.keys()


def test_token_of_a_server_that_is_there_already_is_not_guessed(place, empty):
    run(place, [f"{SCRIPT} --namespace {empty.name} secrets"])
    empty.kubectl("delete", "secret", "sales-operator-events")
    done = shell(place, f"{SCRIPT} --namespace {empty.name} secrets")
    assert done.returncode == 1
    assert "make that one yourself" in done.stderr


def test_asking_and_delivering_show_no_secret(outputs, overheard):
    """A second delivery of the same file is there as an object, and asked for by its login."""
    place, notes = overheard
    deliver = f"{SCRIPT} deliver out/sales/sales-00001.csv other/first.csv"
    _, login = run(place, [deliver, f'{SCRIPT} query "SELECT current_user"'])
    assert "metabase" in login
    seen = notes.read_text()
    assert "other/first.csv" in seen
    assert [value for value in secret_values(SALES) if value in seen] == []


@pytest.mark.parametrize(
    ("words", "because"),
    [
        ('query "DELETE FROM fact_sales"', "permission denied for table fact_sales"),
        ("deliver nowhere.csv raw/nowhere.csv", "nowhere.csv: no such file"),
        ("deliver", "Usage:"),
    ],
)
def test_what_cannot_be_done_is_said(outputs, place, words, because):
    done = shell(place, f"{SCRIPT} {words}")
    assert done.returncode != 0
    assert because in done.stderr
