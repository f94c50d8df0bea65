"""kubectl and helm never go to another cluster, and no secret is in their arguments."""

import pytest

from cluster.shell import ClusterError
from deploy.door import Door, program
from tests.deploy.conftest import PLACE

FORWARDING = "echo 'Forwarding from 127.0.0.1:41527 -> 9000'; exec sleep 60"


def test_every_call_names_context_and_namespace(programs, door):
    door.kubectl("get", "pods")
    door.helm("list")
    kubectl, helm = programs.calls()
    assert kubectl == "kubectl get --context=kind-trial --namespace=trial pods"
    assert helm == "helm list --kube-context=kind-trial --namespace=trial"


def test_what_is_not_there_is_none_and_no_items(door):
    assert door.get("secret", "a") is None
    assert door.items("salesingests") == []


def test_what_is_there_is_understood(programs, door):
    programs.add("kubectl", ("pods", '{"items": [{"kind": "Pod"}]}', 0))
    assert door.items("pods") == [{"kind": "Pod"}]


def test_a_secret_goes_by_standard_input(programs, door):
    programs.script("kubectl", 'cat >"$HERE/stdin"')
    door.create_secret("vault-seal", {"key": "QUJD"})
    assert "QUJD" in (programs.folder / "stdin").read_text()
    assert "QUJD" not in programs.calls()[0]


def test_a_way_in_lasts_as_long_as_the_block(programs, door):
    programs.script("kubectl", FORWARDING)
    with door.forward("service/minio", 9000) as port:
        assert port == 41527
    (call,) = programs.calls()
    assert call.endswith("--namespace=trial --address=127.0.0.1 service/minio :9000")


def test_no_way_in_is_an_error(programs, door):
    programs.add("kubectl", ("", "", 1))
    with (
        pytest.raises(ClusterError, match="no way to service/minio"),
        door.forward("service/minio", 9000),
    ):
        pass


def test_a_program_that_is_nowhere_is_named_with_what_mends_it(programs):
    with pytest.raises(ClusterError, match=r"there is no frobnicate[\s\S]*make tools"):
        program("frobnicate")


def test_words_of_a_program_that_fails_are_passed_on(programs):
    programs.add("kubectl", ("", "no such cluster", 1))
    with pytest.raises(ClusterError, match="no such cluster"):
        Door(PLACE).get("nodes")
