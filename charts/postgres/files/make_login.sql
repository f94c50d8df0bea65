-- Makes the login of one secret where there is none, for other scripts to bring to what it shall be.
-- Variables: `secret`, a folder of `secrets`. Sets `login` and `password`.
\set login `cat :'secrets'/:'secret'/username`
\set password `cat :'secrets'/:'secret'/password`
\echo Secret :secret is the login :login

SELECT EXISTS (
    SELECT FROM pg_roles
    WHERE rolname = :'login' AND (rolsuper OR rolname IN ('etl_loader', 'metabase_reader'))
) AS taken \gset
\if :taken
    DO $$ BEGIN RAISE EXCEPTION 'a superuser or a group is called so: choose another username'; END $$;
\endif
INSERT INTO wanted_login VALUES (:'login');

SELECT format('CREATE ROLE %I', :'login')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'login')
\gexec
COMMENT ON ROLE :"login" IS 'managed by the chart postgres';
