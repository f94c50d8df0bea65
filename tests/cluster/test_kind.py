"""A cluster is used if it is well, and made anew if it is not."""

import json
from pathlib import Path

import pytest
import yaml

from cluster import cache, gobuild, kind, node, pins
from cluster.docker import Docker
from cluster.engine import Engine
from cluster.roads import Choice, Road
from cluster.shell import ClusterError

KIND = """
case "$1 $2" in
"get clusters") cat "$HERE/clusters" ;;
"create cluster")
  [ ! -e "$HERE/cannot-create" ] || { echo node died; exit 1; }
  echo minidata >>"$HERE/clusters"
  rm -f "$HERE"/fault-* ;;
"delete cluster") sed -i /^minidata$/d "$HERE/clusters" ;;
"export logs") mkdir -p "$3" && echo why >"$3/journal.log" && [ ! -e "$HERE/cannot-export" ] ;;
"export kubeconfig") [ ! -e "$HERE/fault-kubeconfig" ] ;;
esac
"""
"""Stands in for kind: a cluster made anew has no fault."""
KUBECTL = """
fails_with() { [ -e "$HERE/fault-$1" ] || [ -e "$HERE/cannot-$1" ]; }
case "$*" in
*"get nodes --output=name"*)
  ! fails_with api || exit 1
  seq -f node/minidata-%g $(fails_with size && echo 3 || echo 1) ;;
*"get nodes --output=json"*) cat "$HERE/nodes.json" ;;
*condition=Ready*) ! fails_with nodes ;;
*rollout*deployment/coredns*) ! fails_with names ;;
*rollout*deployment/local-path-provisioner*) ! fails_with volumes ;;
esac
"""
DOCKER = """
case "$*" in
"inspect --format {{.Image}} minidata-control-plane")
  [ ! -e "$HERE/fault-gone" ] || exit 1
  [ -e "$HERE/fault-image" ] && echo sha256:other || echo sha256:image ;;
"image inspect "*) [ ! -e "$HERE/no-image" ] || exit 1 ;;
"pull "*) rm "$HERE/no-image" ;;
esac
case "$*" in
"image inspect"*Labels*) cat "$HERE/recipe" ;;
"image inspect"*Id*) echo sha256:image ;;
esac
"""
NODE = {
    "metadata": {"name": "minidata-control-plane"},
    "spec": {"podCIDR": "10.244.0.0/24"},
    "status": {"addresses": [{"type": "InternalIP", "address": "172.18.0.2"}]},
}
ONLINE, PACKAGES = Choice(Road.ONLINE), Choice(Road.PACKAGES)
KUBECTL_HERE = "kubectl --context=kind-minidata "
PROBLEM = "the cluster minidata is broken, of another version or size: making it anew"


@pytest.fixture
def opened(programs, own_cache):
    """A cluster that is there and well, of one node, of a published image; and another cluster."""
    (programs.folder / "clusters").write_text("other\nminidata\n")
    (programs.folder / "recipe").write_text("\n")
    (programs.folder / "nodes.json").write_text(json.dumps({"items": [NODE]}))
    programs.script("docker", DOCKER)
    tools = {"kind": programs.script("kind", KIND), "kubectl": programs.script("kubectl", KUBECTL)}
    return kind.Kind(Docker(Engine({}, owned=False)), tools)


def without_cluster(programs):
    (programs.folder / "clusters").write_text("other\n")


def changes(programs):
    """What was done to clusters, in order."""
    words = [call.split()[1:3] for call in programs.calls("kind ")]
    return [" ".join(pair) for pair in words if pair[0] in ("create", "delete")]


def waits(programs):
    """What was waited for, in order."""
    calls = [call for call in programs.calls(KUBECTL_HERE) if " --timeout=" in call]
    return [call.removeprefix(KUBECTL_HERE) for call in calls]


def all_is_well(seconds):
    """What is waited for, and for how long."""
    parts = [
        "wait --for=condition=Ready nodes --all",
        "--namespace kube-system rollout status deployment/coredns",
        "--namespace local-path-storage rollout status deployment/local-path-provisioner",
    ]
    return [f"{part} --timeout={seconds}s" for part in parts]


def test_a_cluster_that_is_well_is_left_alone(opened, programs):
    kind.ensure(opened, ONLINE, nodes=1)
    assert changes(programs) == []
    assert waits(programs) == all_is_well(kind.REPAIR_SECONDS)


@pytest.mark.parametrize("nodes", [1, 3])
def test_a_missing_cluster_is_made_with_as_many_nodes_as_asked_for(opened, programs, nodes):
    without_cluster(programs)
    kind.ensure(opened, ONLINE, nodes)
    assert changes(programs) == ["create cluster"]
    (created,) = programs.calls("kind create")
    words = created.split()
    assert "--retain" in words  # nodes that did not come up have to tell why
    assert words[words.index("--image") + 1] == pins.NODE_IMAGE
    assert words[words.index("--name") + 1] == "minidata"
    configuration = Path(words[words.index("--config") + 1]).read_text()
    assert len(yaml.safe_load(configuration)["nodes"]) == nodes
    assert waits(programs) == all_is_well(kind.READY_SECONDS)


@pytest.mark.parametrize(
    "fault", ["gone", "image", "kubeconfig", "api", "size", "nodes", "names", "volumes"]
)
def test_a_cluster_that_is_not_well_is_made_anew(opened, programs, capsys, fault):
    (programs.folder / f"fault-{fault}").touch()
    kind.ensure(opened, ONLINE, nodes=1)
    assert changes(programs) == ["delete cluster", "create cluster"]
    told = capsys.readouterr().err
    assert PROBLEM in told
    assert ("failed with exit code" in told) is (fault not in ("image", "size"))
    assert (programs.folder / "clusters").read_text() == "other\nminidata\n"


@pytest.mark.parametrize("obstacle", ["create", "nodes", "names", "volumes"])
@pytest.mark.parametrize("export", [True, False], ids=["logs", "no logs"])
def test_a_cluster_that_does_not_come_up_leaves_its_logs_and_nothing_else(
    opened, programs, own_cache, capsys, obstacle, export
):
    without_cluster(programs)
    (programs.folder / f"cannot-{obstacle}").touch()
    if not export:
        (programs.folder / "cannot-export").touch()
    with pytest.raises(ClusterError) as caught:
        kind.ensure(opened, ONLINE, nodes=1)
    logs = own_cache / "logs" / "cluster-minidata"
    assert caught.value.where.endswith(str(logs))
    assert ("/kind export logs " in capsys.readouterr().err) is not export
    assert (obstacle == "create") is ("node died" in caught.value.what)
    assert (logs / "journal.log").read_text() == "why\n"
    exported, deleted = (programs.calls(f"kind {words}") for words in ("export logs", "delete"))
    assert programs.calls("kind ")[-2:] == [*exported, *deleted]
    assert (programs.folder / "clusters").read_text() == "other\n"


def test_what_kind_said_lies_where_the_error_says(opened, programs, own_cache):
    without_cluster(programs)
    (programs.folder / "cannot-create").touch()
    stale = own_cache / "logs" / "cluster-minidata" / "of-last-time.log"
    stale.parent.mkdir(parents=True)
    stale.touch()
    with pytest.raises(ClusterError) as caught:
        kind.ensure(opened, ONLINE, nodes=1)
    log, _ = caught.value.where.split()
    assert log == str(cache.log_file("kind-create"))
    assert Path(log).read_text() == "node died\n"
    assert not stale.exists()


def test_on_the_packages_road_pods_are_connected_before_nodes_can_be_ready(
    opened, programs, monkeypatch
):
    without_cluster(programs)
    (programs.folder / "recipe").write_text("cafe\n")
    monkeypatch.setattr(node, "ensure", lambda _: "made/node:1")
    kind.ensure(opened, PACKAGES, nodes=1)
    order = programs.calls()
    waited, connected, ready = (
        next(number for number, call in enumerate(order) if part in call)
        for part in ("podCIDR", "docker exec --interactive minidata-control-plane", "=Ready")
    )
    assert waited < connected < ready
    assert waits(programs)[0] == (
        f"wait --for=jsonpath={{.spec.podCIDR}} nodes --all --timeout={kind.READY_SECONDS}s"
    )
    assert "--image made/node:1 " in programs.calls("kind create")[0]
    assert programs.calls("docker pull") == []


def test_a_published_node_image_is_pulled_where_it_is_missing(opened, programs):
    (programs.folder / "no-image").touch()
    kind.ensure(opened, Choice(Road.ONLINE, "mirror:5000"), nodes=1)
    source = f"mirror:5000/kindest/node:{pins.KUBERNETES}"
    assert programs.calls("docker pull") == [f"docker pull {source}"]
    assert changes(programs) == []


def test_a_published_node_image_brings_its_own_network(opened, programs):
    without_cluster(programs)
    kind.ensure(opened, ONLINE, nodes=1)
    assert programs.calls("docker exec") == []


@pytest.mark.parametrize(
    ("named", "name"), [(None, "minidata"), ("", "minidata"), ("second", "second")]
)
def test_every_command_names_the_cluster(opened, programs, monkeypatch, named, name):
    """Also kind's and kubectl's own defaults are clusters of somebody's."""
    if named is not None:
        monkeypatch.setenv("MINIDATA_CLUSTER", named)
    assert opened.exists() is (name == "minidata")
    opened.delete()
    opened.count_nodes()
    assert programs.calls("kind delete") == [f"kind delete cluster --name {name}"]
    assert programs.calls("kind export") == [f"kind export kubeconfig --name {name}"]
    assert all(f"--context=kind-{name} " in call for call in programs.calls("kubectl"))


def test_tools_come_from_the_cache(opened, monkeypatch):
    monkeypatch.setattr(gobuild, "ensure_tools", lambda: opened.tools)
    assert kind.open_kind(opened.docker) == opened


def test_kind_is_told_of_the_engine(opened, programs):
    ours = kind.Kind(Docker(Engine({"DOCKER_HOST": "unix:///ours"}, owned=True)), opened.tools)
    ours.clusters()
    ours.delete()
    assert programs.engines() == {"unix:///ours"}
