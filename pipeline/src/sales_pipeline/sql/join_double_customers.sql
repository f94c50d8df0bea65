-- Sales and pseudonyms go over to the row that is kept. The sales are found by reading all of them:
-- this is rare, and an index would cost every load.
UPDATE fact_sales AS f SET customer_id = d.kept, updated_at = now()
FROM stg_double AS d WHERE f.customer_id = d.customer_id;
UPDATE customer_alias AS a SET customer_id = d.kept
FROM stg_double AS d WHERE a.customer_id = d.customer_id;
WITH gone AS (
    DELETE FROM dim_customer AS c USING stg_double AS d WHERE c.customer_id = d.customer_id
    RETURNING c.email_hash, c.key_version, d.kept
)
INSERT INTO customer_alias (email_hash, key_version, customer_id)
SELECT email_hash, key_version, kept FROM gone
ON CONFLICT DO NOTHING;
DELETE FROM stg_known AS k USING stg_double AS d WHERE k.customer_id = d.customer_id
