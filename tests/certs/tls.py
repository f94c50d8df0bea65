"""TLS between a server and a client of this Python, as strict as Python 3.13's default."""

import ssl
from contextlib import suppress


def handshake(pair_file, bundle_file, host):
    """Shake hands in memory; returns the agreed version, raises what the client raises.

    Args:
        pair_file: The server's key and certificate.
        bundle_file: The CAs that the client trusts; the text of them will do as well.
        host: What the client believes to talk to.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context(pair_file).wrap_bio(to_server, to_client, server_side=True)
    client = client_context(bundle_file).wrap_bio(to_client, to_server, server_hostname=host)
    for side in (client, server, client, server):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert server.version() == client.version()
    return client.version()


def client_context(bundle):
    where = {"cadata": bundle} if isinstance(bundle, str) else {"cafile": bundle}
    context = ssl.create_default_context(**where)
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def server_context(pair_file):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair_file)
    return context
