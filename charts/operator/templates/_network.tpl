{{/* Peers: (dict "root" $ "peers" list). Without namespaceSelector: pods of the release's namespace. */}}
{{- define "operator.peers" -}}
{{- $home := dict "matchLabels" (dict "kubernetes.io/metadata.name" .root.Release.Namespace) }}
{{- range .peers }}
- {{ ternary . (merge (dict "namespaceSelector" $home) .) (or (hasKey . "ipBlock") (hasKey . "namespaceSelector")) | toJson }}
{{- end }}
{{- end }}

{{/* A rule to let out: (dict "root" $ "target" (dict "peers" list "ports" list)). */}}
{{- define "operator.egress" -}}
- ports:
    {{- range .target.ports }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
  {{- with .target.peers }}
  to: {{- include "operator.peers" (dict "root" $.root "peers" .) | trim | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "operator.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}
