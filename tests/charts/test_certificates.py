"""What the charts ask cert-manager for, and that they ask for nothing unless told to."""

import ipaddress

import pytest

from certs.services import SERVICES
from tests.charts.support import NAMESPACE, HelmError, of_kind, pod_of, render, secrets_of

CHARTS = {"minio": "StatefulSet", "operator": "Deployment", "postgres": "StatefulSet"}
"""By what each chart makes its server."""
ON = {"tls": {"certManager": {"enabled": True}}}


@pytest.fixture(params=CHARTS)
def chart(request):
    return request.param


def certificate_of(chart, values=ON, **release):
    (found,) = of_kind(render(chart, values, **release), "Certificate")
    return found["spec"]


def names_of(spec):
    addresses = {str(ipaddress.ip_address(address)) for address in spec["ipAddresses"]}
    return {*spec["dnsNames"], *addresses}


def test_without_cert_manager_nothing_needs_it(chart):
    assert of_kind(render(chart), "Certificate") == []


def test_names_are_those_that_certs_issues(chart):
    """So whoever goes over to cert-manager loses no client."""
    (service,) = (service for service in SERVICES if service.name == chart)
    assert names_of(certificate_of(chart)) == set(service.names(NAMESPACE))


def test_names_follow_the_release(chart):
    spec = certificate_of(chart, release="other")
    assert f"other-{chart}.{NAMESPACE}.svc" in spec["dnsNames"]


def test_its_secret_is_the_one_that_the_server_mounts(chart):
    values = {"tls": ON["tls"] | {"existingSecret": "ours"}}
    server = pod_of(render(chart, values), CHARTS[chart])
    assert certificate_of(chart, values)["secretName"] == "ours"
    assert {"tls.crt", "tls.key"} <= secrets_of(server)["ours"]


def test_each_certificate_has_a_new_key_that_serves_and_nothing_else(chart):
    spec = certificate_of(chart)
    assert spec["privateKey"]["rotationPolicy"] == "Always"
    assert spec["usages"] == ["digital signature", "server auth"]


def test_issuer_and_times_are_values(chart):
    times = {"duration": "48h", "renewBefore": "16h"}
    issuer = {"kind": "ClusterIssuer", "name": "ours", "group": "awspca.cert-manager.io"}
    settings = {"enabled": True, "issuerRef": issuer} | times
    spec = certificate_of(chart, {"tls": {"certManager": settings}})
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
