# shellcheck shell=bash
# Sourced by the scripts here: how MPI programs run on one machine, be it a container.

# nproc would answer 1 once OMP_NUM_THREADS is 1, and Open MPI counts cores, not threads.
fmal_cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
fmal_physical=$( (lscpu -p=CORE,SOCKET 2>/dev/null || true) | grep -v '^#' | sort -u | wc -l)
if [ "$fmal_physical" -ge 1 ] && [ "$fmal_physical" -lt "$fmal_cores" ]; then
    fmal_cores=$fmal_physical
fi

# One thread a rank: more would compete for the cores that the other ranks use.
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

# Containers often forbid one process to read another's memory.
export OMPI_MCA_btl_vader_single_copy_mechanism=none

if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# fmal_ranks N: N ranks are about to run; let them share cores if there are fewer.
fmal_ranks() {
    if [ "$1" -gt "$fmal_cores" ]; then
        export OMPI_MCA_rmaps_base_oversubscribe=1
    fi
}
