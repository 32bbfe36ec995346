#!/usr/bin/env bash
# etcd and kube-apiserver, built from their Go modules as go.sum pins them.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

[ -z "${KUBEBUILDER_ASSETS:-}" ] || { echo "parts: etcd, kube-apiserver: from KUBEBUILDER_ASSETS" >&2; exit 0; }

build() { # MODULE-FOLDER PACKAGE PROGRAM LDFLAGS
  needs go "install Go 1.24 or newer"
  (cd "$HERE/$1" && CGO_ENABLED=0 GOFLAGS=-mod=readonly GOTOOLCHAIN=local \
    go build -trimpath -ldflags="-s -w $4" -o "$OLDPWD/$3" "$2")
  program "$3"
}

install_etcd() { build etcd go.etcd.io/etcd/server/v3 etcd ""; }
install_kube_apiserver() {
  build kubernetes k8s.io/kubernetes/cmd/kube-apiserver kube-apiserver \
    "-X k8s.io/component-base/version.gitVersion=v1.34.2"
}

part etcd "building 3.6.14 from Go modules, about a minute" "$HERE"/etcd/go.{mod,sum}
part kube-apiserver "building 1.34.2 from Go modules, about 5 minutes on two cores" "$HERE"/kubernetes/go.{mod,sum}
