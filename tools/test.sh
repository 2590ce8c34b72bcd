#!/usr/bin/env bash
# Build and test fmal; see usage below.
set -eu -o pipefail

usage() {
    cat <<'EOF'
Usage: tools/test.sh [--slow | --asan | --clang] [-- CTEST-ARGUMENTS]

Installs what is missing, builds, and runs the tests that are not labelled slow.

  --slow   run the tests labelled slow instead
  --asan   build and test with AddressSanitizer and UndefinedBehaviorSanitizer
  --clang  build and test with clang

Builds are kept in build/ and brought up to date by the next call. Where the source tree
may not be written, they go to FMAL_BUILD_ROOT or a folder of the user's in TMPDIR.
Example: tools/test.sh -- -R unit.par
EOF
}

preset=ci name=ci labels=(-LE '^slow$') setup=(--tests --data)
while [ $# -gt 0 ]; do
    case $1 in
    --slow) labels=(-L '^slow$') ;;
    --asan) preset=asan name=asan ;;
    --clang) name=clang setup+=(--lint) && export CC=clang ;;
    --) shift && break ;;
    -h | --help) usage && exit 0 ;;
    *) echo "test.sh: unknown argument $1; see tools/test.sh --help" >&2 && exit 2 ;;
    esac
    shift
done

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"
# shellcheck source=tools/env.sh
. tools/env.sh
bash tools/setup.sh "${setup[@]}"

build_root=${FMAL_BUILD_ROOT:-$top/build}
if ! { mkdir -p "$build_root" && [ -w "$build_root" ]; } 2>/dev/null; then
    build_root=${TMPDIR:-/tmp}/fmal-build-$(id -u)
    [ -d "$build_root" ] || mkdir -m 700 "$build_root"
    [ -O "$build_root" ] || { echo "test.sh: $build_root is not yours" >&2 && exit 1; }
fi
build=$build_root/$name

# A build that is there keeps its generator.
if [ ! -e "$build/CMakeCache.txt" ] && command -v ninja >/dev/null; then
    export CMAKE_GENERATOR=Ninja
fi
echo "test.sh: building $build" >&2
cmake --preset "$preset" -B "$build"
cmake --build "$build" --parallel "$fmal_cores"

echo "test.sh: testing" >&2
# As in the test presets, which know only build folders inside the source tree.
exec ctest --test-dir "$build" --output-on-failure --no-tests=error --parallel 2 \
    "${labels[@]}" "$@" </dev/null
