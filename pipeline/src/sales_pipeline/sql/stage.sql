-- Where the rows of one object wait for the merge: unlogged, seen by nobody else, gone with the
-- transaction. A ref is the number of the row that stands for a customer or product in its batch,
-- so that a staged sale carries eight bytes instead of a pseudonym.
--
-- Joins of a large object are kept in memory where they fit; each takes this much at most.
SET LOCAL work_mem = '64MB';
CREATE TEMPORARY TABLE stg_customer (
    ref bigint NOT NULL,
    email_hash text COLLATE "C" NOT NULL,
    customer_name text,
    phone_redacted text NOT NULL,
    data_collected_at date NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stg_pseudonym (
    email_hash text COLLATE "C" NOT NULL,
    earlier_hash text COLLATE "C" NOT NULL,
    key_version integer NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stg_product (
    ref bigint NOT NULL,
    product_title text COLLATE "C" NOT NULL,
    product_category text COLLATE "C" NOT NULL,
    product_rating numeric NOT NULL,
    is_best_seller boolean NOT NULL,
    data_collected_at date NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE stg_sales (
    order_id text COLLATE "C" NOT NULL,
    order_line integer NOT NULL,
    customer_ref bigint NOT NULL,
    product_ref bigint NOT NULL,
    order_date_id integer NOT NULL,
    delivery_date_id integer NOT NULL,
    quantity integer NOT NULL,
    discounted_price numeric NOT NULL,
    original_price numeric NOT NULL,
    discount_percentage smallint NOT NULL,
    profit numeric NOT NULL,
    data_collected_at date NOT NULL,
    row_number bigint NOT NULL
) ON COMMIT DROP;
