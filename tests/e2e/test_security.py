"""What must not be possible on a real cluster, and what nobody must be able to read."""

import http.client
import ssl

import psycopg
import pytest

from sales_api.report import ExitCode
from tests.e2e.kube import KubeError
from tests.e2e.runs import run_job

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
SEEN_BY_ALL = "pods,jobs,statefulsets,configmaps,events,services,serviceaccounts"


@pytest.mark.parametrize("chart", ["minio", "postgres"])
def test_the_chart_keeps_its_promises(installation, ended, chart):
    """`helm test`: what a release says about TLS, encryption and rights is so."""
    assert "Phase:          Succeeded" in installation.namespace.helm_test(chart)


def test_the_object_store_speaks_no_plain_http(installation):
    """A request without TLS is answered by nothing but a refusal."""
    with installation.namespace.forward("service/minio", 9000) as port:
        plain = http.client.HTTPConnection("localhost", port, timeout=10)
        plain.request("GET", "/minio/health/live")
        assert plain.getresponse().status == http.HTTPStatus.BAD_REQUEST
        plain.close()
        secure = http.client.HTTPSConnection("localhost", port, context=installation.trust())
        secure.request("GET", "/minio/health/live")
        assert secure.getresponse().status == http.HTTPStatus.OK
        secure.close()


def test_the_warehouse_takes_no_plain_connection(installation):
    """It is refused by rule, before any password is looked at; with TLS the same login works."""
    with (
        pytest.raises(psycopg.OperationalError, match="no encryption"),
        installation.database("metabase", sslmode="disable"),
    ):
        pass
    with installation.database("metabase") as connection:
        encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert connection.execute(encrypted).fetchone() == (True,)


def test_a_run_that_would_speak_in_the_clear_ends_as_a_matter_for_a_human(installation, delivery):
    """Trying again would not help, so the exit code and the report do not ask for it."""
    run = run_job(installation, "plain", delivery, condition="Failed", SALES_DB_SSLMODE="disable")
    assert run.exit_code == ExitCode.CONFIGURATION
    assert [error.code for error in run.report.errors] == ["database.rights"]


def test_a_client_that_trusts_others_believes_no_server(installation):
    """The certificates are of the CA that was made for this installation, and of no known one."""
    with installation.namespace.forward("service/minio", 9000) as port:
        stranger = http.client.HTTPSConnection("localhost", port, timeout=10)
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.request("GET", "/")
    system = {"sslrootcert": "system"}
    with (
        pytest.raises(psycopg.OperationalError, match="certificate verify failed"),
        installation.database("metabase", **system),
    ):
        pass


def test_a_pod_with_more_rights_than_ours_is_refused(installation):
    """The namespace enforces the restricted standard, under which all of ours came up."""
    careless = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "careless"},
        "spec": {"containers": [{"name": "one", "image": "debian:trixie-slim"}]},
    }
    with pytest.raises(KubeError, match="violates PodSecurity"):
        installation.namespace.apply(careless)


def test_no_secret_is_where_others_can_read(installation, ended):
    """Neither specs nor status, events, configuration or logs show a password or a key."""
    namespace = installation.namespace
    places = {"objects": namespace.kubectl("get", SEEN_BY_ALL, "--output=yaml")}
    for pod in namespace.get("pods")["items"]:
        name = pod["metadata"]["name"]
        places[f"log of {name}"] = namespace.logs(name)
    shown = [
        (place, secret)
        for place, text in places.items()
        for secret, value in installation.passwords.items()
        if value in text
    ]
    assert shown == []
    # The search finds what is there: the report, which everybody may read.
    assert "run.minidata.io/v1alpha1" in places["objects"]
    assert ended.log in places.values()
