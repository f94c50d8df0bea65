"""The request: frozen into a Job, read back by the run, and refused without quoting anything."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_api.names import REQUEST_ENV
from sales_api.request import MAX_REQUEST_BYTES, ObjectRef, RequestError, RunRequest
from sales_api.v1alpha1 import ColumnMapping, Contract, Format, Processing, Source

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
SECRET = "ada@example.com"


def ref(key="raw/a.csv", **changes):
    fields = {"key": key, "etag": "abc", "size": 7, "modified_at": NOON, **changes}
    return ObjectRef(**fields)


def request(**changes):
    fields = {
        "ingest": "sales/daily",
        "run": "daily-1",
        "source": Source(bucket="sales"),
        **changes,
    }
    return RunRequest(**fields)


def document(**changes):
    text = request(objects=[ref()]).to_env()[REQUEST_ENV]
    return json.dumps({**json.loads(text), **changes})


refs = st.builds(
    ref,
    key=st.text(min_size=1, max_size=50),
    version_id=st.none() | st.text(max_size=20),
    etag=st.text(max_size=20),
    size=st.integers(0, 2**50),
    modified_at=st.datetimes(
        min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
        max_value=datetime(2999, 1, 1),  # noqa: DTZ001
        timezones=st.just(UTC),
    ),
)


@given(
    st.lists(refs, max_size=5),
    st.integers(1, 9),
    st.builds(Format, delimiter=st.sampled_from([None, ";", "\t"]), skip_lines=st.integers(0, 9)),
)
def test_request_comes_back_as_it_was(objects, attempt, fmt):
    """Through the environment, defaults and all."""
    columns = {"order_id": ColumnMapping(source="No", zero_pad=10)}
    sent = request(objects=objects, attempt=attempt, format=fmt, contract=Contract(columns=columns))

    env = sent.to_env()

    assert RunRequest.from_env(env) == sent
    assert list(env) == [REQUEST_ENV]
    assert "\x00" not in env[REQUEST_ENV]


def test_defaults_are_written_out():
    """A later version may have others, and must not read them into an older request."""
    written = json.loads(request().to_env()[REQUEST_ENV])

    assert written["apiVersion"] == "run.minidata.io/v1alpha1"
    assert written["contract"]["costFactor"] == "0.6"
    assert written["source"]["prefix"] == "raw/"
    assert written["objects"] == []


def test_digest_is_of_the_processing_alone():
    """Run, attempt and objects make no other contract of it, or nothing would ever be known."""
    one = request(run="daily-1", attempt=1, objects=[ref()])
    two = request(run="daily-2", attempt=7, ingest="other/name", source=Source(bucket="other"))

    assert one.digest() == two.digest() == Processing().digest()
    assert request(contract=Contract(cost_factor="0.5")).digest() != one.digest()


def test_identity_is_the_version_where_there_is_one():
    """Else the ETag."""
    assert ref(version_id="v1").identity == "v1"
    assert ref().identity == "abc"


def test_environment_without_request():
    """The message names the variable."""
    with pytest.raises(RequestError, match=REQUEST_ENV):
        RunRequest.from_env({})


@pytest.mark.parametrize("version", ["run.minidata.io/v2", SECRET, None, 7])
def test_unknown_version_is_refused(version):
    """The message names the version that is known, and quotes nothing."""
    with pytest.raises(RequestError) as caught:
        RunRequest.from_json(document(apiVersion=version))

    assert "apiVersion" in str(caught.value)
    assert "run.minidata.io/v1alpha1" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "v2" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": SECRET},
        {"run": ""},
        {"run": SECRET * 10},
        {"ingest": [SECRET]},
        {"source": {"bucket": SECRET, "prefix": SECRET}},
        {"format": {"encoding": {SECRET: SECRET}}},
        {"format": {"delimiter": SECRET}},
        {"contract": {"columns": {"order_id": {"constant": SECRET, "from": SECRET}}}},
        {"contract": {"columns": {"order_date": {"from": "a", "dateFormats": [SECRET]}}}},
        {"contract": {"costFactor": SECRET}},
        {"quality": {"onBreach": SECRET}},
        {"objects": [{"key": SECRET}]},
        {"objects": [{"key": "a", "etag": "b", "size": 1, "modifiedAt": SECRET}]},
        {"objects": SECRET},
    ],
)
def test_wrong_values_are_named_by_field_and_not_quoted(changes):
    """Whoever reads the message in a log sees where to look, and no value."""
    with pytest.raises(RequestError) as caught:
        RunRequest.from_json(document(**changes))

    assert next(iter(changes)) in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("text", ["", "{", SECRET, f'"{SECRET}"', "[]", "null", "\ud800"])
def test_text_that_is_no_request(text):
    """Not JSON, or JSON of something else."""
    with pytest.raises(RequestError) as caught:
        RunRequest.from_json(text)

    assert SECRET not in str(caught.value)


def test_explanation_is_short():
    """A few places are enough to start with."""
    with pytest.raises(RequestError) as caught:
        RunRequest.from_json(document(objects=[{}] * 100))

    assert str(caught.value).count(";") < 5


def test_request_that_is_too_long_is_refused():
    """Before it gets into a Job that could not start."""
    objects = [ref(key="raw/" + "é" * 1000) for _ in range(100)]

    with pytest.raises(RequestError, match=str(MAX_REQUEST_BYTES)):
        request(objects=objects).to_env()


def test_longest_request_fits_an_environment():
    """Whatever passes is short enough for Linux, with its name."""
    objects = [ref(key="raw/" + "x" * 100) for _ in range(500)]

    ((name, text),) = request(objects=objects).to_env().items()

    assert len(f"{name}={text}".encode()) < 131_072


def test_number_of_objects_is_bounded():
    """More is another request."""
    with pytest.raises(ValueError, match="at most 1000"):
        request(objects=[ref()] * 1001)
