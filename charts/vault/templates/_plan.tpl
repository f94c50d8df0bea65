{{/* What the setup Job may do: path to capabilities. It can make secrets, but neither read nor replace
them, but for the login that it hands to the database engine. */}}
{{- define "vault.setupPolicy" -}}
{{- $login := .Values.database.login -}}
sys/audit: [read, sudo]
sys/audit/*: [create, update, sudo]
sys/auth: [read]
sys/auth/kubernetes: [create, update, sudo]
sys/mounts: [read]
sys/mounts/kv: [create, update]
sys/mounts/database: [create, update]
sys/policies/acl/*: [create, read, update]
auth/kubernetes/config: [create, read, update]
auth/kubernetes/role/*: [create, read, update]
kv/data/*: [create]
kv/metadata/*: [read]
kv/data/{{ $login }}: [create, read]
kv/metadata/{{ $login }}: [create, read, update]
database/config/*: [create, read, update]
database/rotate-root/*: [create, update]
database/roles/*: [create, read, update]
{{- end }}

{{- define "vault.roles" -}}
{{- $home := dict "namespaces" (list .Release.Namespace) }}
{{- range $name, $role := .Values.roles }}
{{ $name }}: {{- mergeOverwrite (deepCopy $home) (default dict $role) | toYaml | nindent 2 }}
{{- end }}
vault-setup:
  serviceAccounts: [{{ include "vault.fullname" . }}-setup]
  namespaces: [{{ .Release.Namespace }}]
{{- end }}

{{- define "vault.database" -}}
{{- $database := .Values.database -}}
mount: database
connections:
  sales:
    host: {{ default (printf "postgres.%s.svc" .Release.Namespace) $database.host }}
    port: {{ int $database.port }}
    database: {{ $database.name }}
    sslmode: verify-full
    caFile: /vault/tls/ca.crt
    login: {{ $database.login }}
    rotateLogin: {{ $database.rotateLogin }}
roles:
  {{- range $name, $role := $database.roles }}
  {{ $name }}: {{- mergeOverwrite (dict "connection" "sales") (deepCopy $role) | toYaml | nindent 4 }}
  {{- end }}
{{- end }}

{{/* What the Job shall bring about. It holds no secret. */}}
{{- define "vault.plan" -}}
{{- $isDev := eq .Values.setup.mode "dev" -}}
initialise:
  shares: {{ ternary 1 (int .Values.setup.shares) $isDev }}
  threshold: {{ ternary 1 (int .Values.setup.threshold) $isDev }}
{{- if .Values.audit.enabled }}
audit:
  stdout: {type: file, options: {file_path: stdout}}
{{- end }}
kv:
  mount: kv
  {{- with .Values.secrets }}
  generate: {{- toYaml . | nindent 4 }}
  {{- end }}
kubernetes:
  mount: kubernetes
  host: https://kubernetes.default.svc
policies:
  {{- with .Values.policies }}{{ toYaml . | nindent 2 }}{{ end }}
  vault-setup: {{- include "vault.setupPolicy" . | nindent 4 }}
roles: {{- include "vault.roles" . | trim | nindent 2 }}
setupRole: vault-setup
{{- if .Values.database.enabled }}
database: {{- include "vault.database" . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The Secret with the keys; empty where there are none. */}}
{{- define "vault.keysSecret" -}}
{{- if ne .Values.setup.mode "selfInit" }}
{{- default (printf "%s-keys" (include "vault.fullname" .)) .Values.setup.keysSecret }}
{{- end }}
{{- end }}
