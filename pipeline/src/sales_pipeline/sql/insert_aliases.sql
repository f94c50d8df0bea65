-- What earlier keys call the customers of this object, so that a run that has none but such a key
-- finds them too: one that began before the rotation, or comes after it was taken back.
INSERT INTO customer_alias (email_hash, key_version, customer_id)
SELECT DISTINCT p.earlier_hash, p.key_version, c.customer_id
FROM stg_pseudonym AS p
JOIN dim_customer AS c ON c.email_hash = p.email_hash
WHERE NOT EXISTS (SELECT FROM customer_alias AS a WHERE a.email_hash = p.earlier_hash)
