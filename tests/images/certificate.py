"""A throw-away CA and a certificate of its for localhost, as files of a volume."""

import trustme


def localhost() -> tuple[bytes, bytes, bytes]:
    """The certificate, its key, and the CA that signed it, all as PEM."""
    ca = trustme.CA()
    leaf = ca.issue_cert("localhost")
    chain = b"".join(part.bytes() for part in leaf.cert_chain_pems)
    return chain, leaf.private_key_pem.bytes(), ca.cert_pem.bytes()
