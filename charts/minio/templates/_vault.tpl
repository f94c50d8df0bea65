{{/* Vault's agent in front of a pod's containers: it logs in, leaves files in memory, and ends. */}}

{{/* The init container: (dict "root" $ "mounts" LIST). Its user and group are the pod's, and so are
those of its files. */}}
{{- define "minio.vaultAgent" -}}
- name: vault-agent
  {{- include "minio.containerBasics" (dict "root" .root "image" .root.Values.vault.image) | nindent 2 }}
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

{{/* What the agent goes by, which no other container sees, and where it leaves its files:
(dict "root" $ "component" "server" "files" "config"). */}}
{{- define "minio.vaultVolumes" -}}
- name: vault-agent
  projected:
    defaultMode: 0440
    sources:
      - configMap:
          name: {{ include "minio.fullname" .root }}-vault-agent
          items: [{key: {{ .component }}.hcl, path: agent.hcl}]
      - configMap:
          name: {{ .root.Values.ca.configMap }}
          items: [{key: {{ .root.Values.ca.key }}, path: ca.crt}]
      # Nobody but Vault takes it.
      - serviceAccountToken: {audience: vault, expirationSeconds: 600, path: token}
- name: {{ .files }}
  emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}

{{/* The same for the pods that are users: (dict "root" $ "users" (list "NAME")). The keys that Vault
doesn't have come from Secrets, through the agent too: all lie in one folder then. */}}
{{- define "minio.vaultUsersAgent" -}}
{{- $mounts := list (dict "name" "credentials" "mountPath" "/credentials") }}
{{- if include "minio.userKeys" . }}
{{- $mounts = append $mounts (dict "name" "user-secrets" "mountPath" "/user-secrets" "readOnly" true) }}
{{- end }}
{{- include "minio.vaultAgent" (dict "root" .root "mounts" $mounts) }}
{{- end }}

{{- define "minio.vaultUsersVolumes" -}}
{{ include "minio.vaultVolumes" (dict "root" .root "component" .component "files" "credentials") }}
{{- with include "minio.userKeys" . }}
- name: user-secrets
  projected:
    defaultMode: 0440
    sources: {{- . | nindent 6 }}
{{- end }}
{{- end }}

{{/* The agent's configuration, which holds no secret: (dict "root" $ "files" "TEMPLATES"). */}}
{{- define "minio.vaultAgentConfig" -}}
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

{{/* One of its files: (dict "path" "/config/config.env" "contents" "TEMPLATE"). */}}
{{- define "minio.vaultFile" }}

template {
  destination          = {{ .path | quote }}
  perms                = "0440"
  error_on_missing_key = true
  left_delimiter       = "[["
  right_delimiter      = "]]"
  contents             = <<END
{{ .contents }}
END
}
{{- end }}

{{/* Lines of config.env: (dict "root" $ "path" "minio/server" "keys" (dict "SETTING" "KEY")). The
server knows no escapes; it takes the outer quotes away, and all between them as it is. A line break
would begin another setting. */}}
{{- define "minio.vaultSettings" -}}
[[ with secret "{{ .root.Values.vault.kvMount }}/data/{{ .path }}" -]]
[[ range $key, $value := .Data.data ]][[ if regexMatch "[\r\n]" (print $value) -]]
[[ sprig_fail (print "{{ .path }}: " $key " holds a line break, take it out") ]][[ end ]][[ end -]]
{{- range $name, $key := .keys }}
{{ $name }}="[[ .Data.data.{{ $key }} ]]"
{{- end }}
[[ end -]]
{{- end }}

{{/* The config.env of the bootstrap, which logs in and no more. */}}
{{- define "minio.vaultLogin" -}}
{{- $keys := dict "MINIO_ROOT_USER" "root_user" "MINIO_ROOT_PASSWORD" "root_password" }}
{{- include "minio.vaultSettings" (dict "root" . "path" .Values.config.vaultPath "keys" $keys) }}
{{- end }}

{{/* The config.env of the server. */}}
{{- define "minio.vaultServer" -}}
{{- $keys := dict "MINIO_ROOT_USER" "root_user" "MINIO_ROOT_PASSWORD" "root_password" }}
{{- if not .Values.kes.enabled }}{{ $_ := set $keys "MINIO_KMS_SECRET_KEY" "kms_key" }}{{ end }}
{{- include "minio.vaultSettings" (dict "root" . "path" .Values.config.vaultPath "keys" $keys) }}
{{- if .Values.webhook.enabled }}
{{- $keys := dict "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALES" "token" }}
{{- if .Values.webhook.quick }}{{ $_ := set $keys "MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SALESNOW" "token" }}{{ end }}
{{ include "minio.vaultSettings" (dict "root" . "path" .Values.webhook.vaultPath "keys" $keys) }}
{{- end }}
{{- end }}

{{/* The keys of users, be they Vault's or a Secret's: (dict "root" $ "users" (list "NAME")). */}}
{{- define "minio.vaultUsers" -}}
{{- range $name := .users }}
{{- $user := include "minio.user" (dict "root" $.root "user" $name) | fromJson }}
{{- range $key := list "access_key" "secret_key" }}
{{- $file := printf "users/%s/%s" $name $key }}
{{- $contents := printf "[[ file \"/user-secrets/%s\" -]]" $file }}
{{- with $user.vaultPath }}
{{- $contents = printf "[[ with secret \"%s/data/%s\" ]][[ .Data.data.%s ]][[ end -]]" $.root.Values.vault.kvMount . $key }}
{{- end }}
{{- include "minio.vaultFile" (dict "path" (printf "/credentials/%s" $file) "contents" $contents) }}
{{- end }}
{{- end }}
{{- end }}

{{/* A rule to let out to Vault. */}}
{{- define "minio.vaultEgress" -}}
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
