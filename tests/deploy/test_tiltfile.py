"""Tilt is in no registry: its file runs here as Starlark, with each of Tilt's builtins played.

What the file calls and is not in this list does not exist, and fails; what it calls is noted.
"""

import fnmatch
from pathlib import Path
from typing import Any

import pytest
import starlark
import yaml

from cluster import images, pins
from tests.docs.pages import ROOT

MOST_LINES = 80
TILTFILE = ROOT / "Tiltfile"
NOTED = {
    "allow_k8s_contexts": set(),
    "custom_build": {"deps", "tag", "disable_push"},
    "docker_build": {"dockerfile", "only", "build_args"},
    "k8s_resource": {"port_forwards", "resource_deps"},
    "k8s_yaml": set(),
    "local": {"quiet"},
    "local_resource": {"cmd", "auto_init"},
    "putenv": set(),
    "watch_file": set(),
}
"""Builtins that are told something and answer nothing that the file uses; what of Tilt's names for
their arguments the file may use."""
HOOKED = {"metadata": {"name": "a-test", "annotations": {"helm.sh/hook": "test"}}}
PLAIN = {"metadata": {"name": "server"}}
OS = (
    "def _os(getenv, putenv): return struct(getenv=getenv, putenv=putenv)\nos = _os(getenv, putenv)"
)


class Played:
    """Tilt, as far as the file goes."""

    def __init__(self, environment=()):
        self.environment = dict(environment)
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def run(self, text):
        module = starlark.Module()
        for name in NOTED:
            module.add_callable(name, self._noting(name))
        module.add_callable("helm", self._helm)
        module.add_callable("getenv", self._getenv)
        module.add_callable("read_yaml", lambda path: yaml.safe_load((ROOT / path).read_text()))
        module.add_callable("read_yaml_stream", self._read_stream)
        module.add_callable("decode_yaml_stream", lambda text: list(yaml.safe_load_all(text)))
        module.add_callable("encode_yaml", yaml.safe_dump)
        module.add_callable("encode_yaml_stream", yaml.safe_dump_all)
        dialect = starlark.Dialect.extended()
        dialect.enable_top_level_stmt = True
        globals_ = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
        starlark.eval(module, starlark.parse("os", OS, dialect), globals_)
        starlark.eval(module, starlark.parse("Tiltfile", text, dialect), globals_)
        return self

    def of(self, name):
        """The calls of one builtin: positional and named arguments."""
        return [(args, named) for called, args, named in self.calls if called == name]

    def _noting(self, name):
        def note(*args, **named):
            if unknown := named.keys() - NOTED[name]:
                raise TypeError(f"{name} has no {unknown}")
            self.calls.append((name, args, named))

        return note

    def _getenv(self, name, default=""):
        return self.environment.get(name, default)

    def _helm(self, *args, **named):
        self.calls.append(("helm", args, named))
        return yaml.safe_dump_all([HOOKED, PLAIN])

    @staticmethod
    def _read_stream(path):
        return list(yaml.safe_load_all((ROOT / path).read_text()))


@pytest.fixture(scope="module")
def played():
    return Played().run(TILTFILE.read_text())


def test_it_is_short():
    assert len(TILTFILE.read_text().splitlines()) <= MOST_LINES


def test_it_builds_our_images_from_their_dockerfiles(played):
    built = {args[0]: named["dockerfile"] for args, named in played.of("docker_build")}
    (((name, command), named),) = played.of("custom_build")
    built[name] = command.split("--file ")[1].split()[0]
    wanted = {
        image.partition(":")[0]: f"{folder}/Dockerfile" for image, folder in images.OURS.items()
    }
    assert built == wanted
    assert f"{name}:{named['tag']}" == pins.PIPELINE_IMAGE


def test_what_an_image_is_made_of_is_there_and_let_into_its_context(played):
    let_in = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    for _, named in played.of("docker_build"):
        for path in named["only"]:
            assert (ROOT / path).exists()
            assert any(fnmatch.fnmatch(one, f"{path}*") for one in let_in)
    ((_, named),) = played.of("custom_build")
    assert all((ROOT / path).exists() for path in named["deps"])


def test_the_umbrella_is_rendered_with_the_values_of_the_local_cluster(played):
    (((chart,), named),) = played.of("helm")
    assert (ROOT / chart / "Chart.yaml").exists()
    assert [Path(path).exists() for path in named["values"]] == [True]
    for setting in named["set"]:
        part, *rest = setting.partition("=")[0].split(".")
        values = yaml.safe_load((ROOT / "charts" / part / "values.yaml").read_text())
        for key in rest:
            values = values[key]
        assert values is True


def test_tests_of_helm_are_not_applied_and_all_else_is(played):
    applied = [one for (text,), _ in played.of("k8s_yaml") for one in yaml.safe_load_all(text)]
    names = [one["metadata"]["name"] for one in applied]
    assert names == ["server", "sales-supplier", "metabase", "sales"]
    assert {one["metadata"].get("namespace") for one in applied[1:]} == {"minidata"}


@pytest.mark.parametrize("cluster", ["minidata", "other"])
def test_only_the_local_cluster_is_touched(cluster):
    played = Played({"MINIDATA_CLUSTER": cluster}).run(TILTFILE.read_text())
    ((args, _),) = played.of("allow_k8s_contexts")
    assert args == (f"kind-{cluster}",)
    (((_, command), _),) = played.of("custom_build")
    assert command.endswith(f"--name {cluster}")


@pytest.mark.parametrize(
    "line",
    [
        "docker_biuld('minidata/x', '.')",
        "docker_build('minidata/x', '.', dockerfiel='x')",
        "for one in",
        "import os",
        "local(nobody)",
    ],
)
def test_a_mistake_is_found(line):
    with pytest.raises(starlark.StarlarkError):
        Played().run(f"{TILTFILE.read_text()}\n{line}\n")
