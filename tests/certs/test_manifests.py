"""What Kubernetes gets, and how kubectl is found and called."""

import json
from base64 import b64decode
from pathlib import Path

import pytest

from certs import kubectl
from certs.errors import CertsError
from certs.manifests import make_manifests
from certs.pair import Damaged, certificate_pem
from tests.certs.making import DAY, NAMES, NOW, found, fresh


@pytest.fixture(scope="module")
def issued():
    return fresh()


@pytest.fixture
def manifests(tmp_path, issued):
    return make_manifests(found(tmp_path, *issued), "minidata", NOW)


def labels(component):
    return {
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "minidata",
        "app.kubernetes.io/managed-by": "minidata-certs",
    }


def test_clients_get_the_cas_before_the_servers_get_their_certificates(manifests, issued):
    assert manifests[0] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "minidata-ca", "namespace": "minidata", "labels": labels("ca")},
        "data": {"ca.crt": certificate_pem([issued[0].certificate]).decode()},
    }


def test_each_service_gets_exactly_the_agreed_keys(manifests, issued):
    authority, leaves = issued
    assert [manifest["metadata"]["name"] for manifest in manifests[1:]] == [
        f"{name}-tls" for name in NAMES
    ]
    for name, manifest in zip(NAMES, manifests[1:], strict=True):
        data = {key: b64decode(text) for key, text in manifest.pop("data").items()}
        assert manifest == {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {
                "name": f"{name}-tls",
                "namespace": "minidata",
                "labels": labels(name),
            },
        }
        assert data == {
            "tls.crt": certificate_pem([leaves[name].certificate]),
            "tls.key": leaves[name].key_pem(),
            "ca.crt": certificate_pem([authority.certificate]),
        }


def test_the_key_of_the_ca_stays_at_home(manifests, issued):
    decoded = [
        b64decode(text) if manifest["kind"] == "Secret" else text.encode()
        for manifest in manifests
        for text in manifest["data"].values()
    ]
    key = issued[0].key_pem().splitlines()[1]
    assert key in issued[0].to_pem()
    assert not any(key in text for text in decoded)


def test_the_key_of_the_ca_is_not_even_needed(tmp_path, issued, manifests):
    authority, leaves = issued
    without = found(tmp_path, None, leaves, bundle=[authority.certificate])
    assert make_manifests(without, "minidata", NOW) == manifests


def test_while_one_ca_takes_over_everybody_gets_both(tmp_path, issued):
    authority, leaves = issued
    both = [fresh()[0].certificate, authority.certificate]
    made = make_manifests(found(tmp_path, None, leaves, bundle=both), "minidata", NOW)
    assert made[0]["data"]["ca.crt"] == certificate_pem(both).decode()
    assert {b64decode(manifest["data"]["ca.crt"]) for manifest in made[1:]} == {
        certificate_pem(both)
    }


def test_what_is_unfit_is_not_applied_and_all_of_it_is_named(tmp_path, issued):
    authority, leaves = issued
    _, foreign = fresh()
    unfit = leaves | {
        "minio": None,
        "vault": Damaged("its key is encrypted"),
        "operator": foreign["operator"],
    }
    with pytest.raises(CertsError) as caught:
        make_manifests(found(tmp_path, authority, unfit), "minidata", NOW)
    assert str(caught.value) == (
        f"{tmp_path}: unfit for use in namespace minidata: minio (missing), vault (its key is "
        "encrypted), operator (untrusted). Run `python -m certs issue --namespace minidata` first."
    )


@pytest.mark.parametrize(
    ("namespace", "at", "told"),
    [("other", NOW, "for another namespace"), ("minidata", NOW + 91 * DAY, "expired")],
)
def test_the_wrong_namespace_or_the_wrong_time(tmp_path, issued, namespace, at, told):
    with pytest.raises(CertsError, match=rf"minio \({told}\), postgres"):
        make_manifests(found(tmp_path, *issued), namespace, at)


# --- kubectl ------------------------------------------------------------------------------------


def program(file, text="#!/bin/sh\n"):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)
    return str(file)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    return tmp_path / "home"


def test_kubectl_is_looked_for_in_this_order(tmp_path, home):
    on_path = program(tmp_path / "bin" / "kubectl")
    environ = {"PATH": str(tmp_path / "bin")}
    assert kubectl.find_kubectl(environ) == on_path

    cached = program(home / ".cache" / "minidata" / "bin" / "kubectl")
    assert kubectl.find_kubectl(environ) == cached

    elsewhere = program(tmp_path / "cache" / "bin" / "kubectl")
    assert kubectl.find_kubectl(environ | {"MINIDATA_CACHE": str(tmp_path / "cache")}) == elsewhere

    named = program(tmp_path / "my-kubectl")
    assert kubectl.find_kubectl(environ | {"MINIDATA_KUBECTL": named}) == named


def test_no_kubectl_at_all(tmp_path, home):
    with pytest.raises(CertsError, match=r"kubectl: not found\. .*MINIDATA_KUBECTL"):
        kubectl.find_kubectl({"PATH": str(tmp_path)})


def test_the_one_that_was_named_is_not_silently_replaced_by_another(tmp_path, home):
    program(home / ".cache" / "minidata" / "bin" / "kubectl")
    with pytest.raises(CertsError, match=r"nowhere: not a program\. .*MINIDATA_KUBECTL"):
        kubectl.find_kubectl({"PATH": str(tmp_path), "MINIDATA_KUBECTL": "nowhere"})


SPY = """#!/bin/sh
echo "$@" > {folder}/words
cat > {folder}/manifest
env > {folder}/environment
exit {code}
"""


def spy(tmp_path, monkeypatch, code=0):
    file = program(tmp_path / "kubectl", SPY.format(folder=tmp_path, code=code))
    monkeypatch.setenv("MINIDATA_KUBECTL", file)
    return file


@pytest.mark.parametrize(("context", "word"), [(None, ""), ("kind-x", " --context=kind-x")])
def test_keys_travel_through_the_pipe_only(tmp_path, monkeypatch, manifests, context, word):
    spy(tmp_path, monkeypatch)
    kubectl.apply(manifests, context)
    assert (tmp_path / "words").read_text() == (
        f"apply --server-side --field-manager=minidata-certs{word} --filename=-\n"
    )
    sent = json.loads((tmp_path / "manifest").read_bytes())
    assert sent == {"apiVersion": "v1", "kind": "List", "items": manifests}
    key = manifests[1]["data"]["tls.key"]
    assert key in (tmp_path / "manifest").read_text()
    assert key not in (tmp_path / "environment").read_text()


def test_what_kubectl_refuses_is_an_error(tmp_path, monkeypatch, manifests):
    file = spy(tmp_path, monkeypatch, code=3)
    with pytest.raises(CertsError, match="apply failed with exit code 3") as caught:
        kubectl.apply(manifests, None)
    assert caught.value.where == file


def test_a_kubectl_that_is_no_program_for_this_machine(tmp_path, monkeypatch, manifests):
    file = tmp_path / "kubectl"
    program(file)
    file.write_bytes(b"\x7fELF half a download")
    monkeypatch.setenv("MINIDATA_KUBECTL", str(file))
    with pytest.raises(CertsError, match="cannot be run"):
        kubectl.apply(manifests, None)
