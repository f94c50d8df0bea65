"""MinIO, and two replicas that it shares no token with: it is told on the ingest, until it does."""

import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager

import pytest
import yaml

from sales_api import names
from sales_pipeline.demo.ports import free_ports
from tests.docs.pages import ROOT
from tests.e2e.connecting import kubeconfig_file, serving
from tests.e2e.ingests import condition, until
from tests.e2e.test_replica import Replica, settings_of
from tests.operator.receiving import mount
from tests.operator.test_bucket import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

REFUSED_SECONDS = 240
"""Two minutes of refusals, on a machine that others use too."""


@pytest.fixture
def server(cluster):
    with serving("refused") as made:
        yield made


@pytest.fixture
def minio(tmp_path):
    """MinIO as the chart runs it; it posts to the port of its own receiver, where none serves."""
    world = World(tmp_path)
    with world.cluster.server(world.values).begin(), closing(world.root):
        assert world.cluster.bootstrap(world.values).code == 0
        yield world


@contextmanager
def replica(server, minio, folder, port):
    """A replica that has certificate and token of that receiver."""
    folder.mkdir()
    made = settings_of(server.namespace.name, minio.serving.folder, minio.cluster.url, port)
    made["objectStore"] = minio.where.model_dump(mode="json", by_alias=True)
    (settings := folder / "settings.yaml").write_text(yaml.safe_dump(made))
    kubeconfig = kubeconfig_file(folder, server.login())
    argv = [sys.executable, "-m", "sales_operator", "run", f"--settings={settings}"]
    log = folder / "log"
    with log.open("w") as said:
        process = subprocess.Popen(
            argv, stderr=said, text=True, cwd=ROOT, env={"KUBECONFIG": str(kubeconfig)}
        )
    try:
        yield Replica(process, log, port)
    finally:
        process.kill()
        process.wait(60)


def events_of(server):
    """What is told of events, and whether a replica that stands by has left word."""
    ingest = server.namespace.get("salesingest/refused")
    told = condition(ingest.get("status", {}), "EventsReady")
    word = ingest["metadata"].get("annotations", {}).get(names.ANNOTATION_REFUSED, "")
    return told.get("reason", ""), bool(word)


@pytest.mark.parametrize("who", ["leader", "standby"])
def test_refused_events_are_told_of_until_one_is_let_in(server, minio, tmp_path, who):
    """Whichever replica MinIO posts to."""
    heard, other = minio.serving.port, free_ports(1)[0]
    ports = [heard, other] if who == "leader" else [other, heard]
    token = (minio.serving.folder / "events/token").read_bytes()
    with ExitStack() as replicas:
        leader = replicas.enter_context(replica(server, minio, tmp_path / "leader", ports[0]))
        leader.leads()
        standby = replicas.enter_context(replica(server, minio, tmp_path / "standby", ports[1]))
        standby.stands_by()
        server.ingest("refused", suspend=True)
        until(lambda: events_of(server) == ("Subscribed", False))
        mount(minio.serving.folder / "events", {"token": b"another"})
        began = time.monotonic()
        minio.root.put_object(Bucket="sales", Key="raw/refused/a.csv", Body=b"1")
        until(lambda: events_of(server)[0] != "Subscribed", REFUSED_SECONDS)
        assert events_of(server) == ("TokenRefused", who == "standby")
        assert time.monotonic() - began >= 120
        mount(minio.serving.folder / "events", {"token": token})
        until(lambda: events_of(server)[0] == "Subscribed")
