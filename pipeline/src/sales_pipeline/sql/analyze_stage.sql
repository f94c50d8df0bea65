-- A fresh temporary table has no statistics, and the planner would guess it small.
ANALYZE stg_customer (ref, email_hash), stg_product, stg_sales (customer_ref, product_ref, order_id)
