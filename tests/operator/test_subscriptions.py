"""Our notification rules among those of others."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_operator.subscriptions import merged, outermost

TARGET = "arn:minio:sqs::SALES:webhook"
FOREIGN = {
    "Id": "audit",
    "QueueArn": "arn:minio:sqs::AUDIT:kafka",
    "Events": ["s3:ObjectRemoved:*"],
    "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".csv"}]}},
}
BARE = {"QueueArn": TARGET, "Events": ["s3:ObjectCreated:*"]}
KEYS = st.text("ab/", min_size=1, max_size=4)


def change(current, *prefixes, instance="op", target=TARGET):
    return merged(current, prefixes, instance, target)


def rules(configuration):
    return configuration.get("QueueConfigurations", [])


def prefixes_of(configuration):
    return [
        part["Value"]
        for rule in rules(configuration)
        for part in rule["Filter"]["Key"]["FilterRules"]
    ]


def test_new_rule_tells_of_objects_that_come_and_of_nothing_else():
    (rule,) = rules(change({}, "raw/"))
    assert rule["QueueArn"] == TARGET
    assert sorted(rule["Events"]) == [
        "s3:ObjectCreated:CompleteMultipartUpload",
        "s3:ObjectCreated:Copy",
        "s3:ObjectCreated:Post",
        "s3:ObjectCreated:Put",
    ]
    assert rule["Filter"] == {"Key": {"FilterRules": [{"Name": "prefix", "Value": "raw/"}]}}
    assert rule["Id"].startswith("minidata.op.")


@given(st.sets(KEYS), st.sets(KEYS))
def test_what_was_written_needs_no_change_until_the_prefixes_do(before, after):
    current = change({"QueueConfigurations": [FOREIGN]}, *before) or {
        "QueueConfigurations": [FOREIGN]
    }
    assert change(current, *before) is None
    changed = change(current, *after)
    assert (changed is None) == (outermost(before) == outermost(after))
    assert changed is None or change(changed, *after) is None


@pytest.mark.parametrize("prefixes", [(), ("raw/",), ("raw/", "in/")])
def test_all_that_is_not_ours_stays_as_it_stands(prefixes):
    others = {
        "TopicConfigurations": [{"Id": "t", "TopicArn": "arn:aws:sns:::t", "Events": ["s3:*"]}],
        "LambdaFunctionConfigurations": [{"LambdaFunctionArn": "arn:aws:lambda:::f"}],
        "EventBridgeConfiguration": {},
    }
    elsewhere = rules(change({}, "raw/", instance="op-2"))
    current = {"ResponseMetadata": {"HTTPStatusCode": 200}, **others}
    current["QueueConfigurations"] = [FOREIGN, *rules(change({}, "old/")), BARE, *elsewhere]
    before = copy.deepcopy(current)
    changed = change(current, *prefixes)
    assert current == before
    assert {part: changed[part] for part in others} == others
    assert changed.keys() == {*others, "QueueConfigurations"}
    assert rules(changed)[:3] == [FOREIGN, BARE, *elsewhere]
    assert rules(changed)[3:] == rules(change({}, *prefixes) or {})


def test_last_rule_gone_leaves_no_rules():
    assert change(change({}, "raw/")) == {}
    assert change({}) is None


@pytest.mark.parametrize(
    ("prefixes", "expected"),
    [
        (["raw/x/", "raw/"], ["raw/"]),
        (["raw/", "raw/", "raw/x/y/"], ["raw/"]),
        (["raw/a/", "raw/b/"], ["raw/a/", "raw/b/"]),
        (["raw", "raw-old/", "raw/"], ["raw"]),
        (["raw/", "raw-old/", "raw/x/"], ["raw-old/", "raw/"]),
        ([], []),
    ],
)
def test_prefixes_within_others_have_no_rule_of_their_own(prefixes, expected):
    assert outermost(prefixes) == expected
    assert prefixes_of(change({}, *prefixes) or {}) == expected


@given(st.sets(KEYS), KEYS)
def test_outermost_prefixes_cover_the_same_keys_each_once(prefixes, key):
    covering = [prefix for prefix in outermost(prefixes) if key.startswith(prefix)]
    assert len(covering) == any(key.startswith(prefix) for prefix in prefixes)


def written_otherwise(rule):
    (part,) = rule["Filter"]["Key"]["FilterRules"]
    return rule | {
        "QueueArn": "arn:minio:sqs:eu-west-1:SALES:webhook",
        "Events": rule["Events"][::-1],
        "Filter": {"Key": {"FilterRules": [part | {"Name": "Prefix"}]}},
    }


def test_same_rule_written_otherwise_needs_no_change():
    """Stores fill in their region, spell `Prefix`, and list events in an order of their own."""
    current = {"QueueConfigurations": [written_otherwise(*rules(change({}, "raw/")))]}
    assert change(current, "raw/") is None


@pytest.mark.parametrize(
    "tampered",
    [
        {"Events": ["s3:ObjectCreated:Put"]},
        {"Events": ["s3:ObjectCreated:*"]},
        {"QueueArn": "arn:minio:sqs::OTHER:webhook"},
        {"QueueArn": "garbage"},
        {"Filter": {}},
        {"Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": "raw/"}]}}},
    ],
)
def test_rule_of_ours_that_somebody_changed_is_put_right(tampered):
    good = change({}, "raw/")
    (rule,) = rules(good)
    assert change({"QueueConfigurations": [rule | tampered]}, "raw/") == good


def test_rule_of_ours_that_stands_twice_is_put_right():
    good = change({}, "raw/")
    assert change({"QueueConfigurations": rules(good) * 2}, "raw/") == good


def test_region_counts_where_the_target_names_one():
    target = "arn:aws:sqs:eu-west-1:1:sales"
    current = change({}, "raw/", target=target)
    assert change(current, "raw/", target=target) is None
    moved = change(current, "raw/", target=target.replace("west", "central"))
    assert rules(moved)[0]["QueueArn"] == "arn:aws:sqs:eu-central-1:1:sales"
    assert len(rules(moved)) == 1
