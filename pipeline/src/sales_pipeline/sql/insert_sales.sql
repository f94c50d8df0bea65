-- Orders that the warehouse has not seen. Whatever meets a known order, or the same order twice in
-- one file, is left for contest_sales.sql.
INSERT INTO fact_sales (
    order_id, order_line, customer_id, product_id, order_date_id, delivery_date_id, quantity,
    discounted_price, original_price, discount_percentage, profit, data_collected_at,
    object_id, row_number)
SELECT
    s.order_id, s.order_line, customer.customer_id, product.product_id, s.order_date_id,
    s.delivery_date_id, s.quantity, s.discounted_price, s.original_price, s.discount_percentage,
    s.profit, s.data_collected_at, %(object_id)s, s.row_number
FROM stg_sales AS s
JOIN stg_customer AS c ON c.ref = s.customer_ref
JOIN dim_customer AS customer ON customer.email_hash = c.email_hash
JOIN stg_product AS p ON p.ref = s.product_ref
JOIN dim_product AS product
    ON product.product_title = p.product_title AND product.product_category = p.product_category
ON CONFLICT (order_id, order_line) DO NOTHING
