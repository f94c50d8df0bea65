"""The platform with certificates that cert-manager makes and renews, and with no others.

Only when asked for, since minutes go by until cert-manager is compiled.
"""

import base64
import os
import time
from functools import partial

import pytest
from cryptography import x509

from tests.e2e.cert_manager import CA, PORTS, CertManaged, cert_manager, injector_of
from tests.e2e.ingests import Ingest, sales_of, until
from tests.e2e.listening import Listener
from tests.e2e.standing import standing
from tests.support.sales_file import as_csv

ASKED = "MINIDATA_CERT_MANAGER"
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.environ.get(ASKED) != "1", reason=f"{ASKED}=1 asks for it"),
    # Compiling is part of it.
    pytest.mark.timeout(1800),
]

KEPT = {"minio-tls", "postgres-tls", "operator-tls", "vault-tls", CA}


@pytest.fixture(scope="module")
def installation(cluster, tmp_path_factory):
    """In place of the one that all others share."""
    folder = tmp_path_factory.mktemp("cert-manager")
    with cert_manager(folder), standing(CertManaged, "minidata-e2e-issued", folder) as made:
        yield made
        # Vault's one thing that does not go with its namespace, where nobody has uninstalled it.
        binding = ("clusterrolebinding", f"vault-{made.namespace.name}")
        made.namespace.kubectl("delete", *binding, "--ignore-not-found")


@pytest.fixture(scope="module")
def ingest(installation):
    """One with nothing loaded."""
    return Ingest.make(installation, "issued")


def deliver(ingest, name, numbers):
    ingest.put({name: as_csv(sales_of(ingest.name, numbers))})


def shown(installation):
    """What each server shows to those who trust cert-manager's CA."""
    trust = installation.trust()
    found = {
        name: Listener(installation.namespace, f"service/{name}", port).certificate(trust)
        for name, port in PORTS.items()
    }
    return {name: x509.load_der_x509_certificate(one) for name, one in found.items()}


def starts(namespace):
    """Each container of the servers' pods, and when it was started."""
    selector = f"--selector=app.kubernetes.io/name in ({','.join(PORTS)},sales-operator)"
    return {
        (pod["metadata"]["uid"], one["name"]): one["state"]["running"]["startedAt"]
        for pod in namespace.get("pods", selector, "--field-selector=status.phase=Running")["items"]
        for one in pod["status"]["containerStatuses"]
    }


def test_a_file_becomes_rows(installation, ingest):
    (authority,) = x509.load_pem_x509_certificates(installation.ca.read_bytes())
    assert {one.issuer for one in shown(installation).values()} == {authority.subject}
    deliver(ingest, "first.csv", range(10))
    ingest.until_done(1)
    assert ingest.facts() == 10


def test_servers_show_renewed_certificates_without_a_restart(installation, ingest):
    namespace = installation.namespace
    before, running = shown(installation), starts(namespace)
    assert {name for _, name in running} >= {"minio", "postgres", "vault", "operator"}
    for name in PORTS:
        installation.renew(name)
    until(partial(are_renewed, installation, before))
    deliver(ingest, "second.csv", range(10, 15))
    ingest.until_done(2)
    assert ingest.facts() == 15
    assert starts(namespace) == running
    assert "RunFailed" not in ingest.happenings()


def are_renewed(installation, before):
    """Whether every server shows another certificate, of another key."""
    # The kubelet looks at once after Secrets of a pod that has changed itself.
    changed = f"minidata.io/looked-at={time.time_ns()}"
    selector = "--selector=app.kubernetes.io/part-of=minidata"
    installation.namespace.kubectl("annotate", "pods", selector, changed, "--overwrite")
    now = shown(installation)
    return all(
        now[name].serial_number != old.serial_number and now[name].public_key() != old.public_key()
        for name, old in before.items()
    )


def test_the_api_server_is_told_who_signed_for_the_injector(installation):
    namespace = installation.namespace
    made = injector_of(namespace)
    (webhook,) = (one["metadata"]["name"] for one in made if one["kind"].endswith("Configuration"))
    try:
        namespace.apply(*made)
        told = until(partial(bundle, namespace, webhook))
    finally:
        namespace.kubectl("delete", "mutatingwebhookconfigurations", webhook)
    assert base64.b64decode(told) == installation.ca.read_bytes()
    assert "tls.key" in namespace.get("secret", "vault-injector-tls")["data"]


def bundle(namespace, webhook):
    (only,) = namespace.get("mutatingwebhookconfigurations", webhook)["webhooks"]
    return only["clientConfig"].get("caBundle")


def test_uninstall_leaves_secrets_issuers_and_ca(installation):
    namespace = installation.namespace
    for chart in PORTS:
        namespace.uninstall(chart)
    namespace.kubectl("delete", "certificate", "vault-injector", "--ignore-not-found")
    until(lambda: names(namespace, "certificaterequests") == {f"{CA}-1"})
    assert names(namespace, "certificates") == {CA}
    assert names(namespace, "issuers") == {"minidata", "minidata-root"}
    kept = names(namespace, "secrets", "--field-selector=type=kubernetes.io/tls")
    assert kept - {"vault-injector-tls"} == KEPT


def names(namespace, *what):
    return {one["metadata"]["name"] for one in namespace.get(*what)["items"]}
