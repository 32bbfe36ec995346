#!/usr/bin/env bash
# A certified OpenID provider, from npm as package-lock.json pins it.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

install_oidc_provider() {
  needs node "install Node.js 20 or newer"
  needs npm "install npm"
  cp "$HERE"/oidc-provider/package{,-lock}.json .
  npm ci --silent --no-audit --no-fund --ignore-scripts
  rm -rf "$PARTS/oidc-provider"
  mkdir "$PARTS/oidc-provider"
  mv package.json node_modules "$PARTS/oidc-provider/"
}

part oidc-provider "fetching from npm" "$HERE"/oidc-provider/package{,-lock}.json
