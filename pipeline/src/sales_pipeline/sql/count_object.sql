-- Last: the CHECK on the ledger row holds read = loaded + rejected + deduplicated.
UPDATE ingest_object
SET rows_read = %(read)s, rows_loaded = %(loaded)s, rows_rejected = %(rejected)s,
    rows_deduplicated = %(deduplicated)s
WHERE object_id = %(object_id)s
