-- Loaded objects whose reading replaced another that had something in quarantine, and where the
-- other had left them. The move out of quarantine follows the commit, so it may be still to do.
SELECT o.key, o.version_id, o.etag, o.size_bytes, o.modified_at, o.sha256, o.archived_key,
    o.rows_rejected, earlier.archived_key AS left_at
FROM ingest_object AS o
JOIN ingest_object AS earlier ON earlier.superseded_by = o.object_id
WHERE o.bucket = %(bucket)s AND o.status = 'loaded' AND o.superseded_by IS NULL
    AND (earlier.status = 'quarantined' OR (earlier.rows_rejected > 0 AND o.rows_rejected = 0))
ORDER BY o.object_id
