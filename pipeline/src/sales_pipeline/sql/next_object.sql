SELECT nextval(pg_get_serial_sequence('ingest_object', 'object_id'))
