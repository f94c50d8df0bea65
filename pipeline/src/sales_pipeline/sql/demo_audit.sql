-- What the demo holds against what it delivered, counted by the database rather than by the run
SELECT (SELECT count(*) FROM fact_sales) AS facts,
       (SELECT count(*) FROM dim_customer) AS customers,
       (SELECT count(*) FROM dim_product) AS products,
       (SELECT count(*) FROM (SELECT DISTINCT object_id, row_number FROM ingest_reject) AS rows)
           AS rejected,
       -- The foreign keys are declared, not enforced: a fact without its dimensions would be here.
       (SELECT count(*)
        FROM fact_sales f
        LEFT JOIN dim_customer c ON c.customer_id = f.customer_id
        LEFT JOIN dim_product p ON p.product_id = f.product_id
        LEFT JOIN dim_date o ON o.date_id = f.order_date_id
        LEFT JOIN dim_date d ON d.date_id = f.delivery_date_id
        WHERE c.customer_id IS NULL OR p.product_id IS NULL OR o.date_id IS NULL
           OR (f.delivery_date_id IS NOT NULL AND d.date_id IS NULL)) AS orphans,
       -- Pseudonym, initials, four digits and a constant are all that may be left of a person.
       (SELECT count(*)
        FROM dim_customer
        WHERE email_hash !~ '^[0-9a-f]{64}$'
           OR customer_name !~ '^([^[:space:]][.]){1,3}$'
           OR phone_redacted !~ '^[*]{3}-[*]{3}-([*]{4}|[0-9]{4})$'
           OR address_redacted <> '[redacted]') AS legible
