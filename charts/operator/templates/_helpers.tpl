{{/* What NetworkPolicies and selectors know the operator's pods by; not the chart's name. */}}
{{- define "operator.name" -}}
{{- default "sales-operator" .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What all objects are called after: the release's name if it says what this is. */}}
{{- define "operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: name an existing ServiceAccount, or set serviceAccount.create" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The namespaces that get what runs need, as JSON. */}}
{{- define "operator.namespaces" -}}
{{- default (list .Release.Namespace) .Values.watchNamespaces | uniq | toJson }}
{{- end }}

{{/* What never changes in a release's life: (dict "root" $ "component" "operator"). */}}
{{- define "operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "operator.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* All labels: (dict "root" $ "component" "operator"). */}}
{{- define "operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: minidata
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/* Labels of a workload's pods: without the chart's version, which is no reason to restart. */}}
{{- define "operator.podLabels" -}}
{{ include "operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: minidata
{{- end }}

{{/* An image's name: (dict "root" $ "image" .Values.image). */}}
{{- define "operator.image" -}}
{{- $image := .image }}
{{- $name := printf "%s:%s" $image.repository (default .root.Chart.AppVersion $image.tag) }}
{{- with $image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end }}
{{- with $image.digest }}{{ $name = printf "%s@%s" $name . }}{{ end }}
{{- $name }}
{{- end }}

{{/* The Service as pods of the cluster call it. */}}
{{- define "operator.host" -}}
{{ include "operator.fullname" . }}.{{ .Release.Namespace }}.svc
{{- end }}

{{/* What every pod of the chart has in common. */}}
{{- define "operator.podBasics" -}}
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
{{- define "operator.containerBasics" -}}
image: {{ include "operator.image" . | quote }}
imagePullPolicy: {{ .image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}
