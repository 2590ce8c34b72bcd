#!/usr/bin/env bash
# tools/measure_performance from end to end, at tiny sizes.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"

need python3
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
mkdir docs
cp "$FMAL_SOURCE/docs/performance.md" docs
check "measure" "$FMAL_SOURCE/tools/measure_performance" --quick --into docs
check "nothing is left to measure" bash -c '! grep -q "not measured yet" docs/performance.md'
check "both forms of factors are in the tables" grep -q '^`binary`, d 7, c 4:' docs/performance.md
finish
