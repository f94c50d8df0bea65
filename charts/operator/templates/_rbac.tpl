{{/* What the operator may do where SalesIngests are; nothing else, and no Secret anywhere. */}}
{{- define "operator.rules" -}}
# Patch: a replica that hears of an object wakes the one that acts by an annotation.
- apiGroups: [minidata.io]
  resources: [salesingests]
  verbs: [get, list, watch, patch]
- apiGroups: [minidata.io]
  resources: [salesingests/status]
  verbs: [patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
# Server-side apply: patch what is there, create what isn't.
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, list, create, patch, delete]
# Their termination messages are the reports of runs.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* A binding's two other parts: (dict "root" $ "kind" "Role" "name" "..."). */}}
{{- define "operator.binding" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "operator.serviceAccountName" .root }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
