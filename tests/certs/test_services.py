"""Names: those of the services, and what passes for one."""

import pytest

from certs.services import SERVICES, is_dns_name, is_namespace


def test_a_service_is_reached_by_every_name_that_dns_in_the_cluster_and_loopback_give_it():
    minio = next(service for service in SERVICES if service.name == "minio")
    assert minio.names("shop") == (
        "minio",
        "minio.shop",
        "minio.shop.svc",
        "minio.shop.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "::1",
    )


def test_further_names_come_last_and_none_comes_twice():
    names = SERVICES[0].names("shop", ["b.example", "localhost", "a.example", "b.example"])
    assert names[-3:] == ("::1", "b.example", "a.example")
    assert len(set(names)) == len(names)


def test_the_agreed_services_are_declared():
    names = [service.name for service in SERVICES]
    assert names == ["minio", "postgres", "vault", "vault-injector", "metabase", "operator"]


@pytest.mark.parametrize("text", ["a", "minidata", "team-1", "1", "x" * 63])
def test_a_namespace(text):
    assert is_namespace(text)


@pytest.mark.parametrize("text", ["", "A", "a.b", "-a", "a-", "a_b", "x" * 64, "a\n", "ä"])
def test_no_namespace(text):
    assert not is_namespace(text)


@pytest.mark.parametrize("text", ["localhost", "bi.example.org", "1st.example", "a-b.c-d.e1"])
def test_a_dns_name(text):
    assert is_dns_name(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "*.example.org", "127.0.0.1", "::1", "A.example", "a b", "a\n"],
)
def test_no_dns_name(text):
    assert not is_dns_name(text)


def test_a_dns_name_has_at_most_253_characters():
    longest = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert is_dns_name(longest)
    assert not is_dns_name(f"a{longest}")
