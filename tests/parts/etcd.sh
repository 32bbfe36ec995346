#!/usr/bin/env bash
# etcd, built from its Go module as go.sum pins it.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

[ -z "${KUBEBUILDER_ASSETS:-}" ] || { say "etcd: the one in KUBEBUILDER_ASSETS is used instead"; exit 0; }

version=$(go_version etcd go.etcd.io/etcd/server/v3)

install_etcd() { go_program etcd go.etcd.io/etcd/server/v3 etcd; }

part etcd "$version: building from Go modules, about a minute" bin/etcd "$HERE"/etcd/go.{mod,sum}
