-- Of customers that have more than one row, which is kept: the one of greatest precedence, as if
-- both had been one from the beginning. They come of runs none of which had both keys.
CREATE TEMPORARY TABLE stg_double ON COMMIT DROP AS
SELECT customer_id, kept
FROM (
    SELECT
        c.customer_id,
        first_value(c.customer_id) OVER (
            PARTITION BY k.newest
            ORDER BY o.superseded_by IS NULL DESC, c.data_collected_at DESC, o.modified_at DESC,
                o.key DESC, c.row_number DESC, c.customer_id) AS kept
    FROM stg_known AS k
    JOIN dim_customer AS c ON c.customer_id = k.customer_id
    LEFT JOIN ingest_object AS o ON o.object_id = c.object_id
    WHERE k.newest IN (SELECT newest FROM stg_known GROUP BY newest HAVING count(*) > 1)
) AS ranked
WHERE customer_id <> kept
