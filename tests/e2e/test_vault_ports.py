"""Every port of every pod: no word in the clear, no old protocol, no peer that is not trusted."""

import re
import ssl

import pytest

from tests.e2e.ingests import Ingest, large_file
from tests.e2e.listening import declared, listeners

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

OF_SERVERS_AMONG_THEMSELVES = 8201
"""Vault's, with certificates of their own on both sides."""
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
STARTUP = b"\0\0\0\x26\0\x03\0\0user\0metabase\0database\0sales\0\0"
REFUSALS = (
    b"",
    rb"HTTP/1\.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server\.\n",
    rb"\x15\x03[\0-\x04]\0\x02\x02.",  # a fatal alert of TLS
    rb"E.{4}SFATAL\0VFATAL\0C28000\0Mpg_hba\.conf rejects connection for [^\0]*, no encryption\0.*",
)
"""What may be answered in the clear: nothing but that one is not to speak so."""


@pytest.fixture(scope="module")
def installation(vaulted):
    """The platform with Vault: all servers there are."""
    return vaulted


@pytest.fixture(scope="module")
def found(installation):
    """All ports, while a run is at work."""
    ingest = Ingest.make(installation, "while-ports-are-tried")
    ingest.put({"sales.csv": large_file(250, 100_000)})
    run = ingest.until_reading()
    ports, named = listeners(installation.namespace), declared(installation.namespace)
    assert run in {job["metadata"]["name"] for job in ingest.jobs() if job["status"].get("active")}
    ingest.until_done(1)
    return ports, named


def test_nothing_listens_but_what_the_pods_name(found):
    ports, named = found
    assert sorted(map(str, ports)) == sorted(map(str, named))
    assert {one.port for one in ports} == {5432, 8200, 8201, 8443, 9000}


def test_no_port_says_anything_in_the_clear(found):
    ports, _ = found
    answers = {(str(one), words): one.answer(words) for one in ports for words in (HTTP, STARTUP)}
    refusal = re.compile(b"|".join(REFUSALS), re.DOTALL)
    assert {who: said for who, said in answers.items() if not refusal.fullmatch(said)} == {}


def test_every_server_is_believed_by_those_who_know_its_ca_and_by_no_others(installation, found):
    ports, _ = found
    for one in ports:
        if one.port != OF_SERVERS_AMONG_THEMSELVES:
            assert one.certificate(installation.trust())
            with pytest.raises(ssl.SSLCertVerificationError):
                one.certificate(ssl.create_default_context())


def test_servers_of_vault_let_no_stranger_among_them(found):
    ports, _ = found
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    among = [one for one in ports if one.port == OF_SERVERS_AMONG_THEMSELVES]
    assert among
    for one in among:
        with pytest.raises(ssl.SSLError, match="ALERT"):
            one.certificate(anybody)


def test_no_port_speaks_a_protocol_older_than_tls_1_2(found):
    ports, _ = found
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.deprecated_call():
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.deprecated_call():
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    for one in ports:
        # The other side's word, or that it hung up: nothing that was found out on this side.
        with pytest.raises(ssl.SSLError, match=r"ALERT|UNEXPECTED_EOF"):
            one.certificate(old)
