"""What the charts ask cert-manager for, and that they ask for nothing unless told to."""

import ipaddress

import pytest

from certs.services import SERVICES
from tests.charts.support import NAMESPACE, HelmError, named, of_kind, pod_of, render, secrets_of

SERVERS = {
    "minio": ("minio", "StatefulSet"),
    "operator": ("operator", "Deployment"),
    "postgres": ("postgres", "StatefulSet"),
    "vault": ("vault", "StatefulSet"),
    "vault-injector": ("vault", "Deployment"),
}
"""By the name of its Service: the chart that makes a server, and by what."""
CHARTS = sorted({chart for chart, _ in SERVERS.values()})
ON = {"tls": {"certManager": {"enabled": True}}}


@pytest.fixture(params=SERVERS)
def server(request):
    return request.param


@pytest.fixture(params=CHARTS)
def chart(request):
    return request.param


def certificate_of(server, values=ON, prefix=""):
    chart, _ = SERVERS[server]
    documents = render(chart, values, release=f"{prefix}{chart}")
    return named(documents, "Certificate", f"{prefix}{server}")["spec"]


def names_of(spec):
    """Those of one server; several of a kind have one by which each is known as well."""
    addresses = {str(ipaddress.ip_address(address)) for address in spec["ipAddresses"]}
    return {*(name for name in spec["dnsNames"] if not name.startswith("*.")), *addresses}


def test_without_cert_manager_nothing_needs_it(chart):
    assert of_kind(render(chart), "Certificate") == []


def test_names_are_those_that_certs_issues(server):
    """So whoever goes over to cert-manager loses no client."""
    (service,) = (service for service in SERVICES if service.name == server)
    assert names_of(certificate_of(server)) == set(service.names(NAMESPACE))


def test_names_follow_the_release(server):
    spec = certificate_of(server, prefix="other-")
    assert f"other-{server}.{NAMESPACE}.svc" in spec["dnsNames"]


def test_its_secret_is_the_one_that_the_server_mounts(server):
    chart, kind = SERVERS[server]
    ours = {"existingSecret": "ours"}
    of_injector = ON | {"injector": {"tls": ours}}
    values = of_injector if server == "vault-injector" else {"tls": ON["tls"] | ours}
    assert certificate_of(server, values)["secretName"] == "ours"
    assert {"tls.crt", "tls.key"} <= secrets_of(pod_of(render(chart, values), kind))["ours"]


def test_each_certificate_has_a_new_key_that_serves_and_nothing_else(server):
    spec = certificate_of(server)
    assert spec["privateKey"]["rotationPolicy"] == "Always"
    assert spec["usages"] == ["digital signature", "server auth"]


def test_issuer_and_times_are_values(server):
    times = {"duration": "48h", "renewBefore": "16h"}
    issuer = {"kind": "ClusterIssuer", "name": "ours", "group": "awspca.cert-manager.io"}
    settings = {"enabled": True, "issuerRef": issuer} | times
    spec = certificate_of(server, {"tls": {"certManager": settings}})
    assert spec["issuerRef"] == issuer
    assert {name: spec[name] for name in times} == times


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"issuerRef": {"name": ""}}, "/tls/certManager/issuerRef/name"),
        ({"issuerRef": {"kind": "Vault"}}, "/tls/certManager/issuerRef/kind"),
        ({"duration": "90d"}, "/tls/certManager/duration"),
        ({"renewBefore": ""}, "/tls/certManager/renewBefore"),
        ({"renewEvery": "1h"}, "renewEvery"),
    ],
)
def test_schema_refuses(chart, settings, place):
    with pytest.raises(HelmError, match=r"schema") as refused:
        render(chart, {"tls": {"certManager": settings}})
    assert place in str(refused.value)
