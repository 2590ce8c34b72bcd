#!/usr/bin/env bash
# One rank where a batch job was given several is a mistake, and said; one that a launcher was
# asked for is not.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

make_pool pool.h5 --n 600
pool=(select --quiet --pool "$dir/pool.h5" --batch 5)

on_ranks=1
for variable in SLURM_NTASKS SLURM_STEP_NUM_TASKS PMI_SIZE PBS_NP; do
    export $variable=4
    refuse "$variable=4: select" 2 "given 4 tasks ($variable)" "${pool[@]}"
    unset $variable
done
export SLURM_NTASKS=4
refuse "srun is named" 2 "srun --mpi=pmix" "${pool[@]}"
refuse "mpirun is named" 2 "mpirun" "${pool[@]}"
refuse "run, before it reads" 2 "srun --mpi=pmix" run --data none.h5 --run out
refuse "even a plan" 2 "srun --mpi=pmix" "${pool[@]}" --dry-run
settle

accept "info works" info
check "info: facts" grep -q '^ranks  *1 on 1 node' "$work/np1/out"
check "info: a warning" grep -q '^fmal: this is one rank, but .* 4 tasks' "$work/np1/err"
accept "inspect does not care" inspect "$dir/pool.h5"
same "inspect: no warning" "$(cat "$work/np1/err")" ""

# mpirun takes the variable for its own, so it is set for the program alone.
unset SLURM_NTASKS
timeout "$limit" mpirun -np 1 env SLURM_NTASKS=4 "$FMAL" "${pool[@]}" -o "$dir/picks.h5" \
    </dev/null >"$dir/one.out" 2>"$dir/one.err"
same "mpirun -np 1: exit code" "$?" 0
same "mpirun -np 1: no complaint" "$(cat "$dir/one.err")" ""
check "mpirun -np 1: picks" test -s "$dir/picks.h5"

export SLURM_NTASKS=1
accept "an allocation of one task" "${pool[@]}"
finish
