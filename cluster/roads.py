"""Which of two roads leads to the cluster: published images, or everything from packages."""

import http.client
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from enum import StrEnum

from cluster.shell import ClusterError

PUBLIC = "registry-1.docker.io"
ANSWER_SECONDS = 5


class Road(StrEnum):
    """The way by which images come."""

    ONLINE = "online"
    PACKAGES = "packages"


@dataclass(frozen=True)
class Choice:
    """A road, and the registry that stands before the public ones; empty for none."""

    road: Road
    mirror: str = ""
    reason: str = ""

    def source(self, image: str) -> str:
        """The name under which a published image is pulled."""
        if not self.mirror:
            return image
        first, slash, rest = image.partition("/")
        hosted = slash and ("." in first or ":" in first)
        name = rest if hosted else image
        return f"{self.mirror}/{name if '/' in name else f'library/{name}'}"


def choose(wanted: str, mirror: str, *, answers: bool) -> Choice:
    """The road to take.

    Args:
        wanted: `auto`, `online` or `packages`.
        mirror: `host:port` of a registry that holds the published images, or empty.
        answers: Whether the registry (the mirror, or else the public one) can be reached.

    Raises:
        ClusterError: There is no such road.
    """
    if wanted not in ("auto", *Road):
        raise ClusterError(
            f"there is no road {wanted!r}", where="ROAD", mend="Take auto, online or packages."
        )
    name = mirror or PUBLIC
    if wanted == "auto":
        reason = f"{name} {'answers' if answers else 'does not answer'}"
        return Choice(Road.ONLINE if answers else Road.PACKAGES, mirror, reason)
    return Choice(Road(wanted), mirror, "as asked")


def find(wanted: str) -> Choice:
    """The road to take from here; MINIDATA_REGISTRY names a mirror."""
    mirror = os.environ.get("MINIDATA_REGISTRY", "")
    answers = wanted == "auto" and registry_answers(mirror or PUBLIC)
    return choose(wanted, mirror, answers=answers)


def registry_answers(host: str) -> bool:
    """Whether an image registry is there: also one that wants to know who asks."""
    name = host.partition(":")[0]
    # Docker itself takes plain HTTP from loopback only, and asks no proxy for what is there.
    local = name in ("localhost", "127.0.0.1")
    url = f"{'http' if local else 'https'}://{host}/v2/"
    direct = [urllib.request.ProxyHandler({})] if local else []
    try:
        urllib.request.build_opener(*direct).open(url, timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError as error:
        return error.code == http.HTTPStatus.UNAUTHORIZED
    except (OSError, http.client.HTTPException):
        return False
    return True
