"""Specs, right and wrong: parser and API server must agree about each of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sales_api.names import RECORD_COLUMNS

Spec = dict[str, Any]


@dataclass(frozen=True)
class Bad:
    """A spec to be refused."""

    spec: Spec
    says: str = ""
    """What both refusals say; of a bound they tell in their own words."""
    field: str = ""
    """What both refusals name."""


def spec(**parts: Any) -> Spec:
    """A spec of bucket `sales` with these parts."""
    source = {"bucket": "sales"} | parts.pop("source", {})
    return {"source": source, **parts}


def column(**mapping: Any) -> Spec:
    """A spec that maps the quantity so."""
    return spec(contract={"columns": {"quantity": mapping}})


def job(**options: Any) -> Spec:
    """A spec with these options of Jobs."""
    return spec(job=options)


CONSTANTS = {name: {"constant": "1"} for name in RECORD_COLUMNS}
_WITHOUT_MAIL = {name: one for name, one in CONSTANTS.items() if name != "customer_email"}
_TRIGGERS = {
    "empty": "",
    "macro": "@daily",
    "every": "@every 1h30m",
    "steps and lists": "*/5 8-18/2 1,15 JAN-mar mon-fri",
    "question marks": "0 2 ? * ?",
    "wide": "0  2   * * *",
}

GOOD: Mapping[str, Spec] = {
    "nothing but a bucket": spec(),
    "prefixes that only begin alike": spec(source={"quarantinePrefix": "raw-bad/"}),
    "prefixes side by side": spec(source={"prefix": "a/b/", "processedPrefix": "a/c/"}),
    "tab as delimiter": spec(format={"delimiter": "\t", "quote": "'"}),
    "no header": spec(format={"header": False, "headerNames": ["order_id"]}),
    "european numbers": column(**{"from": "Qty", "number": {"decimal": ",", "thousands": "."}}),
    "empty constant": column(constant=""),
    "join": column(concat=["a", "b"], separator=""),
    "key of columns": column(hashOf=["a"]),
    "rescale below zero": column(
        **{"from": "a"}, rescale={"fromMin": "-1", "fromMax": "-0.5", "toMin": "9", "toMax": "0"}
    ),
    "date formats": column(**{"from": "a", "dateFormats": ["%d.%m.%Y", "%c"]}),
    "customer without a mail": spec(contract={"customerKey": ["Branch"]}),
    "constants with a customer's key": spec(
        contract={"columns": _WITHOUT_MAIL, "customerKey": ["Branch"]}
    ),
    "constants with a line of the file": spec(
        contract={"columns": {**CONSTANTS, "order_line": {"from": "Line"}}}
    ),
    "constants but one": spec(contract={"columns": {**CONSTANTS, "quantity": {"from": "n"}}}),
    "ratio": spec(quality={"maxRejectedRatio": "0.000001", "maxRejectedRows": 0}),
    "resources": job(resources={"requests": {"cpu": "1.5"}, "limits": {"cpu": "1500m"}}),
    "resources of other units": job(
        resources={"requests": {"memory": "1G"}, "limits": {"memory": "1Gi"}}
    ),
    "no requests": job(resources={"requests": {}, "limits": {"memory": "64Mi"}}),
    "labels": job(labels={"example.com/team": "sales", "a": ""}, annotations={"note": "a b"}),
    "tolerations": job(
        tolerations=[
            {"operator": "Exists"},
            {"key": "gpu", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 5},
        ]
    ),
    "mail": spec(notify={"email": {"to": ["sales@example.com"]}}),
    "zone": spec(trigger={"timeZone": "America/Argentina/Buenos_Aires"}),
    **{f"schedule {name}": spec(trigger={"schedule": at}) for name, at in _TRIGGERS.items()},
}
_APART = "the three prefixes must end in / and not contain one another"
_ORIGIN = "exactly one of from, constant, concat and hashOf is needed"
_HEADER = "headerNames goes with header: false, and the other way round"
_CRON = "a schedule is"
_EXISTS = "Exists goes without a value, and no key goes with Exists alone"
_SECONDS = "tolerationSeconds goes with the effect NoExecute"
_NOT_CRON = (
    *("@reboot", "TZ=UTC 0 0 * * *", "* * * *", "0 0 * * * *", "a b c d e", "0 2 * * *\n"),
    *("60 * * * *", "0 24 * * *", "0 0 32 * *", "0 0 0 * *", "0 0 * 13 *", "0 0 * * 7"),
)

RULES: Mapping[str, Bad] = {
    "prefix without /": Bad(spec(source={"prefix": "raw"}), _APART),
    "prefixes equal": Bad(spec(source={"prefix": "processed/"}), _APART),
    "prefix in prefix": Bad(spec(source={"quarantinePrefix": "raw/bad/"}), _APART),
    "prefix around prefix": Bad(spec(source={"prefix": "processed/raw/"}), _APART),
    "places equal": Bad(spec(source={"quarantinePrefix": "processed/"}), _APART),
    "header without names": Bad(spec(format={"header": False}), _HEADER),
    "names beside a header": Bad(spec(format={"headerNames": ["a"]}), _HEADER),
    "one separator for both": Bad(
        spec(format={"delimiter": '"'}), "delimiter and quote must differ"
    ),
    "one sign for both": Bad(
        column(**{"from": "a", "number": {"thousands": "."}}), "decimal and thousands must differ"
    ),
    "range of nothing": Bad(
        column(
            **{"from": "a"},
            rescale={"fromMin": "10", "fromMax": "9.5", "toMin": "0", "toMax": "1"},
        ),
        "fromMin must be less than fromMax",
    ),
    "no origin": Bad(column(), _ORIGIN),
    "empty origin": Bad(column(concat=[]), _ORIGIN),
    "two origins": Bad(column(**{"from": "a", "constant": ""}), _ORIGIN),
    "two lists": Bad(column(concat=["a"], hashOf=["b"]), _ORIGIN),
    "two identities": Bad(
        spec(contract={"customerKey": ["a"], "columns": {"customer_email": {"from": "b"}}}),
        "customerKey is for files without an e-mail: map only one of the two",
    ),
    "constants alone": Bad(
        spec(contract={"columns": CONSTANTS}), "at least one column must come from the file"
    ),
    "constants and a constant line": Bad(
        spec(contract={"columns": {**CONSTANTS, "order_line": {"constant": "1"}}}),
        "at least one column must come from the file",
    ),
    "memory above its limit": Bad(
        job(resources={"limits": {"memory": "256Mi"}}), "requests must not exceed limits"
    ),
    "cpu above its limit": Bad(
        job(resources={"requests": {"cpu": "1.1"}, "limits": {"cpu": "1000m"}}),
        "requests must not exceed limits",
    ),
    "toleration of nothing": Bad(job(tolerations=[{}]), _EXISTS),
    "value that only exists": Bad(
        job(tolerations=[{"key": "a", "operator": "Exists", "value": "b"}]), _EXISTS
    ),
    "seconds of another effect": Bad(
        job(tolerations=[{"key": "a", "tolerationSeconds": 1}]), _SECONDS
    ),
    **{f"schedule {at!r}": Bad(spec(trigger={"schedule": at}), _CRON) for at in _NOT_CRON},
}
"""What breaks a rule between fields: both say it in the same words."""

_WRONG: Mapping[str, Spec] = {
    "source": {},
    "bucket": spec(source={"bucket": "ab"}),
    "prefix": spec(source={"prefix": ""}),
    "include": spec(source={"include": ["*"] * 33}),
    "exclude": spec(source={"exclude": ["x" * 256]}),
    "settleSeconds": spec(source={"settleSeconds": -1}),
    "suspend": spec(suspend="no"),
    "delimiter": spec(format={"delimiter": "é"}),
    "quote": spec(format={"quote": "''"}),
    "skipLines": spec(format={"skipLines": 1001}),
    "nullValues": spec(format={"nullValues": "n/a"}),
    "header": spec(format={"header": "true"}),
    "thousands": column(**{"from": "a", "number": {"thousands": "_"}}),
    "fromMin": column(rescale={"fromMin": "1e3", "fromMax": "9", "toMin": "0", "toMax": "1"}),
    "toMax": column(rescale={"fromMin": "1", "fromMax": "9", "toMin": "0"}),
    "decimals": column(
        rescale={"fromMin": "1", "fromMax": "9", "toMin": "0", "toMax": "1", "decimals": 5}
    ),
    "from": column(**{"from": ""}),
    "constant": column(constant=1),
    "concat": column(concat=["a"] * 257),
    "zeroPad": column(**{"from": "a", "zeroPad": 0}),
    "truncate": column(**{"from": "a", "truncate": 501}),
    "separator": column(concat=["a"], separator="x" * 9),
    "dateFormats": column(**{"from": "a", "dateFormats": ["%Y-%m-%d"] * 9}),
    "unknownColumns": spec(contract={"unknownColumns": "Drop"}),
    "customerKey": spec(contract={"customerKey": list("abcdefghi")}),
    "costFactor": spec(contract={"costFactor": 0.6}),
    "maxRejectedRatio": spec(quality={"maxRejectedRatio": "1.1"}),
    "maxRejectedRows": spec(quality={"maxRejectedRows": -1}),
    "onBreach": spec(quality={"onBreach": "failfile"}),
    "customerName": spec(privacy={"customerName": "Hash"}),
    "email": spec(privacy={"email": "Md5"}),
    "timeZone": spec(trigger={"timeZone": "Europe/Rome "}),
    "maxFiles": spec(batch={"maxFiles": 0}),
    "maxBytes": spec(batch={"maxBytes": 2**50 + 1}),
    "maxWaitSeconds": spec(batch={"maxWaitSeconds": 3601}),
    "parallelism": spec(parallelism="3"),
    "maxAttempts": spec(retry={"maxAttempts": 21}),
    "backoffSeconds": spec(retry={"backoffSeconds": 0.5}),
    "activeDeadlineSeconds": job(activeDeadlineSeconds=59),
    "ttlSecondsAfterFailed": job(ttlSecondsAfterFailed=7 * 86400 + 1),
    "cpu": job(resources={"requests": {"cpu": "-1"}}),
    "memory": job(resources={"limits": {"memory": "1 GB"}}),
    "labels": job(labels={"a": "b c"}),
    "nodeSelector": job(nodeSelector={"a b": "c"}),
    "annotations": job(annotations={"/x": ""}),
    "tolerations": job(tolerations=[{"operator": "Exists"}] * 17),
    "effect": job(tolerations=[{"operator": "Exists", "effect": "Never"}]),
    "to": spec(notify={"email": {"to": ["sales"]}}),
    "on": spec(notify={"email": {"to": ["a@b.it"], "on": ["Always"]}}),
    "maxAgeHours": spec(freshness={"maxAgeHours": 0}),
}
BOUNDS: Mapping[str, Bad] = {
    f"bound of {field}": Bad(wrong, field=field) for field, wrong in _WRONG.items()
}
"""What breaks a bound or a type: both name the field."""

BAD: Mapping[str, Bad] = {**RULES, **BOUNDS}
