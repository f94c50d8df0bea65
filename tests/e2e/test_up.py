"""The whole platform by one command: up, used as it says, restarted, upgraded, down, up again."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import pytest

from deploy.place import OUT
from tests.charts.arrows import Arrow
from tests.charts.test_arrows import written
from tests.docs.pages import ROOT
from tests.e2e.conftest import MAKER, OURS
from tests.e2e.ingests import until
from tests.e2e.kube import CONTEXT, Namespace
from tests.e2e.probing import STRANGER, labels_of_parties, targets, tried
from tests.e2e.standing import dumped

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

RELEASE = "e2e-up"
SECONDS = 600
SOON = 90
"""Within so many seconds it is told what stands in the way, on a machine that others use too."""
CLAIMS = {"data-minio-0", "data-postgres-0", "data-vault-0"}
DEFINITION = "customresourcedefinitions/salesingests.minidata.io"
OF_MAKE = {"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"}
CHANGED = {
    "minio": {"podAnnotations": {"example.org/restarted-for": "a test"}},
    "postgres": {"parameters": {"work_mem": "8MB"}},
    "vault": {"podAnnotations": {"example.org/restarted-for": "a test"}},
}
"""Values that have each server start again."""


class Platform:
    """One that `up` made, used through the commands that it printed."""

    def __init__(self):
        self.namespace = Namespace(f"minidata-e2e-up-{secrets.token_hex(3)}")
        self.printed = ""

    def deploy(self, command, *options):
        """Run the program; what it printed, and what it told on the way."""
        done = subprocess.run(
            self._argv(command, *options),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout, done.stderr

    def fails(self, command, *options):
        """Run the program, which is to end with 1; all that it said."""
        done = subprocess.run(
            self._argv(command, *options),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 1, done.stdout
        return done.stdout

    def cut_off(self, *options):
        """Let `up` begin, and kill it and its helm in the middle of the upgrade."""
        argv = self._argv("up", *options)
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(argv, cwd=ROOT, start_new_session=True, **silent) as process:
            until(self.is_pending)
            os.killpg(process.pid, signal.SIGKILL)
        assert self.is_pending()

    def is_pending(self):
        """Whether helm is at it, or was killed."""
        mark = "--selector=owner=helm,status=pending-upgrade"
        return bool(self.namespace.get("secrets", mark)["items"])

    def _argv(self, command, *options):
        place = (f"--context={CONTEXT}", f"--namespace={self.namespace.name}")
        return [sys.executable, "-m", "deploy", command, *place, f"--release={RELEASE}", *options]

    def up(self, *options):
        """Bring it up; how many rows the proof brought."""
        self.printed, told = self.deploy("up", *options)
        (rows,) = re.findall(r"^raw/\S+: (\d+) rows in fact_sales$", told, re.MULTILINE)
        return int(rows)

    def command(self, words):
        """The printed command that has these words."""
        (found,) = [line for line in self.commands() if words in line]
        return found

    def commands(self):
        """All of them."""
        return re.findall(r"^  \$ (.*)$", self.printed, re.MULTILINE)

    def run(self, command):
        """Run a command as somebody would who pastes it, behind the first; the process, ended."""
        return subprocess.run(
            ["bash", "-c", self._pasted(command)],
            cwd=ROOT,
            env=without_make(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def do(self, words):
        """Run the printed command that has these words; its output."""
        done = self.run(self.command(words))
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def left_running(self, words):
        """Leave the printed command with these words running, as in another terminal."""
        argv = ["bash", "-c", self._pasted(f"exec {self.command(words)}")]
        with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert "Forwarding from" in process.stdout.readline()
                yield
            finally:
                process.terminate()

    def _pasted(self, command):
        path = self.commands()[0]
        assert path.startswith("export PATH=")
        return f"set -Eeuo pipefail\n{path}\n{command}"

    def sales(self):
        """How many rows the printed question tells of."""
        (count,) = re.findall(r"^ +(\d+) \|", self.do(" query "), re.MULTILINE)
        return int(count)

    def started(self):
        """Pod -> its container, of all that serve: another one has another ID."""
        return {
            one["metadata"]["name"]: one["status"]["containerStatuses"][0]["containerID"]
            for one in self.namespace.get("pods")["items"]
            if one["metadata"]["ownerReferences"][0]["kind"] != "Job"
        }

    def status(self):
        """What `status` tells machines."""
        return json.loads(self.deploy("status", "--output=json")[0])

    def names(self, kind):
        return {one["metadata"]["name"] for one in self.namespace.get(kind)["items"]}


def without_make():
    """The environment of somebody at a terminal: what called this test may have been make."""
    return {name: value for name, value in os.environ.items() if name not in OF_MAKE}


@pytest.fixture(scope="module")
def platform(cluster):
    """One that is up; its namespace has the labels by which a later session would remove it."""
    made = Platform()
    name = made.namespace.name
    made.namespace.kubectl("create", "namespace", name)
    made.namespace.kubectl("label", "namespace", name, OURS, f"{MAKER}={os.getpid()}")
    try:
        assert made.up() > 900
        yield made
    except BaseException as error:
        error.add_note(dumped(made.namespace))
        raise
    finally:
        made.namespace.kubectl("delete", "namespace", name, "--ignore-not-found", timeout=300)
        shutil.rmtree(OUT / name, ignore_errors=True)


def test_the_printed_commands_bring_a_file_and_show_its_rows(platform):
    before = platform.sales()
    with ExitStack() as terminals:
        for part in ("minio", "postgres", "vault"):
            terminals.enter_context(platform.left_running(f"service/{part}"))
        platform.do("generate")
        platform.do("mc ")
        until(lambda: platform.sales() > before)
    assert re.search(r"^sales +True ", platform.do("get si"), re.MULTILINE)


def test_every_printed_command_is_tried_here(platform):
    tried = ["export ", *(f"service/{part} " for part in ("minio", "postgres", "vault"))]
    tried += ["generate", "mc ", "get si", " query ", "make status", "make down"]
    assert [w for w, line in zip(tried, platform.commands(), strict=True) if w not in line] == []


def test_the_supplier_puts_files_under_raw_and_can_do_no_more(platform):
    put = platform.command("mc ")
    client, (source, target) = put.partition(" cp ")[0], put.split()[-2:]
    with platform.left_running("service/minio"):
        for words in (f"cp {source} minidata/sales/processed/mine.csv", "ls minidata/sales"):
            refused = platform.run(f"{client} {words}")
            assert refused.returncode == 1
            assert re.search("Access Denied|Insufficient permissions", refused.stderr)
        assert platform.run(f"{client} cat {target}").returncode != 0


def test_no_secret_is_where_others_could_read_it(platform):
    folder = OUT / platform.namespace.name
    assert folder.stat().st_mode & 0o777 & ~0o755 == 0
    for file in [*(folder / "mc").glob("config.json"), *(folder / "certs").glob("*.pem")]:
        assert file.stat().st_mode & 0o077 == 0, file
    assert (folder / "mc").stat().st_mode & 0o077 == 0
    (key,) = json.loads((folder / "mc" / "config.json").read_text())["aliases"].values()
    kept = platform.namespace.kubectl("get", "secrets,configmaps,pods", "--output=yaml")
    assert key["secretKey"] not in kept + platform.printed


def test_pods_reach_whom_the_page_names_and_nobody_else(platform):
    parties = labels_of_parties(RELEASE)
    page = written({*parties} - {STRANGER})
    ports = targets(platform.namespace, page)
    wanted = {who: {t for t in ports if Arrow(who, t.receiver, t.port) in page} for who in parties}
    found = tried(platform.namespace, parties, wanted, ports)
    assert found == {Arrow(who, t.receiver, t.port) for who in parties for t in wanted[who]}


def test_status_is_a_page_that_says_all_is_well(platform):
    page = platform.do("make status")
    assert page.rstrip().endswith("All is well.")
    for part in ("minio", "postgres", "vault", "operator"):
        assert re.search(rf"^{part} +\d/\d ", page, re.MULTILINE)


def test_a_restart_of_vault_needs_no_hands_and_up_again_restarts_nothing(platform):
    platform.namespace.kubectl("delete", "pod", "vault-0", timeout=120)
    ready = ("--for=condition=Ready", "--timeout=120s")
    until(lambda: "vault-0" in platform.names("pods"))
    platform.namespace.kubectl("wait", "pod/vault-0", *ready, timeout=150)
    assert platform.status()["well"] is True
    before = platform.started()
    assert platform.up() > 900
    assert platform.started() == before


def test_an_upgrade_keeps_what_there_is_and_may_be_cut_off(platform, tmp_path):
    changed = tmp_path / "changed.yaml"
    changed.write_text(json.dumps(CHANGED))
    before, sales = platform.started(), platform.sales()
    platform.cut_off(f"--values={changed}")
    loaded = platform.up(f"--values={changed}")
    assert platform.sales() == sales + loaded
    after = platform.started()
    assert all(before[f"{part}-0"] != after[f"{part}-0"] for part in CHANGED)
    assert platform.status()["well"] is True


def test_an_image_that_is_nowhere_is_told_soon_and_the_next_up_goes_on(platform, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(json.dumps({"minio": {"image": {"tag": "nowhere"}}}))
    sales, began = platform.sales(), time.monotonic()
    told = platform.fails("up", f"--values={wrong}")
    assert time.monotonic() - began < SOON
    held_up = r"^error: pod minio-0, container minio: \w+: .*:nowhere"
    assert re.search(held_up, told, re.MULTILINE), told
    assert "To do: name an image that the cluster can have" in told
    assert not platform.is_pending()
    loaded = platform.up()
    assert platform.sales() == sales + loaded


def test_status_of_a_broken_platform_says_what_is_wrong_and_up_mends_it(platform):
    platform.namespace.kubectl("scale", "statefulset/postgres", "--replicas=0")
    platform.namespace.kubectl("delete", "secret", "minio-tls")
    platform.namespace.kubectl("delete", "pod", "minio-0", timeout=120)
    until(lambda: 'secret "minio-tls" not found' in platform.fails("status"))
    page = platform.fails("status")
    for part in ("postgres: it is scaled to 0", "minio: pod minio-0: FailedMount"):
        assert re.search(rf"^  {part}.* To do: ", page, re.MULTILINE), page
    assert platform.up() > 900
    assert platform.status()["well"] is True


def test_down_keeps_what_it_shall_and_up_finds_it_again(platform):
    sales = platform.sales()
    platform.deploy("down", "--keep-data")
    assert platform.names("statefulsets") | platform.names("deployments") == set()
    assert platform.names("persistentvolumeclaims") == CLAIMS
    assert {"vault-seal", "minio-tls"} <= platform.names("secrets")
    assert platform.names("salesingests") == {"sales"}
    loaded = platform.up()
    assert platform.sales() == sales + loaded


def test_down_leaves_nothing_but_what_others_need(platform):
    """The definition stays while others have an operator, and does not otherwise."""
    others = platform.namespace.get(
        "deployments", "--all-namespaces", "--selector=app.kubernetes.io/name=sales-operator"
    )["items"]
    used = {one["metadata"]["namespace"] for one in others} - {platform.namespace.name}
    platform.do("make down")
    name = platform.namespace.name
    assert not platform.namespace.kubectl("get", "namespace", name, "--ignore-not-found")
    assert not (OUT / name / "mc").exists()
    if used:
        assert platform.namespace.kubectl("get", DEFINITION)
    bindings = platform.namespace.get("clusterrolebindings")["items"]
    assert [one for one in bindings if name in one["metadata"]["name"]] == []
