{{/* The bootstrap: roles by the superuser, then migrations by the owner. */}}
{{- define "postgres.bootstrapPod" -}}
metadata:
  labels: {{- include "postgres.labels" (dict "root" . "component" "bootstrap") | nindent 4 }}
  annotations:
    checksum/config: {{ include (print $.Template.BasePath "/scripts.yaml") . | sha256sum }}
spec:
  {{- include "postgres.podBasics" . | nindent 2 }}
  restartPolicy: Never
  securityContext:
    runAsNonRoot: true
    # The pipeline's own user. The group of the mounted Secrets is everybody's in the pod.
    runAsUser: 10001
    runAsGroup: 1000
    fsGroup: 1000
    seccompProfile: {type: RuntimeDefault}
  initContainers:
    - name: roles
      {{- include "postgres.containerBasics" . | nindent 6 }}
      command: [sh, /scripts/bootstrap.sh]
      env:
        {{- include "postgres.clientEnv" . | nindent 8 }}
        - {name: SUPERUSER_SECRET, value: {{ .Values.superuser.existingSecret }}}
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
    - name: credentials
      projected:
        defaultMode: 0440
        sources:
          {{- include "postgres.login" .Values.superuser.existingSecret | nindent 10 }}
          {{- include "postgres.login" .Values.database.existingSecret | nindent 10 }}
          {{- range .Values.logins }}
          {{- include "postgres.login" .existingSecret | nindent 10 }}
          {{- end }}
    - name: owner
      secret:
        secretName: {{ .Values.database.existingSecret }}
        defaultMode: 0440
        items:
          - {key: username, path: username}
          - {key: password, path: password}
    - name: tmp
      emptyDir: {}
{{- end }}
