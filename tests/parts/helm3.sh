#!/usr/bin/env bash
# The previous major of Helm: packed three deep in a hashed wheel.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

[ -z "${HELM_BIN:-}" ] || { say "helm3: HELM_BIN is used instead"; exit 0; }

install_helm3() {
  wheel "$HERE/helm3/requirements.txt"
  tar -xzf aws_cdk/*/_jsii/*.jsii.tgz package/lib/layer.zip
  python3 -m zipfile -e package/lib/layer.zip layer
  program layer/helm/helm helm3
}

part helm3 "fetching 36 MB" bin/helm3 "$HERE/helm3/requirements.txt"
