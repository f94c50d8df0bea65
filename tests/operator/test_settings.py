"""The settings file: what a chart writes is understood, what makes no sense is refused."""

from pathlib import Path

import pytest
import yaml

from sales_operator.settings import SettingsError, read_settings

LEAST = {"namespace": "minidata", "pipeline": {"image": "example.test/pipeline:1"}}


def read(folder, document):
    """What is read of a document."""
    file = folder / "settings.yaml"
    file.write_text(document if isinstance(document, str) else yaml.safe_dump(document), "utf-8")
    return read_settings(file)


def refusal(folder, document):
    """Why a document is refused."""
    with pytest.raises(SettingsError) as caught:
        read(folder, document)
    return str(caught.value)


def test_least_is_a_namespace_and_an_image(tmp_path):
    made = read(tmp_path, LEAST)
    assert (made.namespace, made.pipeline.image) == ("minidata", "example.test/pipeline:1")
    assert made.watch_namespaces == []
    assert made.receiver.port == 8443


def test_names_are_those_of_the_chart(tmp_path):
    more = {
        "watchNamespaces": ["sales"],
        "maxLiveJobs": 3,
        "objectStore": {"endpoint": "https://minio:9000", "caFile": "/ca.crt"},
        "leadership": {"durationSeconds": 6, "renewSeconds": 4, "retrySeconds": 1},
    }
    made = read(tmp_path, LEAST | more)
    assert made.watch_namespaces == ["sales"]
    assert made.max_live_jobs == 3
    assert made.object_store.ca_file == Path("/ca.crt")
    assert made.leadership.renew_seconds == 4


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"watchNamespace": "sales"}, "watchNamespace"),
        ({"resyncSeconds": 0}, "resyncSeconds"),
        ({"maxLiveJobs": 0}, "maxLiveJobs"),
        ({"workers": 65}, "workers"),
        ({"instance": "Not a name"}, "instance"),
        ({"receiver": {"port": 65536}}, "receiver.port"),
        ({"pipeline": {}}, "pipeline.image"),
        (
            {"pipeline": LEAST["pipeline"] | {"volumes": [{"name": "a", "kind": "Pod"}]}},
            "pipeline.volumes.0.kind",
        ),
        ({"leadership": {"durationSeconds": 10, "renewSeconds": 10}}, "leadership"),
        ({"leadership": {"renewSeconds": 2, "retrySeconds": 2}}, "leadership"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_place(tmp_path, change, place):
    why = refusal(tmp_path, LEAST | change)
    assert place in why
    assert str(tmp_path) in why


@pytest.mark.parametrize("document", ["", "[]", "just words"])
def test_document_that_holds_no_settings_is_refused(tmp_path, document):
    assert "document" in refusal(tmp_path, document)


@pytest.mark.parametrize("document", ["a: [", "a: b: c", "\x00"])
def test_what_is_no_yaml_is_refused(tmp_path, document):
    assert refusal(tmp_path, document).endswith("not a YAML document")


def test_what_is_no_text_is_refused(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not a YAML document"):
        read_settings(file)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(SettingsError) as caught:
        read_settings(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_refusal_holds_no_value(tmp_path):
    """Somebody may have put a password where none belongs."""
    why = refusal(tmp_path, LEAST | {"objectStore": {"secretKey": "hunter2"}, "workers": "hunter2"})
    assert "secretKey" in why
    assert "hunter2" not in why
