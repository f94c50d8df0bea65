-- Brings the login that Vault makes logins with to what it needs for that, and no more.
-- Variables: `secret`, a folder of `secrets`.
\ir make_login.sql

-- Set while there is none. Vault changes it, and nobody else knows it then: to bring back what the
-- secret says would lock Vault out.
SELECT rolpassword IS NULL AS is_new FROM pg_authid WHERE rolname = :'login' \gset
\if :is_new
    ALTER ROLE :"login" WITH PASSWORD :'password';
\endif
\unset password
ALTER ROLE :"login" WITH LOGIN INHERIT NOSUPERUSER NOCREATEDB CREATEROLE NOREPLICATION NOBYPASSRLS
    CONNECTION LIMIT -1 VALID UNTIL 'infinity';
-- With the rights of the logins it makes it can end their sessions and hand over what they own.
ALTER ROLE :"login" SET createrole_self_grant = 'set, inherit';
GRANT etl_loader, metabase_reader TO :"login" WITH ADMIN TRUE, INHERIT TRUE, SET FALSE;

-- It is a member of the logins that it makes as well, and must stay that. Nobody made for it what is
-- PostgreSQL's, a superuser, ours, or a group by another's hand.
SELECT format(
    'REVOKE %s FROM %I GRANTED BY %s CASCADE', roleid::regrole, :'login', grantor::regrole
)
FROM pg_auth_members
JOIN pg_roles AS member ON member.oid = pg_auth_members.member
JOIN pg_roles AS granted ON granted.oid = roleid
WHERE member.rolname = :'login'
    AND (
        starts_with(granted.rolname, 'pg_')
        OR granted.rolsuper
        OR shobj_description(roleid, 'pg_authid') = 'managed by the chart postgres'
        OR (granted.rolname IN ('etl_loader', 'metabase_reader') AND grantor <> 10)
    )
\gexec
