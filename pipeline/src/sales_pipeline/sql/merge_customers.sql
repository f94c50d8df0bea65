-- Type 1: of all records that ever named a customer, the one of greatest precedence
-- (data_collected_at, object's modification time, object key, row number) says what is known.
INSERT INTO dim_customer AS known (
    email_hash, key_version, customer_name, phone_redacted, address_redacted,
    data_collected_at, object_id, row_number)
SELECT DISTINCT ON (email_hash)
    email_hash, %(key_version)s, customer_name, phone_redacted, address_redacted,
    data_collected_at, %(object_id)s, row_number
FROM stg_customer
ORDER BY email_hash, data_collected_at DESC, row_number DESC
ON CONFLICT (email_hash) DO UPDATE SET
    key_version = excluded.key_version,
    customer_name = excluded.customer_name,
    phone_redacted = excluded.phone_redacted,
    address_redacted = excluded.address_redacted,
    data_collected_at = excluded.data_collected_at,
    object_id = excluded.object_id,
    row_number = excluded.row_number,
    updated_at = now()
WHERE (excluded.data_collected_at, %(modified_at)s::timestamptz, %(key)s, excluded.row_number) >= (
    SELECT known.data_collected_at, o.modified_at, o.key, known.row_number
    FROM ingest_object AS o WHERE o.object_id = known.object_id)
