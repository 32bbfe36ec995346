#!/usr/bin/env bash
# A certified OpenID provider, from npm as package-lock.json pins it. oidc-provider/server.mjs starts it.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

install_oidc_provider() {
  needs node "install Node.js 20 or newer"
  needs npm "install npm"
  mkdir out/oidc-provider
  cp "$HERE"/oidc-provider/package{,-lock}.json out/oidc-provider/
  (cd out/oidc-provider && npm ci --silent --no-audit --no-fund --ignore-scripts)
}

part oidc-provider "fetching from npm" oidc-provider "$HERE"/oidc-provider/package{,-lock}.json
