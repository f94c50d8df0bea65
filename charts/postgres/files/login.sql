-- Brings one login to what its secret and the values say: attributes, password, memberships.
-- Variables: `secret`, a folder of `secrets`; `groups`, separated by commas; `connection_limit`.
\ir make_login.sql
ALTER ROLE :"login" WITH LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    CONNECTION LIMIT :connection_limit VALID UNTIL 'infinity' PASSWORD :'password';
\unset password

SELECT format('GRANT %I TO %I WITH ADMIN FALSE, INHERIT TRUE, SET FALSE', name, :'login')
FROM unnest(string_to_array(:'groups', ',')) AS name
\gexec
-- What superusers grant counts as granted by the first of them, whose oid is 10. Whatever others
-- granted goes, be it the right group.
SELECT format(
    'REVOKE %s FROM %I GRANTED BY %s CASCADE', roleid::regrole, :'login', grantor::regrole
)
FROM pg_auth_members
JOIN pg_roles AS member ON member.oid = pg_auth_members.member
WHERE member.rolname = :'login'
    AND (grantor <> 10 OR pg_get_userbyid(roleid) <> ALL (string_to_array(:'groups', ',')))
\gexec
