{{/* The release's name, with the chart's after it unless it is in it already. */}}
{{- define "everbearer.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "everbearer.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "everbearer.labels" -}}
{{ include "everbearer.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "everbearer.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "everbearer.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "everbearer.image" -}}
{{- with .Values.image.registry }}{{ . }}/{{ end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* The document that Everbearer reads. */}}
{{- define "everbearer.config" -}}
{{- if not .Values.config.rotations -}}
{{- fail "config.rotations is empty, so there is nothing to do: see the example in values.yaml" -}}
{{- end -}}
{{- $installation := .Values.config.installation | default (printf "%s/%s" .Release.Namespace .Release.Name) -}}
{{- toYaml (set (deepCopy .Values.config) "installation" $installation) -}}
{{- end -}}

{{- define "everbearer.configName" -}}
{{- printf "%s-%s" (include "everbearer.fullname" .) (include "everbearer.config" . | sha256sum | trunc 10) -}}
{{- end -}}

{{/* Of Roles and their bindings: unlike other releases' in the namespaces that they share. */}}
{{- define "everbearer.roleName" -}}
{{- printf "%s-%s" .Release.Namespace (include "everbearer.fullname" .) -}}
{{- end -}}

{{/* The Secrets that the configuration writes, as JSON: namespace to names. */}}
{{- define "everbearer.secrets" -}}
{{- $byNamespace := dict -}}
{{- range .Values.config.rotations -}}
{{- range .sinks -}}
{{- with .kubernetesSecret -}}
{{- $names := append (get $byNamespace .namespace | default list) .name -}}
{{- $_ := set $byNamespace .namespace ($names | uniq | sortAlpha) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $byNamespace -}}
{{- end -}}
