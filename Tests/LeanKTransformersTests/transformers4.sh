#!/usr/bin/env bash
# The same tests with transformers 4.57 (llama, qwen2, qwen3, gemma2, phi3), in the environment that run.sh made. By hand, and
# after each change of the package: transformers4.sh [PYTEST OPTION ...]
set -euo pipefail
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${LEANK_VENV:-$tests/../../.build/transformers}
packages=$venv/transformers4
[ -x "$venv/bin/pip" ] || { echo "run run.sh first: $venv is missing" >&2; exit 1; }
if [ ! -d "$packages/transformers" ]; then
  # What transformers 5 does without.
  "$venv/bin/pip" install --quiet requests
  "$venv/bin/pip" install --quiet --no-deps --target "$packages" \
    transformers==4.57.6 "huggingface_hub>=0.34,<1" "tokenizers>=0.22,<0.23"
fi
PYTHONPATH=$packages exec "$venv/bin/python" -m pytest -q -p no:cacheprovider "$tests" "$@"
