-- The key of the pseudonyms may be rotated: which keys were used, and what other pseudonyms a
-- customer has under them (docs/adr/0014). Neither is for dashboards, and what the warehouse knows
-- of keys only its owner may change.

CREATE TABLE pseudonym_key (
    key_version integer PRIMARY KEY,
    check_value text COLLATE "C" NOT NULL,
    needed boolean NOT NULL DEFAULT true,
    first_used_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN pseudonym_key.check_value IS
    'HMAC of a fixed text under the key, cut to 16 hex characters: tells keys apart, gives none away.';
COMMENT ON COLUMN pseudonym_key.needed IS
    'Whether runs with a later key must have this one too, so that its customers are found again.';

CREATE TABLE customer_alias (
    email_hash text COLLATE "C" PRIMARY KEY,
    key_version integer NOT NULL,
    customer_id bigint NOT NULL REFERENCES dim_customer NOT ENFORCED
);
COMMENT ON TABLE customer_alias IS
    'Pseudonyms of customers under other keys than the one that dim_customer shows.';

DO $$
BEGIN
    EXECUTE format(
        'REVOKE ALL ON %1$I.pseudonym_key, %1$I.customer_alias FROM etl_loader, metabase_reader',
        current_schema());
    EXECUTE format('GRANT SELECT, INSERT ON %I.pseudonym_key TO etl_loader', current_schema());
    EXECUTE format(
        'GRANT SELECT, INSERT, UPDATE, DELETE ON %I.customer_alias TO etl_loader',
        current_schema());
END $$;
