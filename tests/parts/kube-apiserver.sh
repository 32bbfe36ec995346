#!/usr/bin/env bash
# kube-apiserver, built from Kubernetes' Go modules as go.sum pins them. Another of its programs needs a line in
# kubernetes/tools.go, a `go mod tidy` there, and a script like this one.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  say "kube-apiserver: the one in KUBEBUILDER_ASSETS is used instead"
  exit 0
fi

version=$(go_version kubernetes k8s.io/kubernetes)

# Unless told its version, the server reports a placeholder.
install_kube_apiserver() {
  go_program kubernetes k8s.io/kubernetes/cmd/kube-apiserver kube-apiserver \
    "-X k8s.io/component-base/version.gitVersion=$version"
}

part kube-apiserver "$version: building from Go modules, about 5 minutes on two cores" bin/kube-apiserver \
  "$HERE"/kubernetes/go.{mod,sum}
