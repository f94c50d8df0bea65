{{/* The chart's name, in labels. */}}
{{- define "minio.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What all objects are called after: the release's name if it says what this is. */}}
{{- define "minio.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "minio.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "minio.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "minio.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "minio.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: name an existing ServiceAccount, or set serviceAccount.create" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* What never changes in a release's life: (dict "root" $ "component" "server"). */}}
{{- define "minio.selectorLabels" -}}
app.kubernetes.io/name: {{ include "minio.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The pods of the bootstrap Job and of the tests. */}}
{{- define "minio.clientSelector" -}}
matchLabels:
  app.kubernetes.io/name: {{ include "minio.name" . }}
  app.kubernetes.io/instance: {{ .Release.Name }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [bootstrap, test]}
{{- end }}

{{/* All labels: (dict "root" $ "component" "server"). */}}
{{- define "minio.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "minio.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: minidata
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/* Labels of a workload's pods: without the chart's version, which is no reason to restart. */}}
{{- define "minio.podLabels" -}}
{{ include "minio.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: minidata
{{- end }}

{{/* An image's name: (dict "root" $ "image" .Values.image). */}}
{{- define "minio.image" -}}
{{- $image := .image }}
{{- $name := printf "%s/%s:%s" $image.registry $image.repository (default .root.Chart.AppVersion $image.tag) }}
{{- with $image.digest }}{{ $name = printf "%s@%s" $name . }}{{ end }}
{{- $name }}
{{- end }}

{{/* The server as pods of the cluster call it. */}}
{{- define "minio.url" -}}
https://{{ include "minio.fullname" . }}.{{ .Release.Namespace }}.svc:9000
{{- end }}

{{/* What every pod of the chart has in common. */}}
{{- define "minio.podBasics" -}}
serviceAccountName: {{ include "minio.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What every container of the chart has in common: (dict "root" $ "image" .Values.image). */}}
{{- define "minio.containerBasics" -}}
image: {{ include "minio.image" . | quote }}
imagePullPolicy: {{ .image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* What the pods have in common that run a script of ours with mc. */}}
{{- define "minio.clientEnv" -}}
- {name: HOME, value: /tmp}
- {name: MINIO_URL, value: {{ include "minio.url" . | quote }}}
- {name: MC_CONFIG_DIR, value: /mc}
- {name: CA_FILE, value: /ca/ca.crt}
- {name: CREDENTIALS_DIR, value: /credentials}
{{- end }}

{{- define "minio.clientMounts" -}}
- {name: scripts, mountPath: /scripts, readOnly: true}
- {name: credentials, mountPath: /credentials, readOnly: true}
- {name: ca, mountPath: /ca, readOnly: true}
- {name: mc, mountPath: /mc}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "minio.clientVolumes" -}}
- name: ca
  secret:
    secretName: {{ .Values.tls.existingSecret }}
    defaultMode: 0440
    items: [{key: ca.crt, path: ca.crt}]
# What mc writes down holds keys: in memory only, gone with the pod.
- name: mc
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- end }}

{{/* The values of a user that must be there: (dict "root" $ "user" "NAME"). */}}
{{- define "minio.user" -}}
{{- required (printf "users.%s: no such user" .user) (index .root.Values.users .user) | toJson }}
{{- end }}

{{/* Of these users those whose keys are in a Secret, as JSON: (dict "root" $ "users" (list "NAME")). */}}
{{- define "minio.secretUsers" -}}
{{- $found := list }}
{{- range $name := .users }}
{{- $user := include "minio.user" (dict "root" $.root "user" $name) | fromJson }}
{{- if not (and $.root.Values.vault.enabled $user.vaultPath) }}{{ $found = append $found $name }}{{ end }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* Their keys as sources of a projected volume: (dict "root" $ "users" (list "NAME")). */}}
{{- define "minio.userKeys" -}}
{{- range $name := include "minio.secretUsers" . | fromJsonArray }}
{{- $user := index $.root.Values.users $name }}
- secret:
    name: {{ required (printf "users.%s.existingSecret: name the Secret with its keys" $name) $user.existingSecret }}
    items:
      - {key: access_key, path: users/{{ $name }}/access_key}
      - {key: secret_key, path: users/{{ $name }}/secret_key}
{{- end }}
{{- end }}

{{/* The users that `helm test` is, as JSON. */}}
{{- define "minio.testUsers" -}}
{{- without (list .Values.test.writer .Values.test.observer | uniq) "" | toJson }}
{{- end }}

{{/* A bucket's lifecycle configuration as JSON; nothing without rules. */}}
{{- define "minio.lifecycle" -}}
{{- $rules := list }}
{{- range $id, $rule := .lifecycle }}
{{- $effects := dict }}
{{- with $rule.expireAfterDays }}{{ $_ := set $effects "Expiration" (dict "Days" (int .)) }}{{ end }}
{{- if $rule.removeDeleteMarkers }}{{ $_ := set $effects "Expiration" (dict "ExpiredObjectDeleteMarker" true) }}{{ end }}
{{- with $rule.expireNoncurrentAfterDays }}
{{- $_ := set $effects "NoncurrentVersionExpiration" (dict "NoncurrentDays" (int .)) }}
{{- end }}
{{- if $effects }}
{{- $rules = append $rules (merge $effects (dict "ID" $id "Status" "Enabled" "Filter" (dict "Prefix" $rule.prefix))) }}
{{- end }}
{{- end }}
{{- if $rules }}{{ dict "Rules" $rules | toPrettyJson }}{{ end }}
{{- end }}

{{/* What the bootstrap Job shall bring about, and how: key to text. */}}
{{- define "minio.bootstrapData" -}}
bootstrap.sh: | {{- .Files.Get "files/bootstrap.sh" | nindent 2 }}
{{- range $name, $bucket := .Values.buckets }}
bucket.{{ $name }}: | {{- include "minio.lifecycle" $bucket | nindent 2 }}
{{- end }}
{{- range $name, $statements := .Values.policies }}
policy.{{ $name }}: | {{- dict "Version" "2012-10-17" "Statement" $statements | toPrettyJson | nindent 2 }}
{{- end }}
{{- if .Values.webIdentity.enabled }}
policy.{{ include "minio.identityPolicy" . }}: | {{- dict "Version" "2012-10-17" "Statement" (include "minio.identityStatements" . | fromJsonArray) | toPrettyJson | nindent 2 }}
{{- end }}
{{- range $name, $user := .Values.users }}
user.{{ $name }}: | {{- join "\n" $user.policies | nindent 2 }}
{{- end }}
{{- end }}
