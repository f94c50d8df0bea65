{{/* The chart's name, in labels. */}}
{{- define "postgres.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What all objects are called after: the release's name if it says what this is. */}}
{{- define "postgres.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "postgres.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "postgres.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "postgres.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "postgres.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: name an existing ServiceAccount, or set serviceAccount.create" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* What never changes in a release's life: (dict "root" $ "component" "server"). */}}
{{- define "postgres.selectorLabels" -}}
app.kubernetes.io/name: {{ include "postgres.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* All labels: (dict "root" $ "component" "server"). */}}
{{- define "postgres.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "postgres.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: minidata
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/* The pods of the chart that are clients of its server. */}}
{{- define "postgres.clientSelector" -}}
matchLabels:
  app.kubernetes.io/name: {{ include "postgres.name" . }}
  app.kubernetes.io/instance: {{ .Release.Name }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [bootstrap, test]}
{{- end }}

{{- define "postgres.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}

{{/* An image's name: (dict "root" $ "image" .Values.image). */}}
{{- define "postgres.image" -}}
{{- $image := .image }}
{{- $name := printf "%s:%s" $image.repository (default .root.Chart.AppVersion $image.tag) }}
{{- with $image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end }}
{{- with $image.digest }}{{ $name = printf "%s@%s" $name . }}{{ end }}
{{- $name }}
{{- end }}

{{/* What every pod of the chart has in common. */}}
{{- define "postgres.podBasics" -}}
serviceAccountName: {{ include "postgres.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
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

{{/* The user and group that the image's files belong to, also in a pod of another user. */}}
{{- define "postgres.user" -}}
runAsUser: 999
runAsGroup: 999
{{- end }}

{{/* What Pod Security `restricted` asks of every container, and a read-only root. */}}
{{- define "postgres.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Image and rights of a container of PostgreSQL's. */}}
{{- define "postgres.containerBasics" -}}
image: {{ include "postgres.image" (dict "root" . "image" .Values.image) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "postgres.user" . | nindent 2 }}
  {{- include "postgres.restricted" . | nindent 2 }}
{{- end }}

{{/* What a login's secret is called: the Secret, or with Vault the path: (dict "root" $ "login" LOGIN). */}}
{{- define "postgres.secretOf" -}}
{{- if .root.Values.vault.enabled }}
{{- .login.vaultPath }}
{{- else }}
{{- required (printf "logins: existingSecret: name the Secret of the login with the vaultPath %s" .login.vaultPath) .login.existingSecret }}
{{- end }}
{{- end }}

{{/* The list of logins, as JSON, each with its `secret`; of those that only Secrets have, none with Vault. */}}
{{- define "postgres.loginList" -}}
{{- $found := list }}
{{- range .Values.logins }}
{{- if or .vaultPath (not $.Values.vault.enabled) }}
{{- $found = append $found (merge (dict "secret" (include "postgres.secretOf" (dict "root" $ "login" .))) .) }}
{{- end }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* The secrets that the bootstrap needs, and those that `helm test` needs, as JSON. */}}
{{- define "postgres.bootstrapSecrets" -}}
{{- $logins := list .Values.superuser .Values.database }}
{{- if .Values.vaultAdmin.enabled }}{{ $logins = append $logins .Values.vaultAdmin }}{{ end }}
{{- $secrets := list }}
{{- range $logins }}{{ $secrets = append $secrets (include "postgres.secretOf" (dict "root" $ "login" .)) }}{{ end }}
{{- concat $secrets (include "postgres.testSecrets" . | fromJsonArray) | toJson }}
{{- end }}

{{- define "postgres.testSecrets" -}}
{{- $secrets := list }}
{{- range include "postgres.loginList" . | fromJsonArray }}{{ $secrets = append $secrets .secret }}{{ end }}
{{- toJson $secrets }}
{{- end }}

{{/* A Secret's login as a source of a projected volume, in a folder of the Secret's name. */}}
{{- define "postgres.login" -}}
- secret:
    name: {{ . }}
    items:
      - {key: username, path: {{ . }}/username}
      - {key: password, path: {{ . }}/password}
{{- end }}
