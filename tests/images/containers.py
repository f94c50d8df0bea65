"""Images as a test sees them: what they say of themselves, what is in them, how they run.

A container gets what a pod of a restricted namespace gets, and no network but its own loopback.
"""

import io
import json
import os
import secrets
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster import pins
from cluster.docker import Docker

OURS = "io.minidata.test=images"
"""Label of the containers and volumes made here: what a killed run left is removed by the next."""
REPOSITORY = "minidata-test"
"""First part of the names of images made here, for the same reason."""
RESTRICTED = (
    *("--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
    *("--tmpfs=/tmp", f"--label={OURS}"),
)
_LIMIT_SECONDS = 60
_POLL_SECONDS = 0.1

Env = Mapping[str, str]


@dataclass(frozen=True)
class Done:
    """What a program left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Container:
    """A container that runs."""

    docker: Docker
    name: str

    def attempt(self, *command: str, env: Env | None = None) -> Done:
        """Run a command inside."""
        return _call(self.docker, "exec", *_variables(env), self.name, *command)

    def do(self, *command: str, env: Env | None = None) -> str:
        """Run a command inside that must succeed; what it printed."""
        done = self.attempt(*command, env=env)
        assert done.code == 0, f"{command}: {done.out}{done.err}"
        return done.out

    def wait_for(self, *command: str) -> None:
        """Wait until a command succeeds inside."""
        deadline = time.monotonic() + _LIMIT_SECONDS
        while self.attempt(*command).code:
            assert self.state()["Running"], f"{self.name} ended:\n{self.logs()}"
            assert time.monotonic() < deadline, f"{command} never succeeded:\n{self.logs()}"
            time.sleep(_POLL_SECONDS)

    def stop(self) -> int:
        """Ask it to stop, the way a pod is asked; its exit code."""
        _succeed(self.docker, "stop", "--time=30", self.name)
        code: int = self.state()["ExitCode"]
        return code

    def state(self) -> dict[str, Any]:
        """What the engine knows of its process."""
        told = _succeed(self.docker, "inspect", "--format={{json .State}}", self.name)
        state: dict[str, Any] = json.loads(told.out)
        return state

    def logs(self) -> str:
        """What it printed, on both streams."""
        done = _succeed(self.docker, "logs", self.name)
        return done.out + done.err


@dataclass(frozen=True)
class Image:
    """An image that the engine holds."""

    docker: Docker
    name: str

    def inspect(self) -> dict[str, Any]:
        """What the engine knows of it."""
        told = _succeed(self.docker, "image", "inspect", self.name)
        image: dict[str, Any] = json.loads(told.out)[0]
        return image

    def run(self, *args: str, options: tuple[str, ...] = (), env: Env | None = None) -> Done:
        """Run a container to its end."""
        given = ("--rm", *RESTRICTED, *_variables(env), *options)
        return _call(self.docker, "run", *given, self.name, *args)

    @contextmanager
    def serve(
        self, *args: str, options: tuple[str, ...] = (), env: Env | None = None
    ) -> Iterator[Container]:
        """A container that runs for as long as it is needed."""
        name = f"minidata-test-{secrets.token_hex(4)}"
        given = ("--detach", f"--name={name}", *RESTRICTED, *_variables(env), *options)
        try:
            _succeed(self.docker, "run", *given, self.name, *args)
            yield Container(self.docker, name)
        finally:
            _call(self.docker, "rm", "--force", "--volumes", name)

    def members(self) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        """Every file and folder in it, and the content of each file."""
        made = _succeed(self.docker, "create", f"--label={OURS}", self.name).out.strip()
        command, env = ["docker", "export", made], os.environ | self.docker.env
        try:
            with (
                subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as exported,
                tarfile.open(fileobj=exported.stdout, mode="r|") as archive,
            ):
                for member in archive:
                    file = archive.extractfile(member) if member.isfile() else None
                    yield member, file.read() if file else b""
            assert exported.returncode == 0
        finally:
            _succeed(self.docker, "rm", "--volumes", made)


@contextmanager
def volume(
    docker: Docker, owner: tuple[int, int], mode: int = 0o640, files: Mapping[str, bytes] = {}
) -> Iterator[str]:
    """A volume with files in it, all of it the user's and group's that `owner` numbers."""
    name = _succeed(docker, "volume", "create", "--label", OURS).out.strip()
    unpack = ("--interactive", "--network=none", f"--volume={name}:/volume", "--entrypoint=tar")
    extract = ("--extract", "--preserve-permissions", "--directory=/volume")
    try:
        archive = _tar(owner, mode, files)
        _succeed(docker, "run", "--rm", *unpack, pins.PYTHON_IMAGE, *extract, stdin=archive)
        yield name
    finally:
        _succeed(docker, "volume", "rm", name)


def remove_leftovers(docker: Docker) -> None:
    """Remove what a run that was killed left behind."""
    chosen = f"--filter=label={OURS}"
    if containers := _succeed(docker, "ps", "--all", "--quiet", chosen).out.split():
        _succeed(docker, "rm", "--force", "--volumes", *containers)
    if volumes := _succeed(docker, "volume", "ls", "--quiet", chosen).out.split():
        _succeed(docker, "volume", "rm", *volumes)
    named = ("--format={{.Repository}}:{{.Tag}}", f"--filter=reference={REPOSITORY}/*")
    if images := _succeed(docker, "images", *named).out.split():
        _succeed(docker, "image", "rm", *images)


def _variables(env: Env | None) -> list[str]:
    return [f"--env={name}={value}" for name, value in (env or {}).items()]


def _succeed(docker: Docker, *args: str, stdin: bytes = b"") -> Done:
    done = _call(docker, *args, stdin=stdin)
    assert done.code == 0, f"docker {' '.join(args)}\n{done.out}{done.err}"
    return done


def _call(docker: Docker, *args: str, stdin: bytes = b"") -> Done:
    done = subprocess.run(
        ["docker", *args],
        env=os.environ | docker.env,
        input=stdin,
        capture_output=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def _tar(owner: tuple[int, int], mode: int, files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    folders = sorted({".", *(name.rpartition("/")[0] or "." for name in files)})
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in [*((folder, None) for folder in folders), *files.items()]:
            entry = tarfile.TarInfo(name)
            entry.uid, entry.gid = owner
            entry.mode = mode if content is not None else 0o770
            entry.type = tarfile.REGTYPE if content is not None else tarfile.DIRTYPE
            entry.size = len(content or b"")
            archive.addfile(entry, io.BytesIO(content or b""))
    return packed.getvalue()
