-- Rows of an earlier reading of the same content that the new reading has not taken over.
DELETE FROM fact_sales WHERE object_id = ANY(%(earlier)s)
