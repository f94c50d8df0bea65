"""Why a row or a whole object was refused: stable words, for ledger, reports, mails and metrics.

A row's code is `field.kind`, or `row.kind` where the row has no trustworthy fields.
docs/codes.md explains each; a test keeps that page complete.
"""

from enum import StrEnum


class RowCode(StrEnum):
    """Codes of rejected rows."""

    ROW_BLANK = "row.blank"
    ROW_TOO_FEW_FIELDS = "row.too_few_fields"
    ROW_TOO_MANY_FIELDS = "row.too_many_fields"
    ROW_MALFORMED = "row.malformed"
    ORDER_ID_MISSING = "order_id.missing"
    ORDER_ID_LENGTH = "order_id.length"
    ORDER_ID_CHARACTERS = "order_id.characters"
    ORDER_LINE_MISSING = "order_line.missing"
    ORDER_LINE_TYPE = "order_line.type"
    ORDER_LINE_RANGE = "order_line.range"
    CUSTOMER_NAME_MISSING = "customer_name.missing"
    CUSTOMER_NAME_LENGTH = "customer_name.length"
    CUSTOMER_NAME_CHARACTERS = "customer_name.characters"
    CUSTOMER_EMAIL_MISSING = "customer_email.missing"
    CUSTOMER_EMAIL_FORMAT = "customer_email.format"
    CUSTOMER_KEY_MISSING = "customer_key.missing"
    CUSTOMER_KEY_LENGTH = "customer_key.length"
    CUSTOMER_KEY_CHARACTERS = "customer_key.characters"
    CUSTOMER_PHONE_MISSING = "customer_phone.missing"
    CUSTOMER_PHONE_LENGTH = "customer_phone.length"
    CUSTOMER_PHONE_CHARACTERS = "customer_phone.characters"
    CUSTOMER_ADDRESS_MISSING = "customer_address.missing"
    CUSTOMER_ADDRESS_LENGTH = "customer_address.length"
    CUSTOMER_ADDRESS_CHARACTERS = "customer_address.characters"
    PRODUCT_TITLE_MISSING = "product_title.missing"
    PRODUCT_TITLE_LENGTH = "product_title.length"
    PRODUCT_TITLE_CHARACTERS = "product_title.characters"
    PRODUCT_RATING_MISSING = "product_rating.missing"
    PRODUCT_RATING_TYPE = "product_rating.type"
    PRODUCT_RATING_SCALE = "product_rating.scale"
    PRODUCT_RATING_RANGE = "product_rating.range"
    DISCOUNTED_PRICE_MISSING = "discounted_price.missing"
    DISCOUNTED_PRICE_TYPE = "discounted_price.type"
    DISCOUNTED_PRICE_SCALE = "discounted_price.scale"
    DISCOUNTED_PRICE_RANGE = "discounted_price.range"
    ORIGINAL_PRICE_MISSING = "original_price.missing"
    ORIGINAL_PRICE_TYPE = "original_price.type"
    ORIGINAL_PRICE_SCALE = "original_price.scale"
    ORIGINAL_PRICE_RANGE = "original_price.range"
    DISCOUNT_PERCENTAGE_MISSING = "discount_percentage.missing"
    DISCOUNT_PERCENTAGE_TYPE = "discount_percentage.type"
    DISCOUNT_PERCENTAGE_RANGE = "discount_percentage.range"
    IS_BEST_SELLER_MISSING = "is_best_seller.missing"
    IS_BEST_SELLER_TYPE = "is_best_seller.type"
    DELIVERY_DATE_MISSING = "delivery_date.missing"
    DELIVERY_DATE_FORMAT = "delivery_date.format"
    DELIVERY_DATE_BEFORE_ORDER = "delivery_date.before_order"
    DATA_COLLECTED_AT_MISSING = "data_collected_at.missing"
    DATA_COLLECTED_AT_FORMAT = "data_collected_at.format"
    ORDER_DATE_MISSING = "order_date.missing"
    ORDER_DATE_FORMAT = "order_date.format"
    PRODUCT_CATEGORY_MISSING = "product_category.missing"
    PRODUCT_CATEGORY_LENGTH = "product_category.length"
    PRODUCT_CATEGORY_CHARACTERS = "product_category.characters"
    QUANTITY_MISSING = "quantity.missing"
    QUANTITY_TYPE = "quantity.type"
    QUANTITY_RANGE = "quantity.range"

    @property
    def field(self) -> str:
        """The column concerned, or `row`."""
        return self.value.partition(".")[0]


class FileCode(StrEnum):
    """Codes of objects that are refused as a whole."""

    EMPTY = "file.empty"
    ENCODING = "file.encoding"
    COMPRESSION = "file.compression"
    DIALECT = "file.dialect"
    COLUMNS_MISSING = "file.columns_missing"
    COLUMNS_UNKNOWN = "file.columns_unknown"
    COLUMNS_DUPLICATE = "file.columns_duplicate"
    REJECTED_ROWS = "file.rejected_rows"
