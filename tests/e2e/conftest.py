"""One installation for all tests on the cluster; what a failure needs to be understood is kept."""

import json

import psutil
import pytest

from sales_pipeline.generate import GenerateSpec
from tests.e2e.installation import Installation
from tests.e2e.kube import CONTEXT, KubeError, call
from tests.e2e.runbook import Runbook
from tests.e2e.runs import deliver, run_job
from tests.e2e.standing import dumped, standing
from tests.e2e.vaulted import Vaulted

OURS = "minidata.io/test=e2e"
"""Label of the namespaces made here: what a killed run left is removed by the next."""
MAKER = "minidata.io/maker"
"""Label with the process that made one: those of a run that is still at it are let be."""


@pytest.fixture(scope="session")
def cluster():
    """A cluster that answers, free of what earlier runs left."""
    try:
        call("kubectl", f"--context={CONTEXT}", "get", "--raw=/readyz")
    except (KubeError, LookupError) as error:
        pytest.fail(f"no cluster to test on, `make e2e` brings one up: {error}", pytrace=False)
    if leftovers := list(_leftovers()):
        call("kubectl", f"--context={CONTEXT}", "delete", "namespace", *leftovers, timeout=300)


def _leftovers():
    place = (f"--context={CONTEXT}", "--output=json")
    found = json.loads(call("kubectl", *place, "get", "namespaces", f"--selector={OURS}"))
    for namespace in found["items"]:
        maker = namespace["metadata"]["labels"].get(MAKER, "")
        if not psutil.pid_exists(int(maker or 0) or -1):
            yield namespace["metadata"]["name"]


@pytest.fixture(scope="session")
def installation(cluster, tmp_path_factory):
    """All charts, installed and well, in a namespace that restricts pods."""
    with standing(Installation, "minidata-e2e", tmp_path_factory.mktemp("certs")) as made:
        yield made


@pytest.fixture(scope="session")
def vaulted(cluster, tmp_path_factory):
    """The same with all secrets in Vault, for the tests that are about that."""
    with standing(Vaulted, "minidata-e2e-vault", tmp_path_factory.mktemp("vault-certs")) as made:
        yield made
        # The one thing of it that does not go with its namespace.
        made.namespace.kubectl("delete", "clusterrolebinding", f"vault-{made.namespace.name}")


@pytest.fixture(scope="session")
def runbook(vaulted, tmp_path_factory):
    """The runbooks of that one, for somebody who may follow them."""
    folder = tmp_path_factory.mktemp("runbook")
    made = Runbook.make(vaulted.namespace, vaulted.ca.parent, folder)
    made.follow("Who may")
    return made


@pytest.fixture(scope="session")
def delivery(installation):
    """A file with some bad rows, put under raw/ by its supplier."""
    return deliver(installation, "raw/day/sales.csv", GenerateSpec(1000, error_rate=0.05, seed=11))


@pytest.fixture(scope="session")
def ended(installation, delivery):
    """What the first run of that file left behind."""
    return run_job(installation, "first", delivery)


def pytest_collection_modifyitems(items):
    """Put the first file's tests before the others here: they hold the whole star against it."""
    items.sort(key=lambda item: (item.path.parent, item.path.name != "test_smoke.py"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Let a failed test tell what went on in the cluster."""
    report = yield
    made = getattr(item, "funcargs", {}).get("installation")
    if report.failed and call.when == "call" and made:
        report.sections.append(("cluster", dumped(made.namespace)))
    return report
