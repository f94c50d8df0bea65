-- Type 1: of all records that ever named a customer, the one of greatest precedence
-- (data_collected_at, modification time of the object, its key, row number) says what is known. On a
-- tie of the first three it is the same object, read again: what it says now counts. What a reading
-- said that another has replaced holds against nobody.
INSERT INTO dim_customer AS known (
    email_hash, key_version, customer_name, phone_redacted, address_redacted,
    data_collected_at, object_id, row_number)
SELECT DISTINCT ON (email_hash)
    email_hash, %(key_version)s, customer_name, phone_redacted, %(address)s,
    data_collected_at, %(object_id)s, ref
FROM stg_customer
ORDER BY email_hash, data_collected_at DESC, ref DESC
ON CONFLICT (email_hash) DO UPDATE SET
    key_version = excluded.key_version,
    customer_name = excluded.customer_name,
    phone_redacted = excluded.phone_redacted,
    address_redacted = excluded.address_redacted,
    data_collected_at = excluded.data_collected_at,
    object_id = excluded.object_id,
    row_number = excluded.row_number,
    updated_at = now()
WHERE coalesce((excluded.data_collected_at, %(modified_at)s::timestamptz, %(key)s COLLATE "C") >= (
    SELECT known.data_collected_at, o.modified_at, o.key
    FROM ingest_object AS o
    WHERE o.object_id = known.object_id AND o.superseded_by IS NULL), true)
