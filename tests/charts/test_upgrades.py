"""What Kubernetes does not let an upgrade change stays as it was installed.

`unchangeable.yaml` has what releases in the field were made with: a test that fails here names what
`helm upgrade` would be refused for, or what would leave a volume, and the data in it, behind.
"""

from pathlib import Path

import pytest
import yaml

from tests.charts.support import CHARTS, Document, of_kind, render

FILE = Path(__file__).parent / "unchangeable.yaml"
NAMES = sorted(path.parent.name for path in CHARTS.glob("*/Chart.yaml"))
FIELDS = {
    "Deployment": ("selector",),
    "StatefulSet": ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"),
    "PersistentVolumeClaim": ("accessModes", "storageClassName", "volumeName"),
    "Service": ("clusterIP",),
}
"""Kind -> the fields of its spec that the API server refuses to change."""


def unchangeable(documents: list[Document]) -> Document:
    """The fields of workloads, Services and claims that cannot be changed, by object."""
    found = {}
    for kind, fields in FIELDS.items():
        for document in of_kind(documents, kind):
            kept = {field: document["spec"].get(field) for field in fields}
            found[f"{kind}/{document['metadata']['name']}"] = kept
    return found


@pytest.mark.parametrize("chart", NAMES)
def test_upgrade_is_not_refused_and_finds_its_volumes(chart):
    installed = yaml.safe_load(FILE.read_text("utf-8"))
    assert unchangeable(render(chart)) == installed[chart]
