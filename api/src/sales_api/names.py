"""Identity, spelled once: API group and versions, the record's columns, environment names."""

from typing import Final

GROUP: Final = "minidata.io"
REPORT_VERSION: Final = f"report.{GROUP}/v1alpha1"

REQUEST_ENV: Final = "SALES_RUN_REQUEST"
"""The environment variable that carries a RunRequest into the pipeline's pod."""

RECORD_COLUMNS: Final = (
    "order_id",
    "customer_name",
    "customer_email",
    "customer_phone",
    "customer_address",
    "product_title",
    "product_rating",
    "discounted_price",
    "original_price",
    "discount_percentage",
    "is_best_seller",
    "delivery_date",
    "data_collected_at",
    "order_date",
    "product_category",
    "quantity",
)
"""The sixteen columns of a sales record under the default contract, in file order."""

ORDER_LINE: Final = "order_line"
"""The one column a contract may add: a line number within the order (1 where it is absent)."""
