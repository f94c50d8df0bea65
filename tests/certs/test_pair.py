"""Key and certificate as PEM: what is taken, what is refused, and that nothing is quoted."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from certs.pair import Damaged, Pair, certificate_pem, is_issued_by, names_of, parse_pair
from tests.certs.making import fresh


def pem_of(key, form=PrivateFormat.PKCS8, encryption=None):
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


@pytest.fixture(scope="module")
def leaf():
    return fresh()[1]["minio"]


def test_what_was_written_is_read(leaf):
    read = parse_pair(leaf.to_pem())
    assert isinstance(read, Pair)
    assert read.certificate == leaf.certificate
    assert read.to_pem() == leaf.to_pem()


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_order_and_form_of_the_key_do_not_matter(leaf, form):
    key, certificate = pem_of(leaf.key, form), certificate_pem([leaf.certificate])
    for pem in (key + certificate, certificate + key):
        assert parse_pair(pem).to_pem() == leaf.to_pem()


def test_of_a_chain_the_first_certificate_counts(leaf):
    authority, _ = fresh()
    chain = certificate_pem([leaf.certificate, authority.certificate])
    assert parse_pair(leaf.key_pem() + chain).certificate == leaf.certificate


def test_refused_and_told_why_without_a_word_of_it(leaf):
    key, certificate = leaf.key_pem(), certificate_pem([leaf.certificate])
    other = pem_of(ec.generate_private_key(ec.SECP256R1()))
    locked = pem_of(leaf.key, encryption=BestAvailableEncryption(b"throw-away"))
    bad = {
        b"": "no certificate",
        b"garbage": "no certificate",
        key: "no certificate",
        key + certificate[:200]: "no certificate",
        certificate: "no private key",
        key[:100] + b"\n" + certificate: "no certificate",
        key.replace(b"MIG", b"AAA") + certificate: "no private key",
        other + certificate: "does not belong",
        locked + certificate: "encrypted",
        pem_of(ed25519.Ed25519PrivateKey.generate()) + certificate: "neither EC nor RSA",
    }
    for pem, told in bad.items():
        damaged = parse_pair(pem)
        assert isinstance(damaged, Damaged), pem
        assert told in damaged.what


def test_a_pair_shows_no_key(leaf):
    assert "PrivateKey" in repr(leaf.key)
    assert "PrivateKey" not in repr(leaf)


def test_issuer_means_name_and_signature(leaf):
    authority, leaves = fresh()
    assert is_issued_by(leaves["minio"].certificate, authority.certificate)
    assert not is_issued_by(leaf.certificate, authority.certificate)
    assert not is_issued_by(authority.certificate, leaf.certificate)


def test_a_certificate_without_names_has_none():
    assert names_of(fresh()[0].certificate) == ()
