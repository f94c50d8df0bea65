{{/* What the chart's own clients, bootstrap and test, have in common. */}}

{{- define "postgres.clientEnv" -}}
- {name: PGHOST, value: {{ include "postgres.fullname" . }}}
- {name: PGPORT, value: "5432"}
- {name: PGDATABASE, value: {{ .Values.database.name }}}
- {name: PGSSLMODE, value: verify-full}
- {name: PGSSLROOTCERT, value: /ca/ca.crt}
- {name: PGCONNECT_TIMEOUT, value: "10"}
# Where libpq looks for files that nobody named.
- {name: HOME, value: /runtime}
- {name: SECRETS_DIR, value: /credentials}
- {name: RUNTIME_DIR, value: /runtime}
{{- end }}

{{- define "postgres.clientMounts" -}}
- {name: scripts, mountPath: /scripts, readOnly: true}
- {name: credentials, mountPath: /credentials, readOnly: true}
- {name: ca, mountPath: /ca, readOnly: true}
- {name: runtime, mountPath: /runtime}
{{- end }}

{{/* All but the credentials, which differ. */}}
{{- define "postgres.clientVolumes" -}}
- name: scripts
  configMap: {name: {{ include "postgres.fullname" . }}-scripts}
- name: ca
  configMap:
    name: {{ .Values.ca.configMap }}
    items: [{key: {{ .Values.ca.key }}, path: ca.crt}]
# Holds passwords: in memory only, gone with the pod.
- name: runtime
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}

{{/* What roles.sql includes: the database and, one after the other, its logins. */}}
{{- define "postgres.logins" -}}
-- Made from the values. The owner comes first, for the database is made for it.
\set database {{ .Values.database.name }}
\set schema {{ .Values.database.schema }}
\set secret {{ include "postgres.secretOf" (dict "root" . "login" .Values.database) }}
\set groups ''
\set connection_limit -1
\ir login.sql
\set owner :login
{{- range include "postgres.loginList" . | fromJsonArray }}

\set secret {{ .secret }}
\set groups {{ join "," .memberOf }}
\set connection_limit {{ default -1 .connectionLimit | int }}
\ir login.sql
{{- end }}
{{- if .Values.vaultAdmin.enabled }}

\set secret {{ include "postgres.secretOf" (dict "root" . "login" .Values.vaultAdmin) }}
\ir vault_admin.sql
{{- end }}
{{- end }}

{{/* The secrets of the logins that load, or of those that only read: (dict "root" $ "load" true). */}}
{{- define "postgres.loginSecrets" -}}
{{- $names := list }}
{{- range include "postgres.loginList" .root | fromJsonArray }}
{{- if eq $.load (has "etl_loader" .memberOf) }}{{ $names = append $names .secret }}{{ end }}
{{- end }}
{{- join " " $names }}
{{- end }}
