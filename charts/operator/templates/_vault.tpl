{{/* Vault's agent in front of the operator: it logs in, leaves files in memory, and ends. */}}

{{/* Vault, for operator and runs. */}}
{{- define "operator.vaultAddress" -}}
{{- default (printf "https://vault.%s.svc:8200" .Release.Namespace) .Values.vault.address }}
{{- end }}

{{/* The init container. Its user and group are the pod's, and so are those of its files. */}}
{{- define "operator.vaultAgent" -}}
- name: vault-agent
  {{- include "operator.containerBasics" (dict "root" . "image" .Values.vault.image) | nindent 2 }}
  # Not by the image's entry point, which first wants rights that no container here has.
  # The agent gives up at the first refusal, which a pod may meet as it starts: where NetworkPolicies
  # are enforced, the rules in front of Vault learn of its address a moment later.
  command:
    - sh
    - -c
    - |
      for pause in 1 2 4 8; do
        vault agent -config=/agent/agent.hcl && exit 0
        sleep $pause
      done
      exec vault agent -config=/agent/agent.hcl
  env:
    - {name: HOME, value: /agent}
  resources: {{- toYaml .Values.vault.resources | nindent 4 }}
  volumeMounts:
    - {name: vault-agent, mountPath: /agent, readOnly: true}
    - {name: object-store, mountPath: /etc/sales-operator/object-store}
    - {name: events, mountPath: /etc/sales-operator/events}
{{- end }}

{{/* What the agent goes by, which the operator does not see, and where it leaves its files. */}}
{{- define "operator.vaultVolumes" -}}
- name: vault-agent
  projected:
    defaultMode: 0440
    sources:
      - configMap:
          name: {{ include "operator.fullname" . }}-vault-agent
          items: [{key: agent.hcl, path: agent.hcl}]
      - configMap:
          name: {{ .Values.ca.configMap }}
          items: [{key: {{ .Values.ca.key }}, path: ca.crt}]
      # Nobody but Vault takes it.
      - serviceAccountToken: {audience: vault, expirationSeconds: 600, path: token}
{{- range list "object-store" "events" }}
- name: {{ . }}
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}
{{- end }}

{{/* The agent's configuration, which holds no secret; nothing where there is no agent. */}}
{{- define "operator.vaultAgentConfig" -}}
{{- if .Values.vault.enabled -}}
{{- $vault := .Values.vault -}}
exit_after_auth = true

vault {
  address = {{ include "operator.vaultAddress" . | quote }}
  ca_cert = "/agent/ca.crt"
  retry {
    num_retries = 5
  }
}

auto_auth {
  method "kubernetes" {
    mount_path = "auth/{{ $vault.authPath }}"
    # Tried again by the kubelet, where it can be seen.
    exit_on_err = true
    config = {
      role       = {{ $vault.role | quote }}
      token_path = "/agent/token"
    }
  }
}

template_config {
  exit_on_retry_failure = true
}
{{- range $key := list "access_key" "secret_key" }}
{{- include "operator.vaultFile" (dict "root" $ "folder" "object-store" "secret" $.Values.objectStore.vaultPath "key" $key) }}
{{- end }}
{{- include "operator.vaultFile" (dict "root" . "folder" "events" "secret" .Values.events.vaultPath "key" "token") }}
{{- end }}
{{- end }}

{{/* One of its files: (dict "root" $ "folder" "events" "secret" "sales/operator-events" "key" "token"). */}}
{{- define "operator.vaultFile" }}

template {
  destination          = "/etc/sales-operator/{{ .folder }}/{{ .key }}"
  perms                = "0440"
  error_on_missing_key = true
  left_delimiter       = "[["
  right_delimiter      = "]]"
  contents             = <<END
[[ with secret "{{ .root.Values.vault.kvMount }}/data/{{ .secret }}" ]][[ .Data.data.{{ .key }} ]][[ end -]]
END
}
{{- end }}
