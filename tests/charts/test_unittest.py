"""The suites of each chart, in helm-unittest's words: a specification for who installs it.

What takes every set of values, or a server, is in the modules next to this one.
"""

import shutil
import subprocess
import tarfile

import pytest

from cluster import gobuild, pins
from tests.charts.support import CHARTS, UMBRELLA, folder_of, helm

NAMES = sorted(path.parent.name for path in CHARTS.glob("*/Chart.yaml"))
PARTS = [name for name in NAMES if name != UMBRELLA]
pytestmark = pytest.mark.timeout(1800)
"""The runner is compiled the first time."""


@pytest.fixture(scope="module")
def suites_of():
    """Run the suites of a chart's folder."""
    runner = gobuild.ensure([pins.CHART_TESTER])["helm-unittest"]
    return lambda folder: subprocess.run(
        [runner, "--strict", folder], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def copy_of(tmp_path):
    """A chart to spoil, or to have the runner leave folders for snapshots in."""
    return lambda chart: shutil.copytree(folder_of(chart), tmp_path / chart)


def spoil(folder, right, wrong):
    found = [file for file in folder.glob("*.*") if right in file.read_text("utf-8")]
    assert found
    for file in found:
        file.write_text(file.read_text("utf-8").replace(right, wrong), "utf-8")


@pytest.mark.parametrize("chart", NAMES)
def test_a_chart_does_what_its_suites_say(chart, suites_of, copy_of):
    """The runner is content with a chart that has none, and passes over files of other names."""
    written = list((CHARTS / chart / "tests").glob("*.yaml"))
    assert written
    ended = suites_of(copy_of(chart))
    assert ended.returncode == 0, ended.stdout
    assert f"Test Suites: {len(written)} passed, {len(written)} total" in ended.stdout


def test_a_wrong_expectation_is_no_pass(suites_of, copy_of):
    chart = copy_of("postgres")
    spoil(chart / "tests", "value: ClusterIP", "value: LoadBalancer")
    ended = suites_of(chart)
    assert ended.returncode == 1
    assert "is never offered outside of the cluster" in ended.stdout


@pytest.mark.parametrize("chart", PARTS)
@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("runAsNonRoot: true", "runAsNonRoot: false", "as root"),
        ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "a root to write to"),
        ("drop: [ALL]", "drop: [CHOWN]", "no container a capability"),
    ],
)
def test_a_slip_of_security_is_told(chart, right, wrong, told, suites_of, copy_of):
    spoiled = copy_of(chart)
    spoil(spoiled / "templates", right, wrong)
    ended = suites_of(spoiled)
    assert ended.returncode == 1
    assert told in ended.stdout


@pytest.mark.parametrize("chart", NAMES)
def test_a_package_is_without_suites(chart, tmp_path):
    """Those of `helm test` are templates, and stay."""
    helm("package", str(folder_of(chart)), f"--destination={tmp_path}")
    (package,) = tmp_path.iterdir()
    with tarfile.open(package) as opened:
        names = opened.getnames()
    assert [name for name in names if name.endswith("_test.yaml")] == []
    assert any("/templates/tests/" in name for name in names)
