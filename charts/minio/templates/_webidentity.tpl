{{/* Tokens of ServiceAccounts in place of keys. */}}

{{/* The name of the policy that says what each ServiceAccount may do. */}}
{{- define "minio.identityPolicy" -}}web-identity{{- end }}

{{/* Its statements, as JSON: those of the policies that an account has, each for its tokens alone.
Whoever may make tokens in the cluster has one for this audience, so the account is what counts.
Nobody has more of a token than its life: by default who has keys may make others that never end, and
who has a token may ask for keys that outlive it. */}}
{{- define "minio.identityStatements" -}}
{{- if hasKey .Values.policies (include "minio.identityPolicy" .) }}
{{- fail (printf "policies.%s: the name is taken by webIdentity, choose another" (include "minio.identityPolicy" .)) }}
{{- end }}
{{- $longer := dict "NumericGreaterThan" (dict "sts:DurationSeconds" "0") }}
{{- $statements := list
  (dict "Effect" "Deny" "Action" (list "admin:CreateServiceAccount"))
  (dict "Effect" "Deny" "Action" (list "sts:AssumeRoleWithWebIdentity") "Condition" $longer)
}}
{{- range $name, $account := .Values.webIdentity.accounts }}
{{- $subject := printf "system:serviceaccount:%s:%s" (default $.Release.Namespace $account.namespace) $account.serviceAccount }}
{{- range $policy := $account.policies }}
{{- range required (printf "webIdentity.accounts.%s: there is no policy %s" $name $policy) (index $.Values.policies $policy) }}
{{- $condition := deepCopy (default dict .Condition) }}
{{- $equals := merge (dict "jwt:sub" $subject) (default dict $condition.StringEquals) }}
{{- $_ := set $condition "StringEquals" $equals }}
{{- $statements = append $statements (merge (dict "Condition" $condition) (omit . "Sid" "Condition")) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $statements }}
{{- end }}

{{/* What the server is told. */}}
{{- define "minio.identityEnv" -}}
- {name: MINIO_IDENTITY_OPENID_CONFIG_URL, value: {{ .Values.webIdentity.configUrl | quote }}}
- {name: MINIO_IDENTITY_OPENID_CLIENT_ID, value: {{ .Values.webIdentity.audience | quote }}}
- {name: MINIO_IDENTITY_OPENID_ROLE_POLICY, value: {{ include "minio.identityPolicy" . }}}
{{- end }}

{{/* What completes the server's settings, in front of it. */}}
{{- define "minio.clientSecret" -}}
- name: client-secret
  {{- include "minio.containerBasics" (dict "root" . "image" .Values.image) | nindent 2 }}
  command:
    - sh
    - -c
    - | {{- .Files.Get "files/client-secret.sh" | nindent 6 }}
  env:
    - {name: GIVEN, value: /given/config.env}
    - {name: SETTINGS, value: /config/config.env}
  # No more than the server, which begins when this has ended.
  resources: {{- toYaml .Values.resources | nindent 4 }}
  volumeMounts:
    - {name: config, mountPath: /given, readOnly: true}
    - {name: settings, mountPath: /config}
{{- end }}
