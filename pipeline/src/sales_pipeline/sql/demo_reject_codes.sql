-- Why rows were rejected, over all objects
SELECT code, count(*) AS times
FROM ingest_reject
GROUP BY code
ORDER BY times DESC, code
