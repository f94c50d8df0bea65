"""Programs from modules: proved before they count, and never half there."""

import json

import pytest

from cluster import gobuild
from cluster.pins import GoBuild
from cluster.shell import ClusterError

BUILD = GoBuild("tool", "example.org/tool", "v1.2.3", shows="v1.2.3")
REPLACING = GoBuild("many", "k8s.io/many", "v1.34.4", ("cmd/a", "cmd/b"), replaces=True)


@pytest.mark.parametrize(
    ("told", "code"), [("tool v1.2.2", 0), ("", 0), ("v1.2.3", 1)], ids=["other", "mute", "fails"]
)
def test_a_program_that_does_not_prove_its_version_is_refused(programs, told, code):
    program = programs.add("tool", ("--version", told, code))
    with pytest.raises(ClusterError):
        gobuild.prove(program, BUILD)


def test_a_program_that_shows_its_version_is_taken(programs):
    gobuild.prove(programs.add("tool", ("--version", "tool v1.2.3 linux", 0)), BUILD)


@pytest.mark.parametrize(
    ("version", "want"),
    [("go1.26.8", True), ("go1.30", True), ("go1.25.9", False), ("devel", False)],
)
def test_a_go_that_is_too_old_is_not_used(programs, version, want):
    go = programs.add("go", ("version", f"go version {version} linux/amd64", 0))
    assert gobuild._new_enough(str(go)) is want


def test_a_failed_compilation_leaves_nothing_that_counts_as_built(programs, own_cache):
    programs.add("go", ("^version", "go version go1.99.0", 0), ("install", "no network", 1))
    with pytest.raises(ClusterError, match="no network"):
        gobuild.ensure([BUILD])
    assert not gobuild.folder_of(BUILD).exists()
    programs.add("go", ("^version", "go version go1.99.0", 0))
    with pytest.raises(ClusterError, match="program not found"):
        gobuild.ensure([BUILD])  # Go said that all went well, and made no program
    assert not gobuild.folder_of(BUILD).exists()


def test_what_is_built_is_not_built_again(programs, own_cache):
    programs.add("go", ("", "must not be called", 1))
    folder = gobuild.folder_of(BUILD)
    folder.mkdir(parents=True)
    assert gobuild.ensure([BUILD]) == {"tool": folder / "tool"}
    assert programs.calls() == []


def test_another_version_or_setting_is_another_program(own_cache):
    others = [BUILD, GoBuild("tool", "example.org/tool", "v1.2.4", shows="v1.2.4")]
    others.append(GoBuild("tool", "example.org/tool", "v1.2.3", shows="v1.2.3", stamp=("a=b",)))
    assert len({gobuild.folder_of(build) for build in others}) == 3


def test_folders_of_kubernetes_are_replaced_by_the_modules_they_are_published_as(programs):
    replaced = [
        {"Old": {"Path": "k8s.io/api"}, "New": {"Path": "./staging/src/k8s.io/api"}},
        {"Old": {"Path": "example.org/x"}, "New": {"Path": "example.org/y", "Version": "v1"}},
    ]
    programs.add(
        "go",
        ("^version", "go version go1.99.0", 0),
        ("mod download", json.dumps({"GoMod": "/somewhere/go.mod"}), 0),
        ("mod edit", json.dumps({"Replace": replaced}), 0),
    )
    assert gobuild._staging(REPLACING) == ["replace k8s.io/api => k8s.io/api v0.34.4"]
    assert "go mod edit -json /somewhere/go.mod" in programs.calls()


def test_a_module_without_replacements_has_none(programs):
    programs.add(
        "go",
        ("^version", "go version go1.99.0", 0),
        ("mod download", json.dumps({"GoMod": "/somewhere/go.mod"}), 0),
        ("mod edit", json.dumps({"Replace": None}), 0),
    )
    assert gobuild._staging(REPLACING) == []
