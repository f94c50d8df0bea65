"""What comes out may be stored anywhere: pseudonyms, initials, stars, and masked rejects."""

import csv
import hashlib
import hmac
import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sales_api.names import RECORD_COLUMNS
from sales_api.v1alpha1 import Contract, CustomerName, EmailPseudonym, Privacy
from sales_pipeline.anonymise import (
    REDACTED,
    Anonymiser,
    initials,
    masked_rejects,
    redacted_phone,
)
from sales_pipeline.mapping import to_record
from sales_pipeline.validate import validate
from tests.support.reading import reader
from tests.support.sales_file import as_csv, sale
from tests.support.sales_record import COLUMNS

KEY = b"a key of thirty-two secret bytes"
PERSONAL = ["customer_name", "customer_email", "customer_phone", "customer_address"]
EMAILS = ["ada@example.com", "Ada@Example.COM", "o'brien+x@example.org", "jörg@bücher.de"]


def frame(rows):
    table = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.String))
    return table.with_row_index("row_number", 1).with_columns(pl.col("row_number").cast(pl.Int64))


def anonymised(rows, key=KEY, **privacy):
    return Anonymiser(Privacy(**privacy), key)(frame(rows))


def hashes(emails, key=KEY, **privacy):
    rows = [sale("ORD-000001", customer_email=email) for email in emails]
    return anonymised(rows, key, **privacy)["email_hash"].to_list()


def keyed(text, key=KEY):
    """HMAC-SHA-256 of the lowered text, written out once more."""
    return hmac.new(key, text.lower().encode(), hashlib.sha256).hexdigest()


def test_no_personal_column_comes_out():
    """The customer's columns go; everything else stays as it is."""
    row = sale("ORD-000001")

    out = anonymised([row])

    assert out.columns == [
        *("row_number", "order_id"),
        *(name for name in RECORD_COLUMNS if name not in {"order_id", *PERSONAL}),
        *("email_hash", "customer_name", "phone_redacted", "address_redacted"),
    ]
    values = out.row(0, named=True)
    assert values["customer_name"] == "A.K.L."
    assert values["phone_redacted"] == "***-***-0143"
    assert values["address_redacted"] == REDACTED
    for name in PERSONAL:
        assert row[name] not in map(str, values.values())
    assert {n: v for n, v in row.items() if n not in PERSONAL}.items() <= values.items()


def test_pseudonym_is_an_hmac_of_the_address_in_lower_case():
    """As computed independently; the same for an address in any case of letters."""
    assert hashes(EMAILS) == [keyed(email) for email in EMAILS]
    assert len(set(hashes(EMAILS))) == 3


@given(st.lists(st.emails(), min_size=1, max_size=10), st.binary(min_size=1, max_size=100))
def test_pseudonym_with_any_key(emails, key):
    """Rows keep their order, whatever repeats among them."""
    emails = [*emails, emails[0].upper(), emails[0]]

    got = hashes(emails, key)

    assert got == [keyed(email, key) for email in emails]
    assert got[0] == got[-1] == got[-2]


def test_one_address_has_one_pseudonym_in_all_batches():
    """What is remembered from batch to batch changes nothing."""
    anonymise = Anonymiser(Privacy(), KEY)
    batches = [
        [sale("ORD-000001", customer_email=e) for e in emails] for emails in (EMAILS, EMAILS)
    ]

    first, second = (anonymise(frame(rows))["email_hash"].to_list() for rows in batches)

    assert first == second == [keyed(email) for email in EMAILS]


def test_dictionary_attack_without_the_key_fails():
    """Neither plain hashes of the addresses nor guesses of the key give the pseudonyms."""
    stored = set(hashes(EMAILS))
    algorithms = ("sha256", "sha1", "md5", "sha3_256", "blake2s")
    plain = {hashlib.new(a, text.encode()).hexdigest() for a in algorithms for e in EMAILS
             for text in (e, e.lower())}  # fmt: skip
    guessed = {keyed(e, key) for e in EMAILS for key in (b"\x00", b"key", KEY[:-1], KEY.upper())}

    assert not stored & (plain | guessed)
    assert stored == {keyed(e) for e in EMAILS}


def test_sha256_is_an_option():
    """For warehouses that hold such pseudonyms already; the key plays no part in it."""
    got = hashes(EMAILS, email=EmailPseudonym.SHA256)

    assert got == [hashlib.sha256(e.lower().encode()).hexdigest() for e in EMAILS]
    assert got == hashes(EMAILS, b"another", email=EmailPseudonym.SHA256)


def test_customer_key_never_meets_an_address():
    """A key that reads like an address has another pseudonym."""
    row = sale("ORD-000001")
    key = row.pop("customer_email")

    out = anonymised([{**row, "customer_key": key}, {**row, "customer_key": key.upper()}])

    assert out["email_hash"].to_list() == [keyed(f"customer-key\x1f{key}")] * 2
    assert "customer_key" not in out.columns
    assert keyed(key) not in out["email_hash"]


def earlier_pseudonyms(rows, **privacy):
    anonymise = Anonymiser(Privacy(**privacy), KEY, {1: b"first", 2: b"second"})
    return sorted(anonymise.earlier_pseudonyms(frame(rows)).rows())


def test_earlier_keys_tell_each_customer_once():
    """Beside the pseudonym that the rows carry, however often and however an address is spelled."""
    rows = [sale("ORD-000001", customer_email=email) for email in [*EMAILS, *EMAILS]]

    got = earlier_pseudonyms(rows)

    expected = {
        (keyed(email), keyed(email, key), version)
        for email in EMAILS
        for version, key in {1: b"first", 2: b"second"}.items()
    }
    assert got == sorted(expected)
    assert len(got) == 2 * len({email.lower() for email in EMAILS})


def test_earlier_keys_of_a_customer_key():
    """It is kept apart from addresses under each key."""
    row = sale("ORD-000001")
    key = row.pop("customer_email")
    text = f"customer-key\x1f{key}"

    got = earlier_pseudonyms([{**row, "customer_key": key}])

    assert got == sorted(
        (keyed(text), keyed(text, key), version)
        for version, key in {1: b"first", 2: b"second"}.items()
    )


def test_earlier_keys_where_there_is_nothing_to_find():
    """No earlier key, no key at all, no rows: an empty frame of the same columns."""
    rows = frame([sale("ORD-000001")])
    none = Anonymiser(Privacy(), KEY).earlier_pseudonyms(rows)

    assert none.is_empty()
    assert earlier_pseudonyms([sale("ORD-000001")], email=EmailPseudonym.SHA256) == []
    with_keys = Anonymiser(Privacy(), KEY, {1: b"first"})
    assert with_keys.earlier_pseudonyms(rows.clear()).equals(none)
    assert with_keys.earlier_pseudonyms(rows).schema == none.schema


def test_batch_without_rows():
    """Comes out without rows, in the same columns."""
    row = sale("ORD-000001")

    out = Anonymiser(Privacy(), KEY)(frame([row]).clear())

    assert (out.height, out.schema) == (0, anonymised([row]).schema)


@pytest.mark.parametrize(
    ("phone", "shown"),
    [
        ("+1 202 555 0143", "0143"),
        ("(202) 555-0143", "0143"),
        ("2025550143", "0143"),
        ("0143", "0143"),
        ("+1-202-555-0143x123", "0143"),
        ("202-555-0143 x 12345", "0143"),
        ("202.555.0143 ext. 7", "0143"),
        ("202 555 0143, Ext:77", "0143"),
        ("202 555 0143 extension 4321", "0143"),
        ("202 555 0143 EXT", "0143"),
        ("202 555 0143 (ext 12)", "0143"),
        ("202 555 0143 [x12]", "0143"),
        ("202 555 0143 #9", "0143"),
        ("143", None),
        ("14-3", None),
        ("x0143", None),
        ("call me", None),
        ("+", None),
        ("\uff10\uff11\uff14\uff13", None),
    ],
)
def test_phone(phone, shown):
    """The last four digits of the number proper, or none of them."""
    out = pl.select(redacted_phone(pl.lit(phone))).item()

    assert out == f"***-***-{shown or '****'}"


@given(st.text("0123456789 +-().x#e", max_size=20))
def test_phone_shows_four_digits_at_most(phone):
    """Whatever the text, no more than that is let through."""
    out = pl.select(redacted_phone(pl.lit(phone))).item()

    assert out.startswith("***-***-")
    assert len(out) == len("***-***-0143")
    last = out.removeprefix("***-***-")
    assert last == "****" or last in "".join(c for c in phone if c.isdigit())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ada King Lovelace", "A.K.L."),
        ("ada", "A."),
        ("Ada  King\tNoel Lovelace", "A.K.N."),
        ("jean-luc picard", "J.P."),
        ("Ängström Øre", "Ä.Ø."),
        ("李 小龍", "李.小."),
    ],
)
def test_initials(name, expected):
    """The first characters of the first three words."""
    assert pl.select(initials(pl.lit(name))).item() == expected


def test_name_may_be_kept_or_dropped():
    """As the ingest says; initials are the default."""
    row = sale("ORD-000001")

    kept = anonymised([row], customer_name=CustomerName.KEEP)
    dropped = anonymised([row], customer_name=CustomerName.DROP)

    assert kept["customer_name"].to_list() == ["Ada King Lovelace"]
    assert dropped["customer_name"].to_list() == [None]
    assert dropped.schema == kept.schema


# Rejected rows, as quarantine shows them.


def masked(content):
    """The masked rejects of a file of the default contract, as the CSV that is stored."""
    contract, out = Contract(), []
    for batch in reader(content).batches():
        verdict = validate(to_record(batch.frame, contract, []), contract)
        rejects = pl.concat([batch.rejects, verdict.rejects])
        out.append(masked_rejects(verdict.rejected, rejects))
        assert sorted(out[-1]["row_number"]) == sorted(rejects["row_number"].unique())
    return pl.concat(out)


def test_rejected_row_shows_numbers_dates_and_flags():
    """And of a row that is surely not shifted, what was ordered; never the wrong value."""
    shown = masked(as_csv([sale("ORD-000001", quantity="0", product_rating="5.001")]))

    assert shown.drop_nulls().is_empty()
    assert {n: v for n, v in shown.row(0, named=True).items() if v is not None} == {
        "row_number": 1,
        "codes": "product_rating.scale quantity.range",
        "discounted_price": "80.00",
        "original_price": "100.00",
        "discount_percentage": "20",
        "is_best_seller": "true",
        "delivery_date": "2024-03-05",
        "data_collected_at": "2024-03-01",
        "order_date": "2024-03-02",
        "order_id": "ORD-000001",
        "product_title": "Analytical engine",
        "product_category": "Computers",
    }


def test_row_that_may_be_shifted_shows_no_text():
    """An address that is none may mean that everything stands one column further."""
    shown = masked(as_csv([sale("ORD-000001", customer_email="ada")])).row(0, named=True)

    assert shown["quantity"] == "2"
    assert [shown[name] for name in ("order_id", "product_title", "product_category")] == [None] * 3


def test_record_that_is_no_row_shows_its_code_alone():
    """Nothing of it can be trusted to be what it seems."""
    content = as_csv([sale("ORD-000001")])
    shown = masked(content + b"Ada,ada@example.com\n,,,\n" + b'"Lovelace\n' + b"x," * 20)

    assert shown["codes"].to_list() == [
        "row.too_few_fields",
        "row.blank",
        "row.malformed",
        "row.too_many_fields",
    ]
    for row in shown.drop("row_number", "codes").iter_rows():
        assert set(row) == {None}


def test_codes_are_told_in_one_order():
    """One line for each row, all codes in it."""
    rows = [sale("X", quantity="0", customer_email="x"), sale("ORD-000002", quantity=" ")]

    assert masked(as_csv(rows)).select("row_number", "codes").rows() == [
        (1, "customer_email.format order_id.length quantity.range"),
        (2, "quantity.missing"),
    ]


def test_every_batch_has_the_same_columns():
    """They are written one below the other."""
    bad, good = sale("X"), sale("ORD-000001")
    columns = [masked(as_csv(rows)).columns for rows in ([bad], [good], [good, bad])]

    assert columns[0] == columns[1] == columns[2]
    assert not set(columns[0]) & set(PERSONAL)


people = st.fixed_dictionaries(
    {
        "customer_name": st.sampled_from(["Zyxwvutsrq", "Zara Qwerty", "9876543"]),
        "customer_email": st.sampled_from(["zara@qwerty.com", "z@q.io"]),
        "customer_phone": st.sampled_from(["9876543", "+49 176 987654", "98765432", "555-9876 x1"]),
        "customer_address": st.sampled_from(
            ["98 Zebra St", "Zebra", "98 Zebra St\nQuito", "9876543"]
        ),
    }
)
goods = st.fixed_dictionaries(
    {
        "product_title": st.sampled_from(["Engine", "1984", "4.5", "2024-01-01", "true", "1"]),
        "product_rating": st.sampled_from(["1", "4.5", "5"]),
        "discounted_price": st.sampled_from(["1", "4.50", "80.00"]),
        "original_price": st.sampled_from(["1", "20", "100.00"]),
        "discount_percentage": st.sampled_from(["0", "1", "20"]),
        "is_best_seller": st.sampled_from(["true", "0", "1"]),
        "product_category": st.sampled_from(["Computers", "1", "2024-01-01"]),
        "quantity": st.sampled_from(["1", "2"]),
    }
)
amounts = st.integers(1, 8)


@given(people, goods, st.integers(0, 15), st.sampled_from(["left", "right", "longer"]), amounts)
def test_shifted_row_shows_nothing_of_the_customer(person, product, at, direction, amount):
    """From any column on, to either side, by some columns: no clear value is let through."""
    row = list(sale("ORD-000001", **person, **product).values())
    row = {
        "left": row[:at] + row[at + amount :] + ["1"] * min(amount, 16 - at),
        "right": (row[:at] + ["1"] * amount + row[at:])[:16],
        "longer": row[:at] + ["1"] * amount + row[at:],
    }[direction]

    shown = masked(rows_as_csv(COLUMNS, row)).write_csv(include_header=False)

    for value in person.values():
        assert value not in shown


def rows_as_csv(*rows):
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()
