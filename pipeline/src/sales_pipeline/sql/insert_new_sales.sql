-- Orders that the warehouse has not seen; no two of them are the same. Nobody else can add one
-- meanwhile: merges hold a lock.
INSERT INTO fact_sales (
    order_id, order_line, customer_id, product_id, order_date_id, delivery_date_id, quantity,
    discounted_price, original_price, discount_percentage, profit, data_collected_at,
    object_id, row_number)
SELECT
    order_id, order_line, customer_id, product_id, order_date_id, delivery_date_id, quantity,
    discounted_price, original_price, discount_percentage, profit, data_collected_at,
    %(object_id)s, row_number
FROM stg_contest
WHERE is_new
