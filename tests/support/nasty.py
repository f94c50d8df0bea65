"""Rows that are valid, or nearly: each cell drawn from what is right, odd, wrong or mere noise."""

from hypothesis import strategies as st

from tests.support.sales_record import COLUMNS

KELVIN, LONG_S = "\u212a", "\u017f"
BLANKS = ["\x1c", "\x1f", "\x85", "\xa0", "\u2003", "\u200b", "\ufeff", "\n", "\t", " "]
FULL_WIDTH = str.maketrans("0123456789", "".join(chr(0xFF10 + n) for n in range(10)))

# Together the 254 characters that an address may have.
LONGEST_LOCAL, LONGEST_DOMAIN = "x" * 64, ".".join(["d" * 61] * 3)
MAILS_RIGHT = [
    "ada@example.com",
    "Ada.King+sales@Sub-Domain.Example.ORG",
    "o'brien_%-@x.co",
    "1@2.de",
    f"{LONGEST_LOCAL}@example.com",
    f"x{LONGEST_LOCAL}@example.com",
    f"{LONGEST_LOCAL}@{LONGEST_DOMAIN}.com",
    "ada@xn--bcher-kva.example",
    "ada@b\u00fccher.de",
    "j\u00f6rg@example.com",
    "jo\u0308rg@example.com",
    "ada@example.museum",
    "ada@example.COM",
]
MAILS_WRONG = [
    "ada",
    "@example.com",
    "ada@",
    "ada@@example.com",
    "ada@example",
    "ada@example..com",
    ".ada@example.com",
    "ada.@example.com",
    "a..b@example.com",
    "ada@-example.com",
    "ada@example-.com",
    "ada@ex--ample.com",
    "ada@xn--a.com",
    "ada@exam_ple.com",
    "ada@localhost",
    "ada@x.local",
    "ada@x.invalid",
    "ada@x.test",
    "ada@x.onion",
    "ada@1.2.arpa",
    "ada@[127.0.0.1]",
    '"ada king"@example.com',
    '"ada"@example.com',
    "Ada <ada@example.com>",
    "ada@example.com.",
    "ada king@example.com",
    "ada@example.com\n",
    "ada@exam\x00ple.com",
    "ren\ufffd@example.com",
    f"{LONGEST_LOCAL}@x{LONGEST_DOMAIN}.com",
    f"ada@{'d' * 64}.com",
    f"ada@{'d.' * 125}com",
]
NUMBERS_RIGHT = ["1", "5", "1.0", "4.50", "1.000", "+5", "05", "3.25", "0005.00"]
NUMBERS_WRONG = [
    "0", "0.00", "-5", "-0", "1e3", "1E0", "NaN", "inf", "Infinity", "19.990", "19.999", "5.", ".5",
    "5..0", "1,5", "1 5", "1_0", "0x5", "+", "", "--5", "+-5", "five", "4\x00", "100000000",
    "99999999.99", "100000000.00", "0.01", "0.001", "0.009", "5.01", "5.001", "2147483647",
    "2147483648", "1" + "0" * 40, "1." + "0" * 40, "1." + "0" * 41, "\u0665", "\u00b2", "\u2460",
    "5\u0301",
]  # fmt: skip
DATES_RIGHT = ["2024-02-29", "0001-01-01", "9999-12-31", "1999-12-31", "3000-01-01", "2024-01-31"]
DATES_WRONG = [
    "2024-02-30", "2023-02-29", "0000-01-01", "20240131", "2024-W05-3", "2024-1-5", "2024-13-01",
    "2024-00-10", "2024-01-00", "2024-01-32", "2024-01-31T00:00", "2024/01/31", "31-01-2024",
    "24-01-31", "+2024-01-31", "-2024-01-31", "12024-01-31", "2024-01-31\n", "2024-031", "today",
]  # fmt: skip
FLAGS_RIGHT = ["true", "False", "TRUE", "yes", "No", "1", "0", "tRuE"]
FLAGS_WRONG = ["t", "y", "on", "truee", f"fal{LONG_S}e", f"ye{LONG_S}", "01", "2", KELVIN, "-1"]

_WORDS = {
    "customer_email": (MAILS_RIGHT, MAILS_WRONG),
    "is_best_seller": (FLAGS_RIGHT, FLAGS_WRONG),
    **dict.fromkeys(
        ("delivery_date", "data_collected_at", "order_date"), (DATES_RIGHT, DATES_WRONG)
    ),
    **dict.fromkeys(
        ("product_rating", "discounted_price", "original_price"), (NUMBERS_RIGHT, NUMBERS_WRONG)
    ),
    **dict.fromkeys(
        ("discount_percentage", "quantity", "order_line"),
        (["1", "7", "+5", "05", "100", "99"], ["0", "101", "1.0", *NUMBERS_WRONG]),
    ),
}
_LENGTHS = {
    "order_id": 10,
    "customer_name": 255,
    "customer_phone": 50,
    "customer_address": 500,
    "product_title": 500,
    "product_category": 100,
    "customer_key": 4096,
}


def words(name: str) -> list[str]:
    """Every word this module knows for a column, right or wrong, bare and with odd ends."""
    if name in _WORDS:
        known = [word for kind in _WORDS[name] for word in kind]
    else:
        longest = _LENGTHS[name]
        known = [
            c * n
            for c in "x\u00e9\U0001d11e\x00\ufffd"
            for n in (1, 9, 10, 11, longest, longest + 1)
        ]
    wide = [word.translate(FULL_WIDTH) for word in known]
    padded = [f"{word}{blank}" for word in known for blank in BLANKS]
    return [*known, *wide, *padded, *(f"\x1c{word}" for word in known)]


noise = st.one_of(
    st.text(max_size=12),
    st.text("0123456789.-+eE/: ", max_size=12),
    st.text("abc@.-_+\"'()<>[]xn\u00e4\u0301\u200d", max_size=20),
)


def _text(name):
    longest = _LENGTHS[name]
    fill = st.sampled_from(["x", "\u00e9", "e\u0301", "\U0001d11e", KELVIN])
    near = st.tuples(fill, st.integers(longest - 2, longest + 1)).map(lambda t: t[0] * t[1])
    exact = st.text("abcXYZ019- '\u00e9\U0001d11e", min_size=10, max_size=10)
    odd = st.sampled_from(["", "x\x00", "\ufffd", "\U0001d11e" * 10, "\x00" * 10, "x" * 10])
    return exact, st.one_of(near, odd, exact.map(lambda t: t[:-1] + "\ufffd"))


def _word(name):
    right, wrong = _WORDS[name]
    wide = st.sampled_from(right).map(lambda word: word.translate(FULL_WIDTH))
    return st.sampled_from(right), st.one_of(st.sampled_from(wrong), wide)


def _cell(name, *, nasty):
    right, wrong = _word(name) if name in _WORDS else _text(name)
    if not nasty:
        return right
    padded = st.tuples(st.sampled_from(BLANKS), right, st.sampled_from(BLANKS)).map("".join)
    broken = st.tuples(right, st.integers(0, 12), st.sampled_from([*BLANKS, "\u0301", "-"])).map(
        lambda t: t[0][: t[1]] + t[2] + t[0][t[1] :]
    )
    return st.one_of(wrong, wrong, right, padded, broken, noise, st.none())


@st.composite
def rows(draw, columns=COLUMNS):
    """A row of which none, one or two cells are not as they should be."""
    odd = draw(st.lists(st.sampled_from(columns), max_size=2))
    return {name: draw(_cell(name, nasty=name in odd)) for name in columns}


def row_lists(columns=COLUMNS, most=8):
    return st.lists(rows(columns), min_size=1, max_size=most)
