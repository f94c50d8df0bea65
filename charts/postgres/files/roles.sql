-- Brings groups, logins, the database and the right to connect to what the values say, however often
-- it is run. By a superuser, in the database `postgres`, with the psql variable `secrets`: the folder
-- that has one folder per Secret.
\set ON_ERROR_STOP on
-- Statements here hold passwords. Terse errors quote no statement; the settings keep it out of the
-- server's log, the view of activity and the statistics of statements.
\set VERBOSITY terse
SET client_min_messages = warning;
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET log_min_duration_sample = -1;
SET track_activities = off;
SET pg_stat_statements.track_utility = off;

-- One at a time.
SELECT FROM pg_advisory_lock(hashtextextended('postgres bootstrap', 0)) \g /dev/null

-- Groups have the rights, and nobody can be one: the migrations say what each may do.
SELECT format('CREATE ROLE %I', name)
FROM unnest(ARRAY['etl_loader', 'metabase_reader']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
ALTER ROLE etl_loader WITH NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE metabase_reader WITH NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;

CREATE TEMPORARY TABLE wanted_login (
    name text CONSTRAINT each_secret_has_a_username_of_its_own PRIMARY KEY
);
\ir logins.sql

-- A login of ours that is no longer wanted keeps what it owns, and gets in no more.
SELECT format('ALTER ROLE %I WITH NOLOGIN PASSWORD NULL', rolname)
FROM pg_roles
WHERE rolcanlogin
    AND shobj_description(oid, 'pg_authid') = 'managed by the chart postgres'
    AND rolname NOT IN (SELECT name FROM wanted_login)
\gexec

SELECT format('CREATE DATABASE %I TEMPLATE template0 OWNER %I', :'database', :'owner')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database')
\gexec
ALTER DATABASE :"database" OWNER TO :"owner";
-- A setting of the database and not of logins: it also counts for logins that others make.
ALTER DATABASE :"database" SET search_path = :"schema";

-- Without these lines every login may connect to every database.
REVOKE ALL ON DATABASE :"database", postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO etl_loader, metabase_reader;

-- The certificate may have been renewed since the server read it.
SELECT FROM pg_reload_conf() \g /dev/null

\connect :"database"
REVOKE ALL ON SCHEMA public FROM PUBLIC;
