-- The ledger, newest first, as people ask for it; null parameters do not narrow.
SELECT object_id, ingest, key, version_id, etag, size_bytes, modified_at, sha256, contract_hash,
    run, attempt, status, error_code, archived_key, rows_read, rows_loaded, rows_rejected,
    rows_deduplicated, started_at, committed_at, superseded_by
FROM ingest_object
WHERE bucket = %(bucket)s
    AND (%(key)s::text IS NULL OR key = %(key)s)
    AND (%(prefix)s::text IS NULL OR starts_with(key, %(prefix)s))
    AND (%(run)s::text IS NULL OR run = %(run)s)
    AND (%(status)s::text IS NULL OR status = %(status)s)
    AND (%(other_than_contract)s::text IS NULL OR contract_hash <> %(other_than_contract)s)
    AND (%(superseded)s OR superseded_by IS NULL)
ORDER BY committed_at DESC, object_id DESC
LIMIT %(limit)s
