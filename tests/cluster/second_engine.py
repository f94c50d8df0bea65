"""An engine of our own beside the one that may be running: own cache folder, own network.

A second dockerd in the same network would flush the first one's packet filter chains, so each lives
in a network namespace that ends with the test. Processes, mounts and cgroups are the machine's, and
the test sees that none of them stays.
"""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from cluster.daemons import Layout

REPOSITORY = Path(__file__).parents[2]
# The image holds nothing: it borrows the programs of this machine.
IMAGE = "borrowed:1"
BORROW = ("--volume", "/usr:/usr:ro")
LINKS = ("bin", "lib", "lib64", "sbin")


@contextmanager
def own_network() -> Iterator[int]:
    """A network with nothing but loopback; gives the process that keeps it."""
    holder = ["unshare", "--net", "sh", "-c", "ip link set lo up; echo up; exec sleep infinity"]
    with subprocess.Popen(holder, stdout=subprocess.PIPE) as kept:
        kept.stdout.readline()
        yield kept.pid
        kept.kill()


@dataclass(frozen=True)
class SecondEngine:
    """What a person would do with an engine, done in the network of the test."""

    cache: Path
    network: int

    @property
    def layout(self) -> Layout:
        return Layout.below(self.cache)

    def start(self, command: str) -> subprocess.Popen[str]:
        """Call `cluster.engine` in a process of its own, as make does."""
        code = f"from cluster import engine; print(engine.{command})"
        # Naming it keeps an engine of the machine's from being used instead.
        named = {"MINIDATA_CACHE": str(self.cache), "DOCKER_HOST": f"unix://{self.layout.link}"}
        return subprocess.Popen(
            [*self._inside, sys.executable, "-c", code],
            cwd=REPOSITORY,
            env=os.environ | named,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ensure(self) -> str:
        """Start it, or find it; gives what was said on the way."""
        return self._finish(self.start("ensure().owned"), "True\n")

    def stop(self) -> str:
        """Stop it; gives what was said on the way."""
        return self._finish(self.start("stop()"), "None\n")

    def docker(self, *words: str, stdin: bytes = b"") -> str:
        """Call docker; its output without the last line's end."""
        return self.tool("docker", "--host", f"unix://{self.layout.socket}", *words, stdin=stdin)

    def tool(self, *words: str, stdin: bytes = b"") -> str:
        """Run a program in the network of the test."""
        done = subprocess.run(
            [*self._inside, *words], input=stdin, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stderr.decode()}"
        return done.stdout.decode().strip()

    def import_image(self) -> None:
        """Make the image that borrows this machine's programs."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as archive:
            for name in LINKS:
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
                archive.addfile(link)
        self.docker("import", "-", IMAGE, stdin=content.getvalue())

    def run_node(self, name: str) -> None:
        """Run what kind runs: a privileged container in a network, restarted, with a port."""
        if name not in self.docker("network", "ls", "--format", "{{.Name}}").split():
            self.docker("network", "create", name)
        options = ["--detach", "--privileged", "--restart", "on-failure:1", "--name", name]
        options += ["--stop-signal", "SIGKILL"]  # as the first process, sleep ignores any other
        published = ["--network", name, "--publish", "127.0.0.1::80"]
        self.docker("run", *options, *published, *BORROW, IMAGE, "sleep", "infinity")

    def kill(self) -> None:
        """Kill every process of it at once, as a machine does that ends a job."""
        for process in self.processes():
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(self.processes(), timeout=10)

    def processes(self) -> list[psutil.Process]:
        """Its daemons, shims and port forwarders, and all that runs in its containers."""
        return [one for one in psutil.process_iter() if self._is_part(one)]

    def interfaces(self) -> set[str]:
        return {link["ifname"] for link in json.loads(self.tool("ip", "-json", "link"))}

    def filter_rules(self) -> list[str]:
        """The rules, the chains beside the built-in ones, and the policies that do not accept."""
        saved = self.tool("iptables-save") + "\n" + self.tool("ip6tables-save")
        return re.findall(r"^(?:-A .*|:\S+ (?!ACCEPT)\S+)", saved, re.MULTILINE)

    def forwarding(self) -> str:
        return self.tool("cat", "/proc/sys/net/ipv4/ip_forward")

    def mounts(self) -> list[str]:
        return [line for line in Path("/proc/mounts").read_text().splitlines() if self._named(line)]

    def cgroups(self) -> list[Path]:
        return list(Path("/sys/fs/cgroup").rglob(self.layout.cgroup))

    @property
    def _inside(self) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.network}/ns/net"]

    def _is_part(self, process: psutil.Process) -> bool:
        try:
            own_words = self._named(" ".join(process.cmdline()))
            contained = self._named(Path(f"/proc/{process.pid}/cgroup").read_text())
            here = Path(f"/proc/{process.pid}/ns/net").stat().st_ino
        except (psutil.Error, OSError):
            return False
        network = Path(f"/proc/{self.network}/ns/net").stat().st_ino
        return own_words or contained or (here == network and process.pid != self.network)

    def _named(self, text: str) -> bool:
        return str(self.cache) in text or self.layout.run.name in text

    def _finish(self, process: subprocess.Popen[str], expected: str) -> str:
        out, err = process.communicate(timeout=180)
        assert out == expected, err
        return err
