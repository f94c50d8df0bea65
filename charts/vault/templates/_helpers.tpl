{{/* The chart's name, in labels; NetworkPolicies of others know the server by it. */}}
{{- define "vault.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What all objects are called after: the release's name if it says what this is. */}}
{{- define "vault.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "vault.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "vault.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What has no namespace is called after this one's too. */}}
{{- define "vault.clusterName" -}}
{{ include "vault.fullname" . }}-{{ .Release.Namespace }}
{{- end }}

{{- define "vault.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "vault.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: name an existing ServiceAccount, or set serviceAccount.create" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* What never changes in a release's life: (dict "root" $ "component" "server"). */}}
{{- define "vault.selectorLabels" -}}
app.kubernetes.io/name: {{ include "vault.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* All labels: (dict "root" $ "component" "server"). */}}
{{- define "vault.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "vault.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: minidata
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{/* Labels of a workload's pods: without the chart's version, which is no reason to restart. */}}
{{- define "vault.podLabels" -}}
{{ include "vault.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: minidata
{{- end }}

{{/* An image's name: (dict "root" $ "image" .Values.image). */}}
{{- define "vault.image" -}}
{{- $image := .image }}
{{- $name := printf "%s:%s" $image.repository (default .root.Chart.AppVersion $image.tag) }}
{{- with $image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end }}
{{- with $image.digest }}{{ $name = printf "%s@%s" $name . }}{{ end }}
{{- $name }}
{{- end }}

{{/* The Service as pods of the cluster call it: (dict "root" $ "suffix" "-injector"). */}}
{{- define "vault.host" -}}
{{ include "vault.fullname" .root }}{{ .suffix }}.{{ .root.Release.Namespace }}.svc
{{- end }}

{{- define "vault.url" -}}
https://{{ include "vault.host" (dict "root" . "suffix" "") }}:8200
{{- end }}

{{/* The first server's own name. */}}
{{- define "vault.firstHost" -}}
{{ include "vault.fullname" . }}-0.{{ include "vault.host" (dict "root" . "suffix" "-internal") }}
{{- end }}

{{/* What every pod of the chart has in common. */}}
{{- define "vault.podBasics" -}}
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
{{- define "vault.containerBasics" -}}
image: {{ include "vault.image" . | quote }}
imagePullPolicy: {{ .image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Replicas are spread over nodes as far as there are any: (dict "root" $ "component" "server"). */}}
{{- define "vault.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "vault.selectorLabels" . | nindent 8 }}
    {{- if eq .component "injector" }}
    # Or pods on their way out would count; those of a StatefulSet keep their names.
    matchLabelKeys: [pod-template-hash]
    {{- end }}
{{- end }}

{{/* What automountServiceAccountToken would mount, for the pods alone that ask the API server. */}}
{{- define "vault.apiTokenMount" -}}
- {name: api-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}

{{- define "vault.apiToken" -}}
- name: api-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap:
          name: kube-root-ca.crt
          items: [{key: ca.crt, path: ca.crt}]
      - downwardAPI:
          items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]
{{- end }}

{{- define "vault.ca" -}}
- name: ca
  configMap:
    name: {{ .Values.ca.configMap }}
    items: [{key: {{ .Values.ca.key }}, path: ca.crt}]
{{- end }}

{{/* An account without a token anywhere but where it is mounted: (dict "root" $ "component" "setup" "annotations" dict). */}}
{{- define "vault.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "vault.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "vault.labels" . | nindent 4 }}
  {{- with .annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}

{{/* A binding's two other parts: (dict "root" $ "kind" "Role" "name" "..." "account" "..."). */}}
{{- define "vault.binding" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
