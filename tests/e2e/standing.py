"""An installation for as long as tests need it; what went on is kept where they fail."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.charts.support import CHARTS
from tests.docs.pages import ROOT
from tests.e2e.dump import dump
from tests.e2e.installation import Installation
from tests.e2e.kube import Namespace


@contextmanager
def standing(
    kind: type[Installation], name: str, folder: Path, charts: Path = CHARTS
) -> Iterator[Installation]:
    """One in a namespace of its own, which begins with this name and goes with the block."""
    namespace = Namespace(f"{name}-{secrets.token_hex(3)}", charts)
    try:
        yield kind.make(namespace, folder)
    except BaseException as error:
        error.add_note(dumped(namespace))
        raise
    namespace.kubectl("delete", "namespace", namespace.name, timeout=300)


def dumped(namespace: Namespace) -> str:
    """All of a namespace as files below `out/`; the most telling part of it."""
    return dump(namespace, ROOT / "out" / "e2e" / namespace.name)
