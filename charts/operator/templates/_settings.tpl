{{- define "operator.endpoint" -}}
{{- default (printf "https://minio.%s.svc:9000" .Release.Namespace) .Values.objectStore.endpoint }}
{{- end }}

{{/* Namespace and full name; where that is too long, a digest makes up for what is cut off. */}}
{{- define "operator.instance" -}}
{{- $whole := printf "%s-%s" .Release.Namespace (include "operator.fullname" .) }}
{{- if gt (len $whole) 40 }}
{{- $whole = printf "%s-%s" (trunc 31 $whole | trimSuffix "-") (sha256sum $whole | trunc 8) }}
{{- end }}
{{- default $whole .Values.instance }}
{{- end }}

{{/* The Secrets of runs by the folder that each becomes, as JSON; none where Vault has them. */}}
{{- define "operator.runSecrets" -}}
{{- $secrets := dict }}
{{- if eq .Values.credentials.mode "secret" }}
{{- with .Values.pipeline.secrets }}
{{- $secrets = dict "database" .database "object-store" .objectStore "pseudonym" .pseudonym }}
{{- end }}
{{- if eq .Values.objectStore.auth "webIdentity" }}{{ $secrets = omit $secrets "object-store" }}{{ end }}
{{- end }}
{{- toJson $secrets }}
{{- end }}

{{/* What every run's pod mounts. */}}
{{- define "operator.runVolumes" -}}
{{- range $folder, $secret := include "operator.runSecrets" . | fromJson }}
{{- if $secret }}
- {name: {{ $secret | quote }}, kind: Secret, mountPath: /vault/secrets/{{ $folder }}}
{{- end }}
{{- end }}
- {name: {{ .Values.ca.configMap | quote }}, kind: ConfigMap, mountPath: /ca}
{{- with .Values.pipeline.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The pipeline's settings of its own, as docs/pipeline.md lists them. */}}
{{- define "operator.runEnvironment" -}}
SALES_S3_ENDPOINT: {{ include "operator.endpoint" . | quote }}
SALES_S3_REGION: {{ .Values.objectStore.region | quote }}
SALES_S3_CA_FILE: {{ printf "/ca/%s" .Values.ca.key | quote }}
SALES_DB_HOST: {{ default (printf "postgres.%s.svc" .Release.Namespace) .Values.database.host | quote }}
SALES_DB_PORT: {{ int .Values.database.port | quote }}
SALES_DB_NAME: {{ .Values.database.name | quote }}
SALES_DB_SCHEMA: {{ .Values.database.schema | quote }}
SALES_DB_SSL_ROOT_CERT: {{ printf "/ca/%s" .Values.ca.key | quote }}
{{- if ne .Values.credentials.mode "secret" }}
SALES_VAULT_CA_FILE: {{ printf "/ca/%s" .Values.ca.key | quote }}
{{- end }}
{{- end }}

{{/* The operator's settings file. Paths are those of the volume `config`. */}}
{{- define "operator.settings" -}}
{{- with .Values.leadership }}
{{- if ge (int .renewSeconds) (int .durationSeconds) }}
{{- fail "leadership.renewSeconds: must be less than durationSeconds, or two replicas act at once" }}
{{- end }}
{{- end -}}
namespace: {{ .Release.Namespace | quote }}
# None named: all of them.
watchNamespaces: {{ ternary "[]" (include "operator.namespaces" .) .Values.clusterWide }}
instance: {{ include "operator.instance" . | quote }}
resyncSeconds: {{ int .Values.resyncSeconds }}
maxLiveJobs: {{ int .Values.maxLiveJobs }}
workers: {{ int .Values.workers }}
objectStore:
  endpoint: {{ include "operator.endpoint" . | quote }}
  region: {{ .Values.objectStore.region | quote }}
  caFile: /etc/sales-operator/ca/ca.crt
  credentials: /etc/sales-operator/object-store
  target: {{ .Values.objectStore.target | quote }}
  {{- with .Values.objectStore.quickTarget }}
  quickTarget: {{ . | quote }}
  {{- end }}
receiver:
  port: 8443
  certificate: /etc/sales-operator/tls/tls.crt
  key: /etc/sales-operator/tls/tls.key
  certificates: /etc/sales-operator/certificates
  token: /etc/sales-operator/events/token
leadership:
  lease: {{ include "operator.fullname" . | quote }}
  durationSeconds: {{ int .Values.leadership.durationSeconds }}
  renewSeconds: {{ int .Values.leadership.renewSeconds }}
  retrySeconds: {{ int .Values.leadership.retrySeconds }}
pipeline:
  image: {{ include "operator.image" (dict "root" . "image" .Values.pipeline.image) | quote }}
  imagePullPolicy: {{ .Values.pipeline.image.pullPolicy }}
  imagePullSecrets:
    {{- range .Values.imagePullSecrets }}
    - {{ .name | quote }}
    {{- else }} []
    {{- end }}
  serviceAccount: {{ .Values.pipeline.serviceAccount.name | quote }}
  runAsUser: {{ int .Values.pipeline.runAsUser }}
  runAsGroup: {{ int .Values.pipeline.runAsGroup }}
  {{- $own := include "operator.runEnvironment" . | fromYaml }}
  environment: {{- merge (deepCopy .Values.pipeline.environment) $own | toYaml | nindent 4 }}
  {{- if eq .Values.objectStore.auth "webIdentity" }}
  webIdentity:
    audience: {{ .Values.objectStore.webIdentity.audience | quote }}
    roleArn: {{ .Values.objectStore.webIdentity.roleArn | quote }}
  {{- end }}
  {{- if ne .Values.credentials.mode "secret" }}
  vault:
    mode: {{ .Values.credentials.mode }}
    address: {{ include "operator.vaultAddress" . | quote }}
    role: {{ .Values.credentials.vault.role | quote }}
    authPath: {{ .Values.vault.authPath | quote }}
    kvMount: {{ .Values.vault.kvMount | quote }}
    kvPath: {{ .Values.credentials.vault.kvPath | quote }}
    databasePath: {{ .Values.credentials.vault.databasePath | quote }}
  {{- end }}
  volumes: {{- include "operator.runVolumes" . | trim | nindent 4 }}
{{- end }}
