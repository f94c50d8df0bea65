-- A warehouse that has been in use: sales of many objects, five to a customer. The keys of the rows
-- that will be loaded are a prefix and eight digits. These have two other characters in place of the
-- last two digits, so that old and new keys lie side by side all over the index.
INSERT INTO ingest_object (
    ingest, bucket, key, etag, size_bytes, modified_at, sha256, contract_hash, run, attempt, status,
    rows_read, rows_loaded, archived_key, started_at)
SELECT
    'bench/prefilled', 'bench', 'raw/' || n || '.csv', md5(n::text), 20000000, now(),
    encode(sha256(n::text::bytea), 'hex'), 'none', 'prefill', 1, 'loaded', 100000, 100000,
    'processed/' || n || '.csv', now()
FROM generate_series(0, %(rows)s / 100000) AS n;
INSERT INTO dim_date
SELECT
    to_char(date, 'YYYYMMDD')::integer, date, extract(year FROM date), extract(quarter FROM date),
    extract(month FROM date), extract(day FROM date), extract(isodow FROM date) - 1,
    extract(week FROM date), extract(isodow FROM date) >= 6
FROM generate_series('2022-01-01'::date, '2024-12-31', '1 day') AS date;
INSERT INTO dim_customer (
    email_hash, key_version, customer_name, phone_redacted, address_redacted, data_collected_at,
    object_id, row_number)
SELECT
    encode(sha256(n::text::bytea), 'hex'), 1, 'A.B.', '***-***-0000', '[redacted]', '2024-01-01',
    1, n
FROM generate_series(1, %(customers)s) AS n;
INSERT INTO dim_product (
    product_title, product_category, product_rating, is_best_seller, data_collected_at, object_id,
    row_number)
SELECT 'Article ' || n, 'Category ' || n %% 12, 4.5, n %% 7 = 0, '2024-01-01', 1, n
FROM generate_series(1, 500) AS n;
INSERT INTO fact_sales (
    order_id, customer_id, product_id, order_date_id, delivery_date_id, quantity, discounted_price,
    original_price, discount_percentage, profit, data_collected_at, object_id, row_number)
SELECT
    %(prefix)s || lpad((n / %(per_gap)s)::text, 6, '0')
        || chr(65 + (n %% %(per_gap)s / 26)::integer) || chr(97 + (n %% %(per_gap)s %% 26)::integer),
    1 + hashint8(n)::bigint %% (%(customers)s / 2) + %(customers)s / 2, 1 + n %% 500,
    ordered.date_id, ordered.date_id, 1 + n %% 7, 80.00, 100.00, 20, 20.00, ordered.date,
    1 + n / 100000, 1 + n %% 100000
FROM generate_series(0::bigint, %(rows)s - 1) AS n
JOIN (SELECT date_id, date, row_number() OVER (ORDER BY date_id) - 1 AS place FROM dim_date)
    AS ordered ON ordered.place = n * 1096 / %(rows)s
