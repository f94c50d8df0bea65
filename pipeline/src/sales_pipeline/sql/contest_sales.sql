-- For each order that is known already: the record of greatest precedence stays, whichever came
-- first. On an exact tie it is the same record, read again, and the later reading counts.
WITH contender AS (
    SELECT DISTINCT ON (s.order_id, s.order_line) s.*
    FROM stg_sales AS s
    JOIN fact_sales AS f ON f.order_id = s.order_id AND f.order_line = s.order_line
    WHERE f.object_id <> %(object_id)s OR f.row_number <> s.row_number
    ORDER BY s.order_id, s.order_line, s.data_collected_at DESC, s.row_number DESC
), won AS (
    UPDATE fact_sales AS f SET
        customer_id = customer.customer_id,
        product_id = product.product_id,
        order_date_id = s.order_date_id,
        delivery_date_id = s.delivery_date_id,
        quantity = s.quantity,
        discounted_price = s.discounted_price,
        original_price = s.original_price,
        discount_percentage = s.discount_percentage,
        profit = s.profit,
        data_collected_at = s.data_collected_at,
        object_id = %(object_id)s,
        row_number = s.row_number,
        updated_at = now()
    FROM contender AS s
    JOIN stg_customer AS c ON c.ref = s.customer_ref
    JOIN dim_customer AS customer ON customer.email_hash = c.email_hash
    JOIN stg_product AS p ON p.ref = s.product_ref
    JOIN dim_product AS product
        ON product.product_title = p.product_title
        AND product.product_category = p.product_category
    , ingest_object AS o
    WHERE f.order_id = s.order_id AND f.order_line = s.order_line AND o.object_id = f.object_id
        AND (s.data_collected_at, %(modified_at)s::timestamptz, %(key)s COLLATE "C", s.row_number)
            >= (f.data_collected_at, o.modified_at, o.key, f.row_number)
    RETURNING old.object_id AS from_object
)
SELECT count(*) FILTER (WHERE from_object <> %(object_id)s) FROM won
