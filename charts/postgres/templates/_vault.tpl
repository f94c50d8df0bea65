{{/* Vault's agent in front of a pod's containers: it logs in, leaves files in memory, and ends. */}}

{{/* The init container: (dict "root" $ "component" "server" "mounts" LIST). Its user and group are the
pod's, and so are those of its files. */}}
{{- define "postgres.vaultAgent" -}}
- name: vault-agent
  image: {{ include "postgres.image" (dict "root" .root "image" .root.Values.vault.image) | quote }}
  imagePullPolicy: {{ .root.Values.vault.image.pullPolicy }}
  securityContext: {{- include "postgres.restricted" . | nindent 4 }}
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
  resources: {{- toYaml .root.Values.vault.resources | nindent 4 }}
  volumeMounts:
    - {name: vault-agent, mountPath: /agent, readOnly: true}
    {{- toYaml .mounts | nindent 4 }}
{{- end }}

{{/* What the agent goes by, which no other container sees, and where it leaves its files; takes the
same. */}}
{{- define "postgres.vaultVolumes" -}}
- name: vault-agent
  projected:
    defaultMode: 0440
    sources:
      - configMap:
          name: {{ include "postgres.fullname" .root }}-vault-agent
          items: [{key: {{ .component }}.hcl, path: agent.hcl}]
      - configMap:
          name: {{ .root.Values.ca.configMap }}
          items: [{key: {{ .root.Values.ca.key }}, path: ca.crt}]
      # Nobody but Vault takes it.
      - serviceAccountToken: {audience: vault, expirationSeconds: 600, path: token}
{{- range .mounts }}
- name: {{ .name }}
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}
{{- end }}

{{/* The agent's configuration, which holds no secret: (dict "root" $ "files" "TEMPLATES"). */}}
{{- define "postgres.vaultAgentConfig" -}}
{{- $vault := .root.Values.vault -}}
exit_after_auth = true

vault {
  address = {{ default (printf "https://vault.%s.svc:8200" .root.Release.Namespace) $vault.address | quote }}
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
{{- .files }}
{{- end }}

{{/* The files of a login: (dict "root" $ "secret" "postgres/owner" "folder" "/superuser"). */}}
{{- define "postgres.vaultLogin" -}}
{{- range $key := list "username" "password" }}

template {
  destination          = "{{ $.folder }}/{{ $key }}"
  perms                = "0440"
  error_on_missing_key = true
  left_delimiter       = "[["
  right_delimiter      = "]]"
  contents             = <<END
[[ with secret "{{ $.root.Values.vault.kvMount }}/data/{{ $.secret }}" ]][[ .Data.data.{{ $key }} ]][[ end -]]
END
}
{{- end }}
{{- end }}

{{/* Those of several, in folders of their own: (dict "root" $ "secrets" (list "postgres/owner")). */}}
{{- define "postgres.vaultCredentials" -}}
{{- range .secrets }}
{{- include "postgres.vaultLogin" (dict "root" $.root "secret" . "folder" (printf "/credentials/%s" .)) }}
{{- end }}
{{- end }}

{{/* A rule to let out to Vault. */}}
{{- define "postgres.vaultEgress" -}}
{{- if .Values.vault.enabled }}
- ports:
    {{- range .Values.networkPolicy.vault.ports }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicy.vault.peers }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
