-- Before the new row is written, so that the identity is free for it.
UPDATE ingest_object SET superseded_by = %(object_id)s WHERE object_id = ANY(%(earlier)s)
