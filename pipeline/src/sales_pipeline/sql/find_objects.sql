-- What the ledger knows of one key, newest content first.
SELECT object_id, version_id, etag, size_bytes, modified_at, sha256, contract_hash, status,
    error_code, archived_key, rows_read, rows_loaded, rows_rejected, rows_deduplicated
FROM ingest_object
WHERE bucket = %(bucket)s AND key = %(key)s AND superseded_by IS NULL
ORDER BY modified_at DESC, object_id DESC
