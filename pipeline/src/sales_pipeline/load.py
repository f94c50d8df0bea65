"""Stage 4: batches into the star, in the one transaction that also writes ledger and rejects."""

import io
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from sales_api.report import Rows
from sales_pipeline import customers, ledger
from sales_pipeline.anonymise import REDACTED
from sales_pipeline.customers import Keys
from sales_pipeline.star import StarRows
from sales_pipeline.warehouse import Warehouse


@dataclass(frozen=True)
class Orders:
    """The orders of some rows: their range, and whether each occurs once.

    Where a file brings orders in a range of their own, as a day's new orders are, nothing needs to
    be compared with what is known. The order of texts is that of their bytes, here as in the
    database.
    """

    first: str
    last: str
    distinct: bool

    @classmethod
    def of(cls, sales: pl.DataFrame) -> "Orders | None":
        """Those of a batch; None where it has none."""
        if sales.is_empty():
            return None
        first, last = sales.select(
            first=pl.col("order_id").min(), last=pl.col("order_id").max()
        ).row(0)
        distinct = not sales.select(
            pl.struct("order_id", "order_line").is_duplicated().any()
        ).item()
        return cls(first, last, distinct)

    def then(self, later: "Orders") -> "Orders":
        """These and those of the next batch together."""
        return Orders(
            min(self.first, later.first),
            max(self.last, later.last),
            self.distinct and later.distinct and self.last < later.first,
        )


@dataclass(frozen=True)
class StagedBatch:
    """What one batch adds to the staging tables, as CSV for COPY."""

    customers: bytes
    pseudonyms: bytes
    products: bytes
    sales: bytes
    dates: set[date]
    orders: Orders | None
    accepted: int

    @classmethod
    def of(cls, rows: StarRows, pseudonyms: pl.DataFrame) -> "StagedBatch":
        """A batch ready to be sent, with what earlier keys call its customers."""
        return cls(
            customers=_csv(rows.customers),
            pseudonyms=_csv(pseudonyms),
            products=_csv(rows.products),
            sales=_csv(rows.sales),
            dates=rows.dates,
            orders=Orders.of(rows.sales),
            accepted=rows.sales.height,
        )


def _csv(frame: pl.DataFrame) -> bytes:
    return b"" if frame.is_empty() else frame.write_csv(include_header=False).encode()


@dataclass
class Load:
    """The loading of one object, inside an open transaction."""

    warehouse: Warehouse
    schema: str
    object_id: int
    keys: Keys
    accepted: int = 0
    _dates: set[date] = field(default_factory=set)
    _orders: Orders | None = None

    @classmethod
    def begin(cls, warehouse: Warehouse, schema: str, object_id: int, keys: Keys) -> "Load":
        """Make room for the rows of one object.

        Raises:
            ConfigurationError: The keys do not go with those that were used before.
        """
        customers.check(warehouse, keys)
        warehouse.run("stage")
        return cls(warehouse, schema, object_id, keys)

    def stage(self, batch: StagedBatch) -> None:
        """Send one batch."""
        if batch.orders is None:
            return
        self.warehouse.copy("stg_customer", io.BytesIO(batch.customers))
        if batch.pseudonyms:
            self.warehouse.copy("stg_pseudonym", io.BytesIO(batch.pseudonyms))
        self.warehouse.copy("stg_product", io.BytesIO(batch.products))
        self.warehouse.copy("stg_sales", io.BytesIO(batch.sales))
        self._dates |= batch.dates
        self._orders = self._orders.then(batch.orders) if self._orders else batch.orders
        self.accepted += batch.accepted

    def merge(self, record: ledger.Record, earlier: list[int], *, rejected: int) -> Rows:
        """Merge what is staged into the star and complete the ledger row.

        Merges run one after the other: then none can deadlock with another or miss its rows, and
        each is bound by the same disk anyway.
        """
        self.warehouse.lock(f"merge:{self.schema}")
        ledger.write(self.warehouse, record, earlier)
        loaded = self._merge_rows(self._orders, record) if self._orders else 0
        if earlier:
            self.warehouse.run("drop_superseded_sales", {"earlier": earlier})
        rows = Rows(
            read=self.accepted + rejected,
            loaded=loaded,
            rejected=rejected,
            deduplicated=self.accepted - loaded,
        )
        ledger.write_counts(self.warehouse, self.object_id, rows)
        return rows

    def _merge_rows(self, orders: Orders, record: ledger.Record) -> int:
        params = {
            "object_id": self.object_id,
            "modified_at": record.ref.modified_at,
            "key": record.ref.key,
            "key_version": self.keys.newest,
            "address": REDACTED,
        }
        self.warehouse.run("analyze_stage")
        self.warehouse.run("merge_dates", {"dates": sorted(self._dates)})
        customers.merge(self.warehouse, self.keys, params)
        self.warehouse.run("merge_products", params)
        self.warehouse.run("resolve_keys")
        if orders.distinct and not self._overlaps(orders):
            return self.warehouse.run("insert_sales", params)
        self.warehouse.run("contest_sales", params)
        won = self.warehouse.run("update_won_sales", params)
        return won + self.warehouse.run("insert_new_sales", params)

    def _overlaps(self, orders: Orders) -> bool:
        known = {"first": orders.first, "last": orders.last}
        return bool(self.warehouse.value("overlapping_sales", known))
