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

VERSION: Final = "v1alpha1"
KIND: Final = "SalesIngest"
PLURAL: Final = "salesingests"
SHORT_NAME: Final = "si"
CATEGORY: Final = "minidata"

LABEL_INGEST: Final = f"{GROUP}/ingest"
"""On each Job, CronJob and pod of runs: the name of the ingest (cut to 63 characters)."""
LABEL_INGEST_UID: Final = f"{GROUP}/ingest-uid"
"""The ingest's uid, by which the operator finds its Jobs."""
ANNOTATION_GENERATION: Final = f"{GROUP}/generation"
"""On a Job: the generation of the spec that it was made from."""
ANNOTATION_RETRY: Final = f"{GROUP}/retry"
"""On an ingest: any new value releases what is parked. On a Job: the value it was made under."""
ANNOTATION_WAKE: Final = f"{GROUP}/woken-at"
"""On an ingest: a replica that does not lead heard an event, and wakes the one that does."""
ANNOTATION_REFUSED: Final = f"{GROUP}/events-refused"
"""On an ingest: since when until when a replica that does not lead has refused events."""

MANAGED_BY: Final = "sales-operator"
PIPELINE: Final = "sales-pipeline"
"""app.kubernetes.io/name of the pods of runs; NetworkPolicies know them by it."""
