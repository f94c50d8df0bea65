"""certs/README.md: its commands run, its table and its example say what the code does."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from certs.services import SERVICES
from tests.certs.making import NAMES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "certs" / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
KUBECTL = '#!/bin/sh\necho "$@" >> "$HOME/calls"\ncat > /dev/null\n'


@pytest.fixture
def shell(tmp_path):
    """Run a script as `bash -e`, beside a copy of the package, with a kubectl that takes notes."""
    shutil.copytree(ROOT / "certs", tmp_path / "certs", ignore=shutil.ignore_patterns("out"))
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "kubectl").write_text(KUBECTL)
    (programs / "kubectl").chmod(0o755)
    (programs / "python").symlink_to(sys.executable)
    path = f"{programs}:{os.environ['PATH']}"
    # Through a link a virtual environment's Python does not find its packages.
    environ = {"HOME": str(tmp_path), "PATH": path, "PYTHONPATH": ":".join(sys.path[1:])}

    def run(script):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_each_program_in_the_blocks_is_known():
    words = {line.split()[0] for block in BLOCKS for line in block.splitlines() if line[0] != " "}
    assert words == {"python", "kubectl", "openssl", "mkdir", "(umask", "rm"}


def test_the_commands_run_one_after_the_other_from_first_to_last(shell, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command")
    for block in BLOCKS:
        shell(block)
    shell("python -m certs show")
    calls = (tmp_path / "calls").read_text().splitlines()
    applied = sum(block.count("certs apply") for block in BLOCKS)
    assert len([call for call in calls if call.startswith("apply --server-side")]) == applied
    assert [call.split()[:4] for call in calls if call.startswith("create")] == [
        ["create", "secret", "generic", "minio-tls"],
        ["create", "configmap", "minidata-ca", "--namespace"],
    ]


def test_a_ca_of_ones_own_as_the_readme_makes_it_signs(shell, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command")
    [block] = [block for block in BLOCKS if "openssl" in block]
    shell(block)
    said = shell("python -m certs show")
    assert said.count("Example CA") == 1 + len(NAMES)
    strict = "openssl verify -x509_strict -CAfile certs/out/ca.crt certs/out/minio.pem"
    assert shell(strict) == "certs/out/minio.pem: OK\n"
    assert (tmp_path / "certs/out/ca.pem").stat().st_mode & 0o077 == 0


def test_the_services_and_files_are_those_of_the_code():
    first = README.partition("```")[0]
    assert re.findall(r"`([-\w]+)`", first) == NAMES
    files = re.findall(r"^\| `([\w.]+)` \|", README, re.MULTILINE)
    assert files == ["ca.pem", "ca.crt", "NAME.pem"]


def test_the_example_for_cert_manager_has_our_names():
    [block] = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    certificate = yaml.safe_load(block)
    spec = certificate["spec"]
    assert (*spec["dnsNames"], *spec["ipAddresses"]) == SERVICES[0].names("minidata")
    assert spec["secretName"] == f"{SERVICES[0].name}-tls"
    assert certificate["metadata"]["namespace"] == "minidata"
