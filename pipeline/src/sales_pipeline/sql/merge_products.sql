-- Type 1, as for customers.
INSERT INTO dim_product AS known (
    product_title, product_category, product_rating, is_best_seller,
    data_collected_at, object_id, row_number)
SELECT DISTINCT ON (product_title, product_category)
    product_title, product_category, product_rating, is_best_seller,
    data_collected_at, %(object_id)s, ref
FROM stg_product
ORDER BY product_title, product_category, data_collected_at DESC, ref DESC
ON CONFLICT (product_title, product_category) DO UPDATE SET
    product_rating = excluded.product_rating,
    is_best_seller = excluded.is_best_seller,
    data_collected_at = excluded.data_collected_at,
    object_id = excluded.object_id,
    row_number = excluded.row_number,
    updated_at = now()
WHERE coalesce((excluded.data_collected_at, %(modified_at)s::timestamptz, %(key)s COLLATE "C") >= (
    SELECT known.data_collected_at, o.modified_at, o.key
    FROM ingest_object AS o
    WHERE o.object_id = known.object_id AND o.superseded_by IS NULL), true)
