-- All of the staged sales, where each is known to be an order that neither the warehouse nor this
-- object has otherwise.
INSERT INTO fact_sales (
    order_id, order_line, customer_id, product_id, order_date_id, delivery_date_id, quantity,
    discounted_price, original_price, discount_percentage, profit, data_collected_at,
    object_id, row_number)
SELECT
    s.order_id, s.order_line, c.customer_id, p.product_id, s.order_date_id, s.delivery_date_id,
    s.quantity, s.discounted_price, s.original_price, s.discount_percentage, s.profit,
    s.data_collected_at, %(object_id)s, s.row_number
FROM stg_sales AS s
JOIN stg_customer_key AS c ON c.ref = s.customer_ref
JOIN stg_product_key AS p ON p.ref = s.product_ref
