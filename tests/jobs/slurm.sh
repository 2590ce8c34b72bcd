#!/usr/bin/env bash
# jobs/slurm_cifar.sh under a real Slurm: its time limit interrupts the job, which saves, is
# requeued and goes on, to the picks of an uninterrupted run.
#
# Slurm counts limits in minutes and looks at them every 30 seconds. A job that is asked to
# save 20 seconds before its minute is up hears so after 10 to 40 seconds. The run itself
# takes few seconds, on any machine; so its ranks are held until then.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/../restart/lib.sh"
# shellcheck source=tests/jobs/slurm_lib.sh
. "$(dirname "$0")/slurm_lib.sh"
# shellcheck source=tests/jobs/batches.sh
. "$(dirname "$0")/batches.sh"

unset "${!SLURM_@}" "${!SBATCH_@}" FMAL_LAUNCH FMAL_DATA FMAL_CONFIG FMAL_SEED FMAL_STRATEGY
export SLURM_CONF=$slurm/slurm.conf FMAL_JOBS=$FMAL_SOURCE/jobs
export FMAL_STRATEGY=bait # the head of so small a network is larger than a mask of it
script=$FMAL_JOBS/slurm_cifar.sh
small=(--hidden 8 --progress never --checkpoint-every 1)

start_slurm
srun --mpi=list 2>&1 | grep -qw pmix || skip "this Slurm has no plug-in for PMIx"
ok "Slurm starts"

make_batches batches
export CIFAR10=$dir/batches

# ---- Until the time is nearly up ----

id=$(FMAL_RUN=legs sbatch --parsable --ntasks=2 --time=1 --signal=B:USR1@20 --output=log \
    "$script" "${small[@]}") || die "sbatch"

# hold SIGNAL: to the job's ranks
hold() {
    local pid

    for pid in $(slurm_pids); do
        [ "$(cat "/proc/$pid/comm")" != fmal ] || kill -"$1" "$pid"
    done
}

await "first save" test -e legs/checkpoint.h5
hold STOP
! log_has "done" || die "the run was over before it could be interrupted"
FMAL_RUN=whole FMAL_RANKS=1 bash "$script" "${small[@]}" >out 2>whole.log || die "uninterrupted run"
await "Slurm's signal" log_has "time is nearly up"
hold CONT
await "requeueing" log_has "requeueing job $id"
said "stopped by signal"
ok "the time limit makes the job save and requeue itself"

# ---- The next leg ----

job_is() { # TEXT: of what Slurm says of it
    scontrol show job "$id" | grep -qE "$1"
}

await "end of the job" job_is "JobState=(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL)"
job_is "JobState=COMPLETED" || die "$(scontrol show job "$id")"
job_is "Restarts=1 " || die "$(scontrol show job "$id")"
said "resume"
same_tables whole legs
[ ! -e legs/legs ] || die "leaves legs/legs"
ok "the next leg ends with the same picks"

# ---- The end ----

left=$(stop_slurm)
[ -z "$left" ] || die "had to be killed: $left"
[ -z "$(ls shm)" ] || die "leaves shared memory: $(ls shm)"
ok "nothing is left"
