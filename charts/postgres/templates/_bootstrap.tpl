{{/* The bootstrap: roles by the superuser, then migrations by the owner. */}}
{{- define "postgres.bootstrapPod" -}}
{{- $secrets := include "postgres.bootstrapSecrets" . | fromJsonArray }}
{{- $mounts := list (dict "name" "credentials" "mountPath" "/credentials") (dict "name" "owner" "mountPath" "/vault/secrets/database") }}
{{- $agent := dict "root" . "component" "bootstrap" "mounts" $mounts -}}
metadata:
  labels: {{- include "postgres.labels" (dict "root" . "component" "bootstrap") | nindent 4 }}
  annotations:
    checksum/config: {{ include (print $.Template.BasePath "/scripts.yaml") . | sha256sum }}
    {{- if .Values.vault.enabled }}
    checksum/vault-agent: {{ include (print $.Template.BasePath "/vault-agent.yaml") . | sha256sum }}
    {{- end }}
spec:
  {{- include "postgres.podBasics" . | nindent 2 }}
  restartPolicy: Never
  securityContext:
    runAsNonRoot: true
    # The pipeline's own user. The group of the secrets' files is everybody's in the pod.
    runAsUser: 10001
    runAsGroup: 1000
    fsGroup: 1000
    seccompProfile: {type: RuntimeDefault}
  initContainers:
    {{- if .Values.vault.enabled }}
    {{- include "postgres.vaultAgent" $agent | nindent 4 }}
    {{- end }}
    - name: roles
      {{- include "postgres.containerBasics" . | nindent 6 }}
      command: [sh, /scripts/bootstrap.sh]
      env:
        {{- include "postgres.clientEnv" . | nindent 8 }}
        - {name: SUPERUSER_SECRET, value: {{ first $secrets }}}
        - {name: SECRETS, value: {{ join " " $secrets }}}
        - {name: WAIT_SECONDS, value: {{ .Values.bootstrap.waitSeconds | int | quote }}}
      resources: {{- toYaml .Values.bootstrap.resources | nindent 8 }}
      volumeMounts: {{- include "postgres.clientMounts" . | nindent 8 }}
  containers:
    - name: migrate
      image: {{ include "postgres.image" (dict "root" . "image" .Values.bootstrap.image) | quote }}
      imagePullPolicy: {{ .Values.bootstrap.image.pullPolicy }}
      securityContext: {{- include "postgres.restricted" . | nindent 8 }}
      args: [migrate]
      env:
        - {name: SALES_DB_HOST, value: {{ include "postgres.fullname" . }}}
        - {name: SALES_DB_NAME, value: {{ .Values.database.name }}}
        - {name: SALES_DB_SCHEMA, value: {{ .Values.database.schema }}}
        - {name: SALES_DB_SSLMODE, value: verify-full}
        - {name: SALES_DB_SSL_ROOT_CERT, value: /ca/ca.crt}
        - {name: SALES_CREDENTIALS_DIR, value: /vault/secrets}
      resources: {{- toYaml .Values.bootstrap.resources | nindent 8 }}
      volumeMounts:
        - {name: owner, mountPath: /vault/secrets/database, readOnly: true}
        - {name: ca, mountPath: /ca, readOnly: true}
        - {name: tmp, mountPath: /tmp}
  volumes:
    {{- include "postgres.clientVolumes" . | nindent 4 }}
    {{- if .Values.vault.enabled }}
    {{- include "postgres.vaultVolumes" $agent | nindent 4 }}
    {{- else }}
    - name: credentials
      projected:
        defaultMode: 0440
        sources:
          {{- range $secrets }}
          {{- include "postgres.login" . | nindent 10 }}
          {{- end }}
    - name: owner
      secret:
        secretName: {{ .Values.database.existingSecret }}
        defaultMode: 0440
        items:
          - {key: username, path: username}
          - {key: password, path: password}
    {{- end }}
    - name: tmp
      emptyDir: {}
{{- end }}
