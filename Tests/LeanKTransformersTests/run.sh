#!/usr/bin/env bash
# Tests the Python package with the packages of requirements.txt (about 6 GB, from the package index) in an environment of
# its own: run.sh [PYTEST OPTION ...]. LEANK_VENV names its folder, .build/transformers by default; LEANK_BINARY the leank
# whose checkpoints are opened. Where the environment cannot be made it says so and exits with 0.
set -euo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$tests/../..
venv=${LEANK_VENV:-$root/.build/transformers}

skip() {
  echo "skipped: the tests of leank_transformers did not all run: $1"
  exit 0
}

if ! cmp -s "$tests/requirements.txt" "$venv/requirements.txt"; then
  mkdir -p "$(dirname "$venv")"
  free=$(df -Pk "$(dirname "$venv")" | awk 'NR == 2 { print int($4 / 1048576) }')
  [ "$free" -ge 9 ] || skip "torch takes 6 GB, $free GB are free"
  command -v python3 >/dev/null || skip "there is no python3"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || skip "python3 is older than 3.10"
  rm -rf "$venv"
  python3 -m venv "$venv" || skip "python3 has no module venv"
  "$venv/bin/pip" install --quiet --requirement "$tests/requirements.txt" ||
    skip "the packages could not be installed"
  cp "$tests/requirements.txt" "$venv/requirements.txt"
fi

for folder in "$root/Sources/LeanKTransformers" "$tests"; do
  (cd "$folder" && "$venv/bin/ruff" check --quiet . && "$venv/bin/ruff" format --check --quiet .)
done
"$venv/bin/python" -m pytest -q -p no:cacheprovider "$tests" "$@"
# The decode kernel, interpreted; with options its tests are among the others'.
if [ $# -eq 0 ]; then
  if "$venv/bin/python" -c 'import triton' 2>/dev/null; then
    TRITON_INTERPRET=1 "$venv/bin/python" -m pytest -q -p no:cacheprovider "$tests/test_decode_kernel.py"
  else
    skip "torch has no triton here, which the decode kernel needs"
  fi
fi
