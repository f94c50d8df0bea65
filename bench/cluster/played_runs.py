"""Runs that only seem to run: their objects go, and they end with a report, as after real ones."""

import logging
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from bench.cluster.api import Api
from bench.cluster.fake_nodes import NODE, REPORT
from bench.cluster.ground import Ground
from bench.cluster.jobs import keys_of
from sales_api.report import Files, Rows, RunReport
from tests.e2e.installation import BUCKET

ROWS = 10
"""That each object is said to have held."""

_AT_ONCE = 4
log = logging.getLogger(__name__)


@contextmanager
def played_runs(ground: Ground) -> Iterator[None]:
    """Play each run that is placed on the fake node, for as long as the block runs.

    As a real run does, it first takes its objects out of the prefix and then ends: were it to end
    with objects left, the operator would rightly run them again.
    """
    pods = f"/api/v1/namespaces/{ground.namespace.name}/pods"
    events = ground.api.watch(pods, {"fieldSelector": f"spec.nodeName={NODE}"})
    with ground.installation.s3("sales-pipeline") as s3, ThreadPoolExecutor(_AT_ONCE) as pool:
        player = _Player(ground.api, s3, pods)

        def follow() -> None:
            for _, pod in events:
                if player.is_new(pod):
                    pool.submit(player.play, pod)

        threading.Thread(target=follow, daemon=True).start()
        yield


class _Player:
    def __init__(self, api: Api, s3: Any, pods: str) -> None:
        self._api = api
        self._s3 = s3
        self._pods = pods
        self._played: set[str] = set()

    def is_new(self, pod: Mapping[str, Any]) -> bool:
        """Whether a pod has just begun to run."""
        uid = pod["metadata"]["uid"]
        if pod["status"].get("phase") != "Running" or uid in self._played:
            return False
        self._played.add(uid)
        return True

    def play(self, pod: Mapping[str, Any]) -> None:
        try:
            keys = keys_of(pod)
            self._s3.delete_objects(
                Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
            annotations = {REPORT: report(len(keys))}
            name = pod["metadata"]["name"]
            self._api.patch(f"{self._pods}/{name}", {"metadata": {"annotations": annotations}})
        except Exception:
            # The pod then runs for ever, and whoever waits for its Job tells of that.
            log.exception("a run could not be played")


def report(objects: int) -> str:
    """What a run says that has loaded so many objects."""
    rows = objects * ROWS
    whole = RunReport(files=Files(loaded=objects), rows=Rows(read=rows, loaded=rows))
    return whole.to_message().decode()
