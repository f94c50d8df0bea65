"""Stage 3: personal data leaves the rows. Pure; what comes out may be stored anywhere.

E-mail addresses become keyed pseudonyms: the same address, in any case of letters, gives the same
64 hex characters, and without the key a list of addresses gives nobody away.
"""

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import polars as pl

from sales_api.v1alpha1 import CustomerName, EmailPseudonym, Privacy
from sales_pipeline.mapping import CUSTOMER_KEY
from sales_pipeline.rules import DATES

REDACTED = "[redacted]"
_BLOCK_BYTES = 64
_MAX_INITIALS = 3
_MAX_SEEN = 200_000
"""Pseudonyms kept at hand for each key: some 60 MB at most."""
_NO_KEYS: Mapping[int, bytes] = MappingProxyType({})
_PSEUDONYMS = {"email_hash": pl.String, "earlier_hash": pl.String, "key_version": pl.Int32}

_EXTENSION = r"(?i)(?:x|ext|extension|#)[\s.:=]*[0-9]*[\s)\]]*$"
_SHAPED = ("product_rating", "discounted_price", "original_price", "discount_percentage",
           "is_best_seller", "delivery_date", "data_collected_at", "order_date", "quantity",
           "order_line")  # fmt: skip
"""Columns of numbers, dates and flags: their values say nothing about a person."""

_NUMBERS = frozenset(_SHAPED) - {"is_best_seller", *DATES}
_SHORTEST_PHONE = 7
"""Digits: with so many, a number in a column of numbers may still be a customer's."""

_NAMING = ("order_id", "product_title", "product_category")
"""Columns of free text that are shown only where the row surely is not shifted."""


class Anonymiser:
    """Applies one ingest's privacy rules with one key.

    Args:
        privacy: What to keep, and how.
        key: The secret key of the pseudonyms.
        earlier: Keys that were used before this one, by version.
    """

    def __init__(
        self, privacy: Privacy, key: bytes, earlier: Mapping[int, bytes] = _NO_KEYS
    ) -> None:
        self._privacy = privacy
        keyed = privacy.email is EmailPseudonym.HMAC_SHA256
        self._pseudonym = _Pseudonyms(_hmac_sha256(key) if keyed else _sha256)
        self._earlier = {
            version: _Pseudonyms(_hmac_sha256(earlier[version])) for version in earlier if keyed
        }

    def __call__(self, accepted: pl.DataFrame) -> pl.DataFrame:
        """Accepted rows without clear personal data.

        Returns:
            The frame with `email_hash`, `customer_name`, `phone_redacted` and `address_redacted`
            in place of the customer's columns.
        """
        identity = _identity(accepted)
        return accepted.select(
            pl.exclude("customer_email", CUSTOMER_KEY, "customer_name", "customer_phone",
                       "customer_address"),
            self._pseudonym.of(identity).alias("email_hash"),
            self._name().alias("customer_name"),
            redacted_phone(pl.col("customer_phone")).alias("phone_redacted"),
            pl.lit(REDACTED).alias("address_redacted"),
        )  # fmt: skip

    def earlier_pseudonyms(self, accepted: pl.DataFrame) -> pl.DataFrame:
        """What earlier keys make of the customers of these rows, so that they are found again.

        Returns:
            `email_hash`, `earlier_hash` and `key_version`; each customer once for each such key.
        """
        if not self._earlier:
            return pl.DataFrame(schema=_PSEUDONYMS)
        identity = _identity(accepted)
        customers = accepted.select(pl.col(identity).str.to_lowercase().unique())
        return pl.concat(
            customers.select(
                self._pseudonym.of(identity).alias("email_hash"),
                pseudonyms.of(identity).alias("earlier_hash"),
                pl.lit(version, dtype=pl.Int32).alias("key_version"),
            )
            for version, pseudonyms in self._earlier.items()
        )

    def _name(self) -> pl.Expr:
        match self._privacy.customer_name:
            case CustomerName.KEEP:
                return pl.col("customer_name")
            case CustomerName.DROP:
                return pl.lit(None, dtype=pl.String)
            case CustomerName.INITIALS:
                return initials(pl.col("customer_name"))


def _identity(accepted: pl.DataFrame) -> str:
    return CUSTOMER_KEY if CUSTOMER_KEY in accepted.columns else "customer_email"


class _Pseudonyms:
    """Those of one key, the latest of them at hand: a customer comes back, and a digest is dear."""

    def __init__(self, digest: Callable[[bytes], str]) -> None:
        self._digest = digest
        self._seen: dict[str, str] = {}

    def of(self, identity: str) -> pl.Expr:
        """Those of a column."""
        lowered = pl.col(identity).str.to_lowercase()
        # A key made of other columns must never meet an address that reads the same.
        prefix = b"" if identity == "customer_email" else b"customer-key\x1f"

        def digest_all(series: pl.Series) -> pl.Series:
            distinct = series.unique()
            digests = [self._remembered(prefix, text) for text in distinct.to_list()]
            return series.replace_strict(distinct, pl.Series(digests, dtype=pl.String))

        return lowered.map_batches(digest_all, return_dtype=pl.String)

    def _remembered(self, prefix: bytes, text: str) -> str:
        known = self._seen.get(text)
        if known is None:
            if len(self._seen) >= _MAX_SEEN:
                self._seen.clear()
            known = self._seen[text] = self._digest(prefix + text.encode())
        return known


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _hmac_sha256(key: bytes) -> Callable[[bytes], str]:
    """HMAC (RFC 2104) with the key hashed in once; the library's function does it every time."""
    block = (key if len(key) <= _BLOCK_BYTES else hashlib.sha256(key).digest()).ljust(
        _BLOCK_BYTES, b"\0"
    )
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest(text: bytes) -> str:
        first, second = inner.copy(), outer.copy()
        first.update(text)
        second.update(first.digest())
        return second.hexdigest()

    return digest


def initials(name: pl.Expr) -> pl.Expr:
    """`Ada King Lovelace` as `A.K.L.`; of longer names the first three."""
    words = name.str.extract_all(r"\S+").list.head(_MAX_INITIALS)
    first = words.list.eval(pl.element().str.slice(0, 1).str.to_uppercase() + ".")
    return first.list.join("")


def redacted_phone(phone: pl.Expr) -> pl.Expr:
    """`***-***-` and the last 4 digits of the number proper; stars alone where it has fewer."""
    digits = phone.str.replace(_EXTENSION, "").str.replace_all("[^0-9]", "")
    last = digits.str.tail(4)
    return pl.lit("***-***-") + pl.when(last.str.len_bytes() == 4).then(last).otherwise(  # noqa: PLR2004
        pl.lit("****")
    )


def masked_rejects(rejected: pl.DataFrame, rejects: pl.DataFrame) -> pl.DataFrame:
    """Rejected rows fit for quarantine: row number, codes, and what of the row gives nobody away.

    A row may be rejected because its fields are shifted, so that an address stands where a title
    should. Numbers, dates and flags are shown if they are such; free text and long numbers only
    if every one of them is, and nothing of a row that has no trustworthy fields at all.

    Args:
        rejected: `row_number` and the record's columns of rows that the rules refused.
        rejects: `row_number`, `field`, `code` of all rejected rows of the batch.
    """
    codes = (
        rejects.sort("row_number", "code")
        .group_by("row_number", maintain_order=True)
        .agg(pl.col("code").str.join(" ").alias("codes"), pl.col("code"), pl.col("field"))
    )
    joined = codes.join(rejected, on="row_number", how="left", maintain_order="left")
    unshaped = joined["code"].list.eval(_is_unshaped(pl.element())).list.any()
    shown = [
        pl.when(_is_harmless(name, unshaped)).then(pl.col(name)).alias(name)
        for name in (*_SHAPED, *_NAMING)
        if name in rejected.columns
    ]
    return joined.select("row_number", "codes", *shown)


def _is_harmless(name: str, unshaped: pl.Series) -> pl.Expr:
    right = ~pl.col("field").list.contains(name)
    if name in _NAMING:
        return right & ~unshaped
    if name in _NUMBERS:
        return right & ~(unshaped & (pl.col(name).str.count_matches("[0-9]") >= _SHORTEST_PHONE))
    return right


def _is_unshaped(code: pl.Expr) -> pl.Expr:
    # Whatever is no number, date, flag or address where one should be may be a shifted field.
    return code.str.contains(r"\.(?:type|format|missing|length|characters)$|^row\.")
