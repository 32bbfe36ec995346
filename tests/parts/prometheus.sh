#!/usr/bin/env bash
# Prometheus and promtool, unpacked from Debian's package as apt verifies it: starts no service and changes nothing
# outside the parts. No test needs them yet, so where that does not work they are named as missing, and that is all.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

if [ "${1:-}" != really ]; then
  "$0" really || say "prometheus, promtool are missing; on Debian or Ubuntu, as root: apt-get install prometheus"
  exit 0
fi

install_prometheus() {
  needs apt-get "Debian's packages are not to be had here"
  fetch || { [ "$(id -u)" = 0 ] && apt-get --quiet=2 update >&2 && fetch; }
  dpkg-deb -x ./prometheus_*.deb .
  mv usr/bin/prometheus usr/bin/promtool out/bin/
}

# As root, apt wants to hand the download to a user who may not write here.
fetch() { apt-get --quiet=2 -o APT::Sandbox::User=root download prometheus >/dev/null 2>&1; }

part prometheus "fetching 19 MB, Debian's package" "bin/prometheus bin/promtool" /dev/null
