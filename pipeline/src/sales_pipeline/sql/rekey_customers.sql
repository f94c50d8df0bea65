-- Known customers get the pseudonym of this run's key; the one they had becomes an alias.
WITH rekeyed AS (
    UPDATE dim_customer AS c SET
        email_hash = k.newest,
        key_version = %(key_version)s,
        updated_at = now()
    FROM stg_known AS k
    WHERE c.customer_id = k.customer_id AND c.email_hash <> k.newest
    RETURNING old.email_hash, old.key_version, new.customer_id
)
INSERT INTO customer_alias (email_hash, key_version, customer_id)
SELECT email_hash, key_version, customer_id FROM rekeyed
ON CONFLICT DO NOTHING
