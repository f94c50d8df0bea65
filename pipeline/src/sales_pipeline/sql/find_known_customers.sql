-- Which rows the warehouse has of each staged customer, by any pseudonym that is known of it.
ANALYZE stg_pseudonym;
CREATE TEMPORARY TABLE stg_known ON COMMIT DROP AS
WITH name AS (
    SELECT email_hash AS newest, email_hash FROM stg_customer
    UNION
    SELECT email_hash, earlier_hash FROM stg_pseudonym
)
SELECT name.newest, c.customer_id
FROM name JOIN dim_customer AS c ON c.email_hash = name.email_hash
UNION
SELECT name.newest, a.customer_id
FROM name JOIN customer_alias AS a ON a.email_hash = name.email_hash;
ANALYZE stg_known
