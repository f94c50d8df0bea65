"""A cluster is used if it is well, and made anew if it is not."""

import pytest

from cluster import kind
from cluster.docker import Docker
from cluster.engine import Engine
from cluster.roads import Choice, Road
from cluster.shell import ClusterError

CHOICE = Choice(Road.ONLINE)
IMAGE = ("inspect --format {{.Id}}", "sha256:image", 0)
RUNNING = ("^inspect", "sha256:image", 0)
ONE_NODE = ("get nodes --output=name", "node/minidata-control-plane\n", 0)


@pytest.fixture
def opened(programs, own_cache, monkeypatch):
    """A cluster that is there and well, of one node, of a published image."""
    monkeypatch.delenv("MINIDATA_CLUSTER", raising=False)
    programs.add("docker", ("--format .*Labels", "\n", 0), IMAGE, RUNNING)
    tools = {
        "kind": programs.add("kind", ("get clusters", "minidata\n", 0)),
        "kubectl": programs.add("kubectl", ONE_NODE),
    }
    return kind.Kind(Docker(Engine({}, owned=False)), tools)


def test_a_cluster_that_is_well_is_left_alone(opened, programs):
    kind.ensure(opened, CHOICE, nodes=1)
    assert programs.calls("kind create") == programs.calls("kind delete") == []
    waited = [call for call in programs.calls("kubectl") if "condition=Ready" in call]
    assert len(waited) == 1


def test_a_missing_cluster_is_made_with_as_many_nodes_as_asked_for(opened, programs):
    programs.add("kind", ("get clusters", "other\n", 0))
    kind.ensure(opened, CHOICE, nodes=3)
    (created,) = programs.calls("kind create")
    assert "three-nodes.yaml" in created
    assert created.endswith("--name minidata")
    assert programs.calls("kind delete") == []


@pytest.mark.parametrize(
    ("program", "answers"),
    [
        ("kubectl", [("get nodes", "", 1)]),
        ("kubectl", [("get nodes --output=name", "node/a\nnode/b\nnode/c\n", 0)]),
        ("kind", [("get clusters", "minidata\n", 0), ("export kubeconfig", "", 1)]),
        ("docker", [("--format .*Labels", "\n", 0), IMAGE, ("^inspect", "sha256:other", 0)]),
        ("docker", [("--format .*Labels", "\n", 0), IMAGE, ("^inspect", "no such object", 1)]),
    ],
    ids=["no answer", "other size", "node stopped", "other image", "node gone"],
)
def test_a_cluster_that_is_not_well_is_made_anew(opened, programs, program, answers):
    programs.add(program, *answers)
    kind.ensure(opened, CHOICE, nodes=1)
    order = [call.split()[1] for call in programs.calls("kind") if call.split()[1] in CHANGES]
    assert order == ["delete", "create"]


CHANGES = ("create", "delete")


def test_a_cluster_that_does_not_come_up_leaves_its_logs_and_nothing_else(
    opened, programs, own_cache
):
    programs.add("kind", ("get clusters", "", 0), ("create", "node died", 1))
    with pytest.raises(ClusterError, match="node died") as caught:
        kind.ensure(opened, CHOICE, nodes=1)
    logs = own_cache / "logs" / "cluster-minidata"
    assert str(logs) in str(caught.value)
    assert programs.calls("kind export logs") == [f"kind export logs {logs} --name minidata"]
    assert programs.calls("kind delete") == ["kind delete cluster --name minidata"]


def test_another_name_is_another_cluster(opened, programs, monkeypatch):
    monkeypatch.setenv("MINIDATA_CLUSTER", "second")
    assert not opened.exists()
    opened.delete()
    assert programs.calls("kind delete") == ["kind delete cluster --name second"]
