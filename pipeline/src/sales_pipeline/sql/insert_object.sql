INSERT INTO ingest_object (
    object_id, ingest, bucket, key, version_id, etag, size_bytes, modified_at, sha256,
    contract_hash, run, attempt, status, error_code, archived_key, started_at)
VALUES (
    %(object_id)s, %(ingest)s, %(bucket)s, %(key)s, %(version_id)s, %(etag)s, %(size_bytes)s,
    %(modified_at)s, %(sha256)s, %(contract_hash)s, %(run)s, %(attempt)s, %(status)s,
    %(error_code)s, %(archived_key)s, %(started_at)s)
