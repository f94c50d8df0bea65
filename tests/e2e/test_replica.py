"""A replica as a process of its own, on a real API server: how it begins, and how it ends."""

import json
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from tests.docs.pages import ROOT
from tests.e2e.connecting import kubeconfig_file, serving
from tests.e2e.kube import KubeError
from tests.operator.receiving import lay_out
from tests.support.waiting import until

pytestmark = pytest.mark.e2e

SECONDS = 60
LEASE = "sales-operator"


@pytest.fixture
def server(cluster):
    """A namespace for each test: where one replica leads, no other may."""
    with serving("replica") as made:
        yield made


@pytest.fixture
def silent_store():
    """An object store that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SECONDS)
        yield listening


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Certificate, token and keys."""
    folder = tmp_path_factory.mktemp("files")
    lay_out(folder, trustme.CA())
    store = folder / "store"
    store.mkdir()
    (store / "access_key").write_text("access")
    (store / "secret_key").write_text("secretsecret")
    return folder


@dataclass
class Replica:
    """A process and what it has said."""

    process: "subprocess.Popen[str]"
    log: Path
    port: int

    def said(self) -> list[dict[str, Any]]:
        """Its log so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def leads(self) -> None:
        """Wait until it says so."""
        until(lambda: "this replica leads" in [line["event"] for line in self.said()])

    def stands_by(self) -> None:
        """Wait until it listens, which it does after it has set up its signals."""
        until(lambda: is_open(self.port))

    def ends(self) -> tuple[int, float]:
        """Wait for its end: exit code, and how many seconds that took."""
        begun = time.monotonic()
        code = self.process.wait(SECONDS)
        return code, time.monotonic() - begun


@pytest.fixture
def replica(server, files, tmp_path):
    """Starts replicas; they end with the test."""
    started = []

    def start(endpoint="http://127.0.0.1:9", **user):
        number, port = len(started), free_port()
        settings = tmp_path / f"settings-{number}.yaml"
        made = settings_of(server.namespace.name, files, endpoint, port)
        settings.write_text(yaml.safe_dump(made))
        kubeconfig = kubeconfig_file(tmp_path, server.login(**user))
        log = tmp_path / f"log-{number}"
        argv = [sys.executable, "-m", "sales_operator", "run", f"--settings={settings}"]
        with log.open("w") as said:
            process = subprocess.Popen(
                argv, stderr=said, text=True, cwd=ROOT, env={"KUBECONFIG": str(kubeconfig)}
            )
        started.append(process)
        return Replica(process, log, port)

    yield start
    for process in started:
        process.kill()
        process.wait(SECONDS)


def settings_of(namespace, files, endpoint, port):
    return {
        "namespace": namespace,
        "watchNamespaces": [namespace],
        "leadership": {"durationSeconds": 4, "renewSeconds": 3, "retrySeconds": 1},
        "objectStore": {"endpoint": endpoint, "credentials": str(files / "store")},
        "receiver": {
            "host": "127.0.0.1",
            "port": port,
            "certificate": str(files / "tls/tls.crt"),
            "key": str(files / "tls/tls.key"),
            "token": str(files / "events/token"),
        },
        "pipeline": {"image": "example.test/none:1"},
    }


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def is_open(port):
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def holder(server):
    try:
        return server.namespace.get(f"lease/{LEASE}")["spec"].get("holderIdentity")
    except KubeError:
        return None


def is_judged(server, name):
    """Whether the operator has looked at an ingest."""
    return "conditions" in server.namespace.get(f"salesingest/{name}").get("status", {})


def waits_for(store):
    """Wait until somebody asks the object store; nobody will answer."""
    connection, _ = store.accept()
    return connection


# --- ending


def test_leader_that_is_told_to_stop_does_so_and_releases_the_lease(server, replica, silent_store):
    """Also while a thread waits for the object store, as it may for a minute."""
    server.ingest("daily")
    leader = replica(f"http://127.0.0.1:{silent_store.getsockname()[1]}")
    with waits_for(silent_store):
        leader.process.send_signal(signal.SIGTERM)
        code, seconds = leader.ends()
    assert (code, leader.said()[-1]["event"]) == (0, "stopped")
    assert seconds < 8
    assert holder(server) == ""


def test_replica_that_loses_the_lease_ends_though_the_object_store_is_silent(
    server, replica, silent_store
):
    server.ingest("daily")
    leader = replica(f"http://127.0.0.1:{silent_store.getsockname()[1]}")
    with waits_for(silent_store):
        patch = json.dumps({"spec": {"holderIdentity": "another"}})
        server.namespace.kubectl("patch", "lease", LEASE, "--type=merge", f"--patch={patch}")
        code, seconds = leader.ends()
    assert code == 75
    assert seconds < 8
    assert holder(server) == "another"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_replica_that_stands_by_stops_when_it_is_told_to(server, replica, number):
    leader = replica()
    leader.leads()
    other = replica()
    other.stands_by()
    held = holder(server)
    other.process.send_signal(number)
    code, seconds = other.ends()
    assert code == 0
    assert seconds < 8
    assert holder(server) == held


def test_another_replica_leads_when_the_leader_was_killed(server, replica):
    first = replica()
    first.leads()
    second = replica()
    second.stands_by()
    first.process.kill()
    second.leads()
    server.ingest("daily", suspend=True)
    until(lambda: is_judged(server, "daily"))


# --- rights

RULES = [
    ("minidata.io", "salesingests", "get list watch patch"),
    ("minidata.io", "salesingests/status", "patch"),
    ("batch", "jobs", "get list watch create delete"),
    ("batch", "cronjobs", "get list create patch delete"),
    ("coordination.k8s.io", "leases", "get create update"),
    ("", "pods", "list"),
    ("", "events", "create"),
]


def test_rights_in_one_namespace_are_enough_to_hear_of_everything(server, replica):
    """No right to namespaces and definitions is asked for; what comes is heard before a resync."""
    metadata = {"name": "op"}
    rules = [
        {"apiGroups": [group], "resources": [what], "verbs": verbs.split()}
        for group, what, verbs in RULES
    ]
    rbac = "rbac.authorization.k8s.io"
    server.namespace.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "op"},
            "subjects": [{"kind": "ServiceAccount", "name": "op"}],
        },
    )
    token = server.namespace.kubectl("create", "token", "op").strip()
    leader = replica(token=token)
    leader.leads()
    server.ingest("daily", suspend=True)
    until(lambda: is_judged(server, "daily"))
    assert [line for line in leader.said() if line["level"] != "info"] == []
    assert token not in leader.log.read_text()
