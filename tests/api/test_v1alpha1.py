"""What a SalesIngest may say, and what it may not."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sales_api.names import RECORD_COLUMNS
from sales_api.v1alpha1 import (
    ColumnMapping,
    Contract,
    Format,
    Number,
    Processing,
    Quality,
    Rescale,
    Source,
)


def problem(model, **fields):
    with pytest.raises(ValidationError) as caught:
        model(**fields)
    return caught.value.errors(include_input=False, include_url=False)[0]["msg"]


def test_prefixes_have_defaults():
    """raw/ is read, quarantine/ and processed/ take what has been read."""
    source = Source(bucket="sales")

    assert (source.prefix, source.quarantine_prefix, source.processed_prefix) == (
        "raw/",
        "quarantine/",
        "processed/",
    )


@pytest.mark.parametrize(
    "prefixes",
    [
        {"prefix": "raw"},
        {"prefix": ""},
        {"quarantine_prefix": "quarantine"},
        {"prefix": "quarantine/"},
        {"quarantine_prefix": "raw/bad/"},
        {"prefix": "processed/raw/"},
        {"prefix": "a/", "processed_prefix": "a/b/c/"},
        {"prefix": "x/", "quarantine_prefix": "y/", "processed_prefix": "x/"},
    ],
)
def test_prefixes_that_are_not_apart(prefixes):
    """An archived object must never be found again as a new one."""
    assert problem(Source, bucket="sales", **prefixes)


def test_prefixes_that_only_begin_alike():
    """Folders count, not letters."""
    source = Source(bucket="sales", prefix="raw/", quarantine_prefix="raw-bad/")

    assert source.quarantine_prefix == "raw-bad/"


@pytest.mark.parametrize("bucket", ["", "ab", "x" * 64])
def test_bucket_names_have_a_length(bucket):
    """As S3 has it."""
    assert problem(Source, bucket=bucket)


@pytest.mark.parametrize("separator", ["", ",,", "é", "\n", "\r", "\x00", "\x7f"])
@pytest.mark.parametrize("field", ["delimiter", "quote"])
def test_separators_are_one_printable_ascii_character(field, separator):
    """They are looked for in bytes, and a line end ends a line."""
    assert problem(Format, **{field: separator})


def test_separators_differ():
    """A character cannot be both; the tab is a delimiter like any other."""
    assert "must differ" in problem(Format, delimiter=";", quote=";")
    assert "must differ" in problem(Format, delimiter='"')
    assert Format(delimiter="\t", quote="'").delimiter == "\t"


@pytest.mark.parametrize(
    "fields", [{"header": False}, {"header_names": ["a"]}, {"header": True, "header_names": ["a"]}]
)
def test_header_or_header_names(fields):
    """The one or the other says what the columns are called."""
    assert "headerNames" in problem(Format, **fields)


def test_number_separators_differ():
    """The decimal sign cannot part thousands."""
    assert "must differ" in problem(Number, decimal=",", thousands=",")
    assert "must differ" in problem(Number, thousands=".")


@pytest.mark.parametrize(("low", "high"), [("1", "1"), ("2", "1"), ("0", "-0.5")])
def test_rescale_needs_a_range(low, high):
    """There is no line through one point."""
    assert "less than" in problem(Rescale, from_min=low, from_max=high, to_min="0", to_max="1")


@pytest.mark.parametrize("text", ["1e3", "NaN", "", "1.", "+1", "1" * 10, "0.1234567", "\uff11"])
def test_numbers_in_a_spec_are_plain(text):
    """They are texts, so that none becomes a float on its way."""
    assert problem(Rescale, from_min=text, from_max="9", to_min="0", to_max="1")


@pytest.mark.parametrize("text", ["-0.1", "1.1", "2", "", "0.1234567", "50%"])
def test_ratio_lies_between_none_and_all(text):
    """Both ends included."""
    assert problem(Quality, max_rejected_ratio=text)
    for end in ("0", "1", "1.0", "0.000001"):
        assert Quality(max_rejected_ratio=end).max_rejected_ratio == end


@pytest.mark.parametrize(
    "origins",
    [
        {},
        {"source": "a", "constant": "b"},
        {"concat": ["a"], "hash_of": ["b"]},
        {"constant": "", "source": "a"},
        {"concat": []},
    ],
)
def test_column_has_one_origin(origins):
    """Not none, and not two."""
    assert "exactly one" in problem(ColumnMapping, **origins)


@pytest.mark.parametrize(
    "fmt",
    ["%d/%m", "%H:%M", "%d/%d/%Y", "%Q", "%", "", "yyyy-mm-dd", "%-d/%m/%Y", "%Y-%m", "%U %Y"],
)
def test_date_format_must_give_a_whole_date(fmt):
    """What would fail in every row is a mistake in the contract, and told beforehand."""
    assert "dateFormats" in problem(ColumnMapping, source="a", date_formats=["%Y-%m-%d", fmt])


@pytest.mark.parametrize(
    "fmt",
    ["%d/%m/%Y", "%y%m%d", "%d %b %Y", "%Y-%j", "%G-W%V-%u", "%Y-%m-%dT%H:%M:%S%z", "%c", "%x"],
)
def test_date_formats(fmt):
    """Anything that tells a day, with a time of day or without."""
    assert ColumnMapping(source="a", date_formats=[fmt]).date_formats == [fmt]


def test_from_is_a_word_of_python():
    """Outside it is `from`, inside `source`."""
    mapping = ColumnMapping.model_validate({"from": "Order No", "zeroPad": 10})

    assert (mapping.source, mapping.zero_pad) == ("Order No", 10)
    assert mapping.model_dump(by_alias=True, exclude_defaults=True) == {
        "from": "Order No",
        "zeroPad": 10,
    }


def test_contract_reads_columns_of_the_same_name():
    """The default contract is the record itself."""
    contract = Contract()

    assert contract.targets() == RECORD_COLUMNS
    assert contract.origins() == RECORD_COLUMNS
    assert contract.mapping("quantity") == ColumnMapping(source="quantity")


def test_contract_reads_each_column_once():
    """In a stable order, the customer's key last."""
    columns = {
        **{name: ColumnMapping(constant="1") for name in RECORD_COLUMNS if "email" not in name},
        "order_id": ColumnMapping(hash_of=["Branch", "No"]),
        "order_line": ColumnMapping(source="Line"),
        "customer_name": ColumnMapping(concat=["Last", "Branch"]),
    }

    contract = Contract(columns=columns, customer_key=["Member", "No"])

    assert contract.origins() == ("Branch", "No", "Last", "Line", "Member")
    assert contract.targets()[-1] == "order_line"
    assert "customer_email" not in contract.targets()


def test_contract_has_one_identity():
    """An address that is mapped and a key that stands for it exclude each other."""
    email = {"customer_email": ColumnMapping(source="Mail")}

    assert "only one" in problem(Contract, columns=email, customer_key=["Member"])


def test_contract_reads_something():
    """With constants alone every row of every file would be the same."""
    constants = {name: ColumnMapping(constant="1") for name in RECORD_COLUMNS}

    assert "from the file" in problem(Contract, columns=constants)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (Contract, {"columns": {"colour": {"constant": "1"}}}),
        (Contract, {"colums": {}}),
        (Format, {"Delimiter": ";"}),
        (ColumnMapping, {"from": "a", "regex": "x"}),
    ],
)
def test_unknown_fields_are_refused(model, fields):
    """A misspelt field is not passed over."""
    with pytest.raises(ValidationError):
        model.model_validate(fields)


CHANGES = [
    {"format": {"delimiter": ";"}},
    {"format": {"dropBlankRows": True}},
    {"contract": {"costFactor": "0.5"}},
    {"contract": {"columns": {"quantity": {"constant": "1"}}}},
    {"quality": {"maxRejectedRows": 0}},
    {"privacy": {"customerName": "Drop"}},
    {"privacy": {"email": "Sha256"}},
]


def test_digest_tells_contracts_apart():
    """Any change of meaning changes it."""
    digests = {Processing.model_validate(change).digest() for change in [{}, *CHANGES]}

    assert len(digests) == len(CHANGES) + 1
    assert all(len(digest) == 16 for digest in digests)


def test_digest_stays_the_same():
    """Pinned: it identifies what the ledger holds, so no release may change it unawares."""
    assert Processing().digest() == "74b005af292da93e"


@given(st.randoms(use_true_random=False))
def test_digest_does_not_depend_on_order_or_on_what_is_written_out(shuffle: random.Random):
    """The same contract in another order of keys, with its defaults spelled out, is the same."""
    columns = {
        "quantity": {"from": "Units", "default": "1"},
        "order_id": {"hashOf": ["a", "b"]},
        "original_price": {"constant": "1", "number": {"decimal": ","}},
    }
    spec = Processing.model_validate({"contract": {"columns": columns}})

    again = Processing.model_validate_json(
        json.dumps(shuffled(spec.model_dump(by_alias=True), shuffle))
    )

    assert again.digest() == spec.digest()


def shuffled(value, shuffle):
    if not isinstance(value, dict):
        return value
    names = list(value)
    shuffle.shuffle(names)
    return {name: shuffled(value[name], shuffle) for name in names}
