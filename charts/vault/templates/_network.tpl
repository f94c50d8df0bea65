{{/* A rule to let out: (dict "peers" list "ports" list). */}}
{{- define "vault.egress" -}}
- ports:
    {{- range .ports }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
  {{- with .peers }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* A rule to let out to pods of the chart: (dict "root" $ "component" "server" "ports" list). */}}
{{- define "vault.egressToOurs" -}}
{{- $peer := dict "podSelector" (dict "matchLabels" (include "vault.selectorLabels" . | fromYaml)) }}
{{- include "vault.egress" (dict "peers" (list $peer) "ports" .ports) }}
{{- end }}

{{- define "vault.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}

{{/* The head of a policy, up to its rules: (dict "root" $ "component" "server"). */}}
{{- define "vault.policyFor" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "vault.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "vault.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "vault.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end }}
