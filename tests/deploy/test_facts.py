"""What is asked of a cluster, and how its answers are understood."""

import base64
import json

import pytest

from cluster.shell import ClusterError
from deploy.facts import gather, release_of
from tests.deploy.objects import RELEASE, ingest, node, pod, true, workload

DEFINITION = '{"kind": "CustomResourceDefinition"}'
CERTIFICATES = f"minio-tls {base64.b64encode(b'PEM').decode()}\n"


def listed(*items):
    return json.dumps({"items": list(items)})


ANSWERS = (
    ("^exec", '{"sealed": true}', 0),
    ("customresourcedefinitions", DEFINITION, 0),
    ("salesingests", listed(ingest("sales", true("Ready"))), 0),
    ("nodes", listed(node()), 0),
    ("statefulsets", listed(workload("vault", "vault")), 0),
    (" pods ", listed(pod("vault-0", "vault"), pod("minio-0", "minio")), 0),
    ("go-template", CERTIFICATES, 0),
)


@pytest.fixture
def answering(programs):
    programs.add("helm", ("list", json.dumps([RELEASE | {"name": "t"}]), 0))
    programs.add("kubectl", *ANSWERS)
    return programs


def test_all_there_is_is_gathered(answering, door):
    facts = gather(door)
    assert facts.release["revision"] == "3"
    assert [one["metadata"]["name"] for one in facts.pods] == ["vault-0", "minio-0"]
    assert [one["metadata"]["name"] for one in facts.ingests] == ["sales"]
    assert facts.certificates == {"minio-tls": b"PEM"}
    assert facts.sealed == {"vault-0": True}


def test_of_secrets_only_certificates_are_read(answering, door):
    gather(door)
    (asked,) = answering.calls("kubectl get --context=kind-trial --namespace=trial secrets")
    assert "type=kubernetes.io/tls" in asked
    assert "tls.crt" in asked
    assert "tls.key" not in asked


def test_a_vault_that_does_not_answer_is_neither_open_nor_sealed(answering, door):
    answering.add("kubectl", ("^exec", "refused", 1), *ANSWERS[1:])
    assert gather(door).sealed == {"vault-0": None}


def test_without_the_definition_there_are_no_ingests(answering, door):
    answering.add("kubectl", ("customresourcedefinitions", "", 0), *ANSWERS[2:])
    assert gather(door).ingests == []
    assert not [call for call in answering.calls("kubectl get") if " salesingests " in call]


def test_a_release_of_another_name_is_not_this_one(programs, door):
    programs.add("helm", ("list", json.dumps([RELEASE]), 0))
    assert release_of(door) is None


def test_a_cluster_that_does_not_answer_is_an_error(programs, door):
    programs.add("kubectl", ("", "connection refused", 1))
    with pytest.raises(ClusterError, match="connection refused"):
        gather(door)
