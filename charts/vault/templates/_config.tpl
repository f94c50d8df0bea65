{{/* Whether the server is unsealed by something else than people; empty: it isn't. */}}
{{- define "vault.hasSeal" -}}
{{- if and .Values.seal.type .Values.seal.configKey }}
{{- fail "seal.type: leave it empty where seal.configKey names the stanza, or leave seal.configKey empty" }}
{{- end }}
{{- if and .Values.seal.configKey (not .Values.seal.existingSecret) }}
{{- fail "seal.existingSecret: name the Secret that seal.configKey is a key of" }}
{{- end }}
{{- if or .Values.seal.type .Values.seal.configKey }}yes{{ end }}
{{- end }}

{{/* The mode of the setup; fails where it and the other values contradict each other. */}}
{{- define "vault.mode" -}}
{{- $mode := .Values.setup.mode }}
{{- $seal := include "vault.hasSeal" . }}
{{- $many := gt (int .Values.replicas) 1 }}
{{- if .Values.setup.enabled }}
{{- if and (has $mode (list "autoUnseal" "selfInit")) (not $seal) }}
{{- fail (printf "setup.mode: %s needs a seal: set seal.type or seal.configKey" $mode) }}
{{- end }}
{{- if and (has $mode (list "dev" "shamirJob")) $seal }}
{{- fail (printf "setup.mode: with a seal it is autoUnseal or selfInit, not %s" $mode) }}
{{- end }}
{{- if and (eq $mode "selfInit") (ne .Values.distribution "openbao") }}
{{- fail "setup.mode: only OpenBao does selfInit: set distribution to openbao, or the mode to autoUnseal" }}
{{- end }}
{{- if and (eq $mode "selfInit") $many }}
{{- fail "setup.mode: selfInit would make as many separate stores as there are replicas: install one, then set the mode to autoUnseal and upgrade to more" }}
{{- end }}
{{- if gt (int .Values.setup.threshold) (int .Values.setup.shares) }}
{{- fail "setup.threshold: must be at most setup.shares" }}
{{- end }}
{{- end }}
{{- if and $many (not $seal) }}
{{- fail "replicas: more than one need a seal, or each would wait for its own keys: set seal.type or seal.configKey" }}
{{- end }}
{{- $mode }}
{{- end }}

{{/* What the server reads. It holds no secret. */}}
{{- define "vault.config" -}}
cluster_name = {{ include "vault.clusterName" . | quote }}
api_addr     = {{ include "vault.url" . | quote }}
log_level    = {{ .Values.logLevel | quote }}
log_format   = "json"
ui           = {{ .Values.ui.enabled }}
{{- if eq .Values.distribution "vault" }}
# Memory that cannot be swapped is a capability, and raft's store does not fit into it.
disable_mlock = true
{{- end }}

listener "tcp" {
  address         = "[::]:8200"
  cluster_address = "[::]:8201"
  tls_cert_file   = "/vault/tls/tls.crt"
  tls_key_file    = "/vault/tls/tls.key"
  tls_min_version = {{ .Values.tls.minVersion | quote }}
}

storage "raft" {
  path = "/vault/data"
  # As is recommended for production: who leads is settled in seconds, for a single server too.
  performance_multiplier = 1
  {{- with include "vault.peers" . }}{{ trim . | nindent 2 }}{{ end }}
}
{{- if and .Values.audit.enabled (eq .Values.distribution "openbao") }}

audit "file" "stdout" {
  options {
    file_path = "stdout"
  }
}
{{- end }}
{{- with .Values.seal.type }}

seal {{ . | quote }} {
  {{- range $key, $value := $.Values.seal.settings }}
  {{ $key }} = {{ toString $value | toJson }}
  {{- end }}
}
{{- end }}
{{- if and .Values.setup.enabled (eq (include "vault.mode" .) "selfInit") }}

{{ include "vault.selfInit" . }}
{{- end }}
{{- end }}

{{/* Whom a server looks for when it has no data. They are called by their own names, and known by the
one that is in all their certificates. */}}
{{- define "vault.peers" -}}
{{- if gt (int .Values.replicas) 1 }}
{{- range $index := until (int .Values.replicas) }}
retry_join {
  leader_api_addr       = "https://{{ include "vault.fullname" $ }}-{{ $index }}.{{ include "vault.host" (dict "root" $ "suffix" "-internal") }}:8200"
  leader_ca_cert_file   = "/vault/tls/ca.crt"
  leader_tls_servername = {{ include "vault.host" (dict "root" $ "suffix" "") | quote }}
}
{{- end }}
{{- end }}
{{- end }}

{{/* What OpenBao does once, when it initialises itself: let the setup Job in, which does the rest. */}}
{{- define "vault.selfInit" -}}
{{- $policy := dict "path" dict }}
{{- range $path, $capabilities := include "vault.setupPolicy" . | fromYaml }}
{{- $_ := set $policy.path $path (dict "capabilities" $capabilities) }}
{{- end -}}
initialize "setup" {
  request "method" {
    operation = "update"
    path      = "sys/auth/kubernetes"
    data      = { type = "kubernetes" }
  }
  request "api-server" {
    operation = "update"
    path      = "auth/kubernetes/config"
    data      = { kubernetes_host = "https://kubernetes.default.svc" }
  }
  request "policy" {
    operation = "update"
    path      = "sys/policies/acl/vault-setup"
    data      = { policy = {{ $policy | toJson | toJson }} }
  }
  request "role" {
    operation = "update"
    path      = "auth/kubernetes/role/vault-setup"
    data = {
      bound_service_account_names      = [{{ printf "%s-setup" (include "vault.fullname" .) | quote }}]
      bound_service_account_namespaces = [{{ .Release.Namespace | quote }}]
      audience                         = "vault"
      token_policies                   = ["vault-setup"]
      token_ttl                        = "15m"
    }
  }
}
{{- end }}

{{/* What answers 2xx when the server takes requests. One of many on standby hands on what it is asked;
a single one is on standby while it starts, and fails then. */}}
{{- define "vault.ready" -}}
/v1/sys/health{{ if gt (int .Values.replicas) 1 }}?standbyok=true&perfstandbyok=true{{ end }}
{{- end }}

{{/* What answers 2xx as long as the server answers at all. */}}
{{- define "vault.alive" -}}
/v1/sys/health?standbyok=true&perfstandbyok=true&drsecondarycode=200&sealedcode=204&uninitcode=204
{{- end }}
