"""Stage 4: batches into the star, in the one transaction that also writes ledger and rejects."""

from dataclasses import dataclass, field
from datetime import date

import polars as pl

from sales_api.report import Rows
from sales_pipeline import ledger
from sales_pipeline.star import StarRows
from sales_pipeline.warehouse import Warehouse


@dataclass(frozen=True)
class StagedBatch:
    """What one batch adds to the staging tables, as CSV for COPY."""

    customers: bytes
    products: bytes
    sales: bytes
    dates: set[date]
    accepted: int

    @classmethod
    def of(cls, rows: StarRows) -> "StagedBatch":
        """A batch ready to be sent."""
        return cls(
            customers=_csv(rows.customers),
            products=_csv(rows.products),
            sales=_csv(rows.sales),
            dates=rows.dates,
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
    accepted: int = 0
    _dates: set[date] = field(default_factory=set)

    @classmethod
    def begin(cls, warehouse: Warehouse, schema: str, object_id: int) -> "Load":
        """Make room for the rows of one object."""
        warehouse.run("stage")
        return cls(warehouse, schema, object_id)

    def stage(self, batch: StagedBatch) -> None:
        """Send one batch."""
        self.warehouse.copy("stg_customer", batch.customers)
        self.warehouse.copy("stg_product", batch.products)
        self.warehouse.copy("stg_sales", batch.sales)
        self._dates |= batch.dates
        self.accepted += batch.accepted

    def merge(
        self, record: ledger.Record, earlier: list[int], *, key_version: int, rejected: int
    ) -> Rows:
        """Merge what is staged into the star and complete the ledger row.

        Merges run one after the other: then none can deadlock with another or miss its rows, and
        each is bound by the same disk anyway.
        """
        self.warehouse.lock(f"merge:{self.schema}")
        ledger.write(self.warehouse, record, earlier)
        loaded = self._merge_rows(record, key_version) if self.accepted else 0
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

    def _merge_rows(self, record: ledger.Record, key_version: int) -> int:
        params = {
            "object_id": self.object_id,
            "modified_at": record.ref.modified_at,
            "key": record.ref.key,
            "key_version": key_version,
        }
        self.warehouse.run("analyze_stage")
        self.warehouse.run("merge_dates", {"dates": sorted(self._dates)})
        self.warehouse.run("merge_customers", params)
        self.warehouse.run("merge_products", params)
        new = self.warehouse.run("insert_sales", params)
        won = 0 if new == self.accepted else self.warehouse.value("contest_sales", params)
        return new + won
