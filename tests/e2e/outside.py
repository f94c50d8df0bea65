"""The operator as processes of this machine, which can be killed, frozen and overheard."""

import base64
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil
import yaml

from tests.charts.support import program
from tests.docs.pages import ROOT
from tests.e2e.connecting import Server, kubeconfig_file
from tests.e2e.ingests import away, until
from tests.e2e.installation import Installation
from tests.e2e.kube import CONTEXT, Manifest, Namespace, call

LEASE = "lease/operator"
RESYNC_SECONDS = 5
_SECONDS = 90


@dataclass
class Replica:
    """One process, and what it has said."""

    process: "subprocess.Popen[str]"
    name: str
    log: Path

    def said(self, event: str) -> bool:
        """Whether its log has this event."""
        lines = self.log.read_text("utf-8").splitlines()
        return any(json.loads(line)["event"] == event for line in lines if line.endswith("}"))

    def is_leading(self) -> bool:
        """Whether it has said so."""
        return self.said("this replica leads")

    def leads(self) -> None:
        """Wait until it does."""
        until(self.is_leading, _SECONDS)

    def is_up(self) -> bool:
        """Whether it listens: from then on it stands by, or leads."""
        sockets = psutil.Process(self.process.pid).net_connections("tcp")
        return any(socket.status == psutil.CONN_LISTEN for socket in sockets)

    def send(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it at once, in whatever it is at."""
        self.process.kill()
        self.process.wait(_SECONDS)


@dataclass
class Outside:
    """Replicas in place of the pods, with the settings of the pods but for where things are."""

    namespace: Namespace
    folder: Path
    settings: Manifest
    _started: list[Replica] = field(default_factory=list)

    @classmethod
    @contextmanager
    def of(cls, installation: Installation, folder: Path) -> Iterator[Self]:
        """No pod of the operator runs in the block, and no process of it after the block."""
        namespace = installation.namespace
        with ExitStack() as stack:
            stack.enter_context(away(namespace, "deployment/operator", 2))
            port = stack.enter_context(namespace.forward("service/minio", 9000))
            made = cls(namespace, folder, _settings(installation, folder, port))
            stack.callback(made._end)
            yield made

    def _end(self) -> None:
        for replica in self._started:
            replica.kill()

    def start(self, at: str = "") -> Replica:
        """One more, with the rights of a pod or, at another address, with those of that."""
        name = f"outside-{len(self._started)}"
        folder = self.folder / name
        folder.mkdir()
        server = Server(self.namespace, _kubeconfig())
        if at:
            login = server.login(at=at)
        else:
            login = server.login(token=self.namespace.kubectl("create", "token", "operator"))
        environment = {"KUBECONFIG": str(kubeconfig_file(folder, login)), "POD_NAME": name}
        settings, log = folder / "settings.yaml", folder / "log"
        settings.write_text(yaml.safe_dump(self.settings), "utf-8")
        argv = [sys.executable, "-m", "sales_operator", "run", f"--settings={settings}"]
        with log.open("w") as said:
            process = subprocess.Popen(argv, stderr=said, text=True, cwd=ROOT, env=environment)
        self._started.append(Replica(process, name, log))
        return self._started[-1]

    def holder(self) -> str:
        """Which replica has the Lease."""
        identity = self.namespace.get(LEASE)["spec"].get("holderIdentity") or ""
        return identity.rpartition("_")[0]

    def forget_holder(self) -> None:
        """Take the Lease of one that was killed away: nobody need wait until it runs out."""
        self.namespace.kubectl("delete", LEASE)


def _kubeconfig() -> Manifest:
    view = ("config", "view", "--minify", "--flatten", "--raw", f"--context={CONTEXT}")
    found: Manifest = yaml.safe_load(call("kubectl", *view))
    return found


def _settings(installation: Installation, folder: Path, store_port: int) -> Manifest:
    namespace = installation.namespace
    settings: Manifest = yaml.safe_load(
        namespace.get("configmap/operator")["data"]["settings.yaml"]
    )
    store = _files(namespace, "sales-operator-object-store", folder / "store")
    tls = _files(namespace, "operator-tls", folder / "tls")
    events = _files(namespace, "sales-operator-events", folder / "events")
    settings["resyncSeconds"] = RESYNC_SECONDS
    settings["objectStore"] |= {
        "endpoint": f"https://localhost:{store_port}",
        "caFile": str(installation.ca),
        "credentials": str(store),
    }
    settings["receiver"] = {
        "host": "127.0.0.1",
        "port": 0,
        "certificate": str(tls / "tls.crt"),
        "key": str(tls / "tls.key"),
        "token": str(events / "token"),
    }
    return settings


def _files(namespace: Namespace, secret: str, folder: Path) -> Path:
    """The content of a Secret as its pods have it."""
    folder.mkdir(mode=0o700)
    for name, value in namespace.get(f"secret/{secret}")["data"].items():
        (folder / name).write_bytes(base64.b64decode(value))
    return folder


# --- what a replica asks of the API server ------------------------------------------------------

_ACCEPTED = re.compile(r"Filter accepting (\w+) (\S+)")


class Overheard:
    """A way to the API server that keeps what is asked on it, at the moment it is asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        """Verb and path of each request so far."""

    @classmethod
    @contextmanager
    def up(cls) -> Iterator[Self]:
        """Serve while the block runs."""
        argv = [program("kubectl"), f"--context={CONTEXT}", "proxy", "--port=0", "--v=4"]
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stderr is not None
                first = process.stdout.readline()  # Starting to serve on 127.0.0.1:42105
                made = cls(f"http://{first.split()[-1]}")
                threading.Thread(target=made._listen, args=(process.stderr,), daemon=True).start()
                yield made
            finally:
                process.terminate()

    def _listen(self, lines: Iterable[str]) -> None:
        for line in lines:
            if found := _ACCEPTED.search(line):
                self.asked.append(f"{found[1]} {found[2]}")

    def changes(self) -> list[str]:
        """Those that change something, or try to."""
        return [asked for asked in list(self.asked) if not asked.startswith("GET ")]
