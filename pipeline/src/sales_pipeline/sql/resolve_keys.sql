-- From the refs of this object to the keys of the warehouse. The statistics decide the plan of what
-- follows: with them the sales are read in their own order, and indexes grow at one end.
CREATE TEMPORARY TABLE stg_customer_key ON COMMIT DROP AS
SELECT c.ref, d.customer_id
FROM stg_customer AS c JOIN dim_customer AS d ON d.email_hash = c.email_hash;
CREATE TEMPORARY TABLE stg_product_key ON COMMIT DROP AS
SELECT p.ref, d.product_id
FROM stg_product AS p
JOIN dim_product AS d
    ON d.product_title = p.product_title AND d.product_category = p.product_category;
ANALYZE stg_customer_key, stg_product_key
