"""Each sample in manifests/samples is a SalesIngest that makes sense, and says when to use it."""

import pytest
import yaml

from sales_api.ingest import SalesIngestSpec, parse_spec
from tests.docs.pages import ROOT, text

SAMPLES = sorted((ROOT / "manifests/samples").glob("*.yaml"))


def read(path):
    return yaml.safe_load(path.read_text("utf-8"))


def parsed(name):
    return parse_spec(read(ROOT / f"manifests/samples/{name}.yaml")["spec"])


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_understood_to_the_last_field(path):
    """A field that is passed over would be an example of nothing."""
    manifest = read(path)

    assert manifest["apiVersion"] == "minidata.io/v1alpha1"
    assert manifest["kind"] == "SalesIngest"
    assert parse_spec(manifest["spec"]) == SalesIngestSpec.model_validate(manifest["spec"])


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_says_when_to_use_it_and_so_does_the_reference(path):
    assert path.read_text("utf-8").startswith("# ")
    assert f"`{path.name}`" in text("docs/salesingest.md")


def test_samples_can_be_applied_together():
    """Each has a name of its own, and all but the default one a prefix of its own."""
    manifests = [read(path) for path in SAMPLES]
    prefixes = {parse_spec(m["spec"]).source.prefix for m in manifests}

    assert len({m["metadata"]["name"] for m in manifests}) == len(manifests)
    assert len(prefixes) == len(manifests)
    assert len(SAMPLES) >= 7


def test_the_default_is_the_smallest_there_is():
    assert read(ROOT / "manifests/samples/default.yaml")["spec"] == {"source": {"bucket": "sales"}}


def test_the_daily_one_asks_for_no_events():
    trigger = parsed("daily-only").trigger

    assert not trigger.events
    assert trigger.schedule


def test_the_strict_one_refuses_a_file_for_one_row():
    quality = parsed("strict-quality").quality

    assert quality.max_rejected_rows == 0
    assert quality.on_breach == "FailFile"


def test_the_one_of_big_files_takes_one_at_a_time():
    spec = parsed("big-files")

    assert (spec.batch.max_files, spec.parallelism) == (1, 1)
    assert spec.job.active_deadline_seconds > 3600
