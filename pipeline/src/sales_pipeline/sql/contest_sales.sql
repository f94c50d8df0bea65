-- For each order of this object its record of greatest precedence, and what the warehouse has of it:
-- of all records of an order the one of greatest precedence stays, whichever came first. On a tie
-- it is the same object, read again, and what it says now counts; and whatever a reading said that
-- this one replaces, it says no more.
CREATE TEMPORARY TABLE stg_contest ON COMMIT DROP AS
SELECT DISTINCT ON (s.order_id, s.order_line)
    s.*,
    c.customer_id,
    p.product_id,
    f.order_id IS NULL AS is_new,
    o.superseded_by IS NOT NULL
        OR (s.data_collected_at, %(modified_at)s::timestamptz, %(key)s COLLATE "C")
            >= (f.data_collected_at, o.modified_at, o.key) AS wins
FROM stg_sales AS s
JOIN stg_customer_key AS c ON c.ref = s.customer_ref
JOIN stg_product_key AS p ON p.ref = s.product_ref
LEFT JOIN fact_sales AS f ON f.order_id = s.order_id AND f.order_line = s.order_line
LEFT JOIN ingest_object AS o ON o.object_id = f.object_id
ORDER BY s.order_id, s.order_line, s.data_collected_at DESC, s.row_number DESC
