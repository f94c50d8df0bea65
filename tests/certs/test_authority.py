"""What a CA signs, and which CAs are taken for one."""

import ipaddress
from datetime import UTC

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs.authority import CA_DAYS, fault_of, make_authority, refused_names, sign
from certs.pair import names_of
from tests.certs.making import ALL_NAMES, DAY, NOW, WANTED

USAGE = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": True,
    "crl_sign": True,
    "encipher_only": False,
    "decipher_only": False,
}
CONSTRAINTS = x509.BasicConstraints(ca=True, path_length=None)


def self_signed(*extensions, usage=True, identifier=True, issuer="Own CA"):
    """A CA of somebody else, with these extensions and flags whether they are critical."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Own CA")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + DAY)
    )
    if usage:
        builder = builder.add_extension(x509.KeyUsage(**USAGE), critical=True)
    if identifier:
        ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(ski, critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, hashes.SHA256())


def constrained(permitted=None, excluded=None):
    return self_signed((CONSTRAINTS, True), (x509.NameConstraints(permitted, excluded), True))


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def usages(certificate):
    """What the key may be used for; such an extension must be critical."""
    usage = extension(certificate, x509.KeyUsage)
    assert usage.critical
    # The last two may not even be asked for where there is no key agreement.
    return [name for name in list(USAGE)[:-2] if getattr(usage.value, name)]


@pytest.fixture(scope="module")
def authority():
    return make_authority(ALL_NAMES, NOW)


@pytest.fixture(scope="module")
def leaf(authority):
    return sign(authority, "minio", WANTED.names["minio"], NOW, 90)


def test_a_server_certificate_says_what_it_is_for(authority, leaf):
    certificate = leaf.certificate
    assert usages(certificate) == ["digital_signature"]
    assert list(extension(certificate, x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    constraints = extension(certificate, x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca
    assert names_of(certificate) == WANTED.names["minio"]
    issuer = extension(authority.certificate, x509.SubjectKeyIdentifier).value.digest
    assert extension(certificate, x509.AuthorityKeyIdentifier).value.key_identifier == issuer
    assert extension(certificate, x509.SubjectKeyIdentifier).value.digest != issuer


def test_addresses_are_named_as_addresses(leaf):
    names = extension(leaf.certificate, x509.SubjectAlternativeName).value
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    assert names.get_values_for_type(x509.IPAddress) == addresses
    assert names.get_values_for_type(x509.DNSName) == list(WANTED.names["minio"][:5])


def test_a_ca_signs_servers_only_and_lives_ten_years(authority):
    certificate = authority.certificate
    assert fault_of(certificate) is None
    assert usages(certificate) == ["key_cert_sign", "crl_sign"]
    constraints = extension(certificate, x509.BasicConstraints)
    assert (constraints.critical, constraints.value.path_length) == (True, 0)
    assert certificate.not_valid_after_utc == NOW + CA_DAYS * DAY
    assert extension(certificate, x509.NameConstraints).critical


def test_keys_are_p256_and_never_shared(authority, leaf):
    assert isinstance(leaf.key.curve, ec.SECP256R1)
    again = sign(authority, "minio", WANTED.names["minio"], NOW, 90)
    assert again.key.public_key() != leaf.key.public_key()
    assert again.certificate.serial_number != leaf.certificate.serial_number


def test_no_certificate_outlives_its_ca(authority):
    late = authority.certificate.not_valid_after_utc - DAY
    leaf = sign(authority, "minio", WANTED.names["minio"], late, 90)
    assert leaf.certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc


def test_two_cas_never_share_a_name(authority):
    """Clients look issuers up by name, and both are in one bundle for years."""
    other = make_authority(ALL_NAMES, NOW)
    assert other.certificate.subject != authority.certificate.subject


def test_begins_a_little_earlier_for_clients_whose_clock_is_behind(leaf):
    begin = leaf.certificate.not_valid_before_utc
    assert begin.tzinfo == UTC
    assert 60 <= (NOW - begin).total_seconds() <= 3600


@pytest.mark.parametrize(
    ("certificate", "fault"),
    [
        (lambda: self_signed((CONSTRAINTS, True)), None),
        (lambda: self_signed((CONSTRAINTS, False)), "critical"),
        (lambda: self_signed((x509.BasicConstraints(ca=False, path_length=None), True)), "no CA"),
        (self_signed, "lacks"),
        (lambda: self_signed((CONSTRAINTS, True), usage=False), "lacks"),
        (lambda: self_signed((CONSTRAINTS, True), identifier=False), "lacks"),
        (lambda: self_signed((CONSTRAINTS, True), issuer="Root"), "self-signed"),
    ],
    ids=["fit", "not critical", "no CA", "no constraints", "no usage", "no id", "intermediate"],
)
def test_a_ca_that_strict_clients_would_refuse_is_refused_here(certificate, fault):
    told = fault_of(certificate())
    assert told is None if fault is None else fault in told


@pytest.mark.parametrize(
    ("permitted", "excluded", "name", "refused"),
    [
        (None, ["example.org"], "minio", False),
        (None, ["example.org"], "bi.example.org", True),
        (["example.org"], None, "example.org", False),
        (["example.org"], None, "bi.example.org", False),
        ([".example.org"], None, "bi.example.org", False),
        (["example.org"], None, "badexample.org", True),
        (["bi.example.org"], None, "example.org", True),
        (["example.org"], ["bi.example.org"], "bi.example.org", True),
        (["example.org"], None, "127.0.0.1", False),
        (["127.0.0.0/8"], None, "127.0.0.1", False),
        (["127.0.0.0/8"], None, "10.0.0.1", True),
        (["127.0.0.0/8"], None, "::1", True),
        (["127.0.0.0/8"], None, "minio", False),
    ],
)
def test_name_constraints_as_clients_read_them(permitted, excluded, name, refused):
    def trees(texts):
        return texts and [
            x509.IPAddress(ipaddress.ip_network(text)) if "/" in text else x509.DNSName(text)
            for text in texts
        ]

    ca = constrained(trees(permitted), trees(excluded))
    assert refused_names(ca, [name]) == ([name] if refused else [])


def test_our_ca_permits_the_names_that_it_was_made_for_and_no_others(authority):
    others = ["minio.other.svc", "example.org", "10.0.0.1", "::2"]
    assert refused_names(authority.certificate, [*ALL_NAMES, *others]) == others


def test_a_ca_without_name_constraints_permits_everything():
    assert refused_names(self_signed((CONSTRAINTS, True)), ["example.org", "10.0.0.1"]) == []
