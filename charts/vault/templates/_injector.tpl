{{- define "vault.webhookName" -}}
{{ include "vault.clusterName" . }}-injector
{{- end }}

{{/* The CA, in base64, that the API server shall know the injector by; empty: somebody else writes it in,
or this is rendered where there is no cluster to look into. */}}
{{- define "vault.caBundle" -}}
{{- if not (or .Values.injector.tls.auto .Values.tls.certManager.enabled) }}
{{- $there := default dict (lookup "v1" "ConfigMap" .Release.Namespace .Values.ca.configMap) }}
{{- default (get (default dict $there.data) .Values.ca.key) .Values.injector.tls.caBundle | b64enc }}
{{- end }}
{{- end }}
