"""Bodies of notifications, and which objects they tell of."""

import json
from contextlib import suppress
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_operator.events import UnreadableError, created

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def record(key="raw%2Fa.csv", event="s3:ObjectCreated:Put", bucket="sales"):
    return {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "eventName": event,
        "s3": {"bucket": {"name": bucket, "arn": "arn:aws:s3:::sales"}, "object": {"key": key}},
    }


def body(*records, **more):
    return json.dumps({"EventName": "s3:ObjectCreated:Put", "Records": records, **more}).encode()


@given(key=TEXTS, escape=st.sampled_from([quote_plus, quote]))
def test_key_is_decoded_exactly(key, escape):
    """Whether a space is written + or %20, and whatever else is in it."""
    assert created(body(record(escape(key, safe="")))) == (("sales", key),)


def test_key_beside_the_records_is_not_looked_at():
    assert created(body(record("a%2Bb"), Key="sales/a+b")) == (("sales", "a+b"),)


@pytest.mark.parametrize("how", ["Put", "Post", "Copy", "CompleteMultipartUpload"])
@pytest.mark.parametrize("prefix", ["s3:", ""])
def test_objects_that_came(how, prefix):
    assert created(body(record(event=f"{prefix}ObjectCreated:{how}"))) == (("sales", "raw/a.csv"),)


@pytest.mark.parametrize(
    "event",
    [
        "s3:ObjectRemoved:Delete",
        "s3:ObjectAccessed:Get",
        "s3:ObjectCreated:PutTagging",
        "s3:ObjectCreated:PutRetention",
        "s3:ObjectRemoved:Put",
        "s3:ObjectCreated:*",
        "",
    ],
)
def test_other_events_tell_of_no_object(event):
    assert created(body(record(event=event))) == ()


@pytest.mark.parametrize(
    "text", [b"", b"{}", b'{"Records":null}', b'{"Service":"Amazon S3","Event":"s3:TestEvent"}']
)
def test_trials_tell_of_no_object(text):
    assert created(text) == ()


def test_each_record_counts_for_itself():
    removed = record(event="s3:ObjectRemoved:Delete")
    found = created(body(record("raw%2Fb"), removed, record("raw%2Fb", bucket="other")))
    assert found == (("sales", "raw/b"), ("other", "raw/b"))


@pytest.mark.parametrize(
    "text",
    [
        b"no json",
        b"[]",
        b"\xff\xfe",
        b'{"Records":{}}',
        b'{"Records":[{}]}',
        b'{"Records":[{"eventName":"s3:ObjectCreated:Put","s3":{"bucket":{"name":"sales"}}}]}',
        body(record(key="")),
        body(record(bucket="")),
        body(record(key=None)),
        body(record(key="%SECRET%")).replace(b"%SECRET%", b"\\ud800"),
        b'{"Records":' + b"[" * 100_000,
    ],
)
def test_what_is_no_notification(text):
    """It is told as such, without its text."""
    with pytest.raises(UnreadableError) as told:
        created(text)
    assert str(told.value) == "not a notification"


@given(st.binary(max_size=200))
def test_any_bytes_at_all(text):
    """Nothing else is ever raised."""
    with suppress(UnreadableError):
        assert created(text) == ()
