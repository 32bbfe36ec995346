# Shared by the scripts that install parts. Sourced, not run.
#
# Each part builds into a temporary folder and is moved into place as a whole; a stamp that holds the hash of its lock
# files is written last. So a failed or interrupted install is done again, and an installed part costs milliseconds.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PARTS=${EVERBEARER_PARTS:-${XDG_CACHE_HOME:-$HOME/.cache}/everbearer/parts}
mkdir -p "$PARTS/bin" "$PARTS/stamps"

# part NAME EXPECTATION LOCKFILE... : runs install_NAME in an empty temporary folder, unless it is installed already.
part() {
  local name=$1 expectation=$2 stamp=$PARTS/stamps/$1 hash started work
  shift 2
  hash=$(cat "$@" "${BASH_SOURCE[1]}" | sha256sum | cut -d' ' -f1)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$hash" ]; then return 0; fi
  echo "parts: $name: $expectation" >&2
  started=$SECONDS
  work=$(mktemp -d "$PARTS/work.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  rm -f "$stamp"
  (cd "$work" && "install_${name//-/_}")
  echo "$hash" >"$stamp"
  rm -rf "$work"
  trap - EXIT
  echo "parts: $name: installed in $((SECONDS - started)) s" >&2
}

# program PATH : moves a finished program into bin/, replacing what is there even while it runs.
program() {
  chmod 755 "$1"
  mv -f "$1" "$PARTS/bin/"
}

# needs COMMAND WHAT : a tool that the user must have.
needs() {
  command -v "$1" >/dev/null || { echo "parts: $1 is missing: $2" >&2; exit 1; }
}

# wheel REQUIREMENTS : downloads the one wheel that the hashed requirements file names, and unpacks it here.
wheel() {
  needs python3 "install Python 3 with pip (Debian: python3 python3-pip)"
  python3 -m pip download --quiet --no-deps --require-hashes --only-binary :all: --dest wheel -r "$1"
  python3 -m zipfile -e wheel/*.whl .
}
