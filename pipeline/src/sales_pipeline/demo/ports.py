"""Free loopback ports, from where the system does not take those of outgoing connections.

A port from the ephemeral range could be lost to some client's connection during an outage, and
the server could not come back on its address.
"""

import random
import socket
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"
BELOW_EPHEMERAL = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on; somebody may, a moment later."""
    candidates = random.sample(BELOW_EPHEMERAL, len(BELOW_EPHEMERAL))
    with ExitStack() as held:
        return [_first_free(candidates, held) for _ in range(count)]


def _first_free(candidates: list[int], held: ExitStack) -> int:
    while True:
        port = candidates.pop()
        probe = held.enter_context(socket.socket())
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            continue
        return port
