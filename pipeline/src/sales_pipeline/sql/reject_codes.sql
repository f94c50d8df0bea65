SELECT code, count(*) AS times, min(row_number) AS first_row
FROM ingest_reject WHERE object_id = %(object_id)s
GROUP BY code ORDER BY times DESC, code
