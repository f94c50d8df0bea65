-- A fresh temporary table has no statistics, and the planner would guess it small.
ANALYZE stg_customer, stg_product, stg_sales
