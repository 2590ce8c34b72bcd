#!/usr/bin/env bash
# One rank's death is everybody's within seconds; nothing is left behind but the run's own
# directory, and the same command goes on.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
need_hooks
unset OMPI_MCA_odls_base_sigkill_timeout # as on a user's machine

make_data set data.h5 1 700 200
finish 1 whole

# Shared memory and what mpirun keeps.
nothing_left() { # what
    local files

    files=$(find shm session -type f)
    [ -z "$files" ] || die "$1: left over: $files"
}

long=(run --run cut "${small[@]}" --epochs 1000000 --checkpoint-every 0.2)
for victim in 0 2; do
    rm -rf cut
    start 3 "${long[@]}"
    await "a checkpoint of a training under way" in_training cut
    find_ranks 3
    [ -n "$(find shm -type f)" ] || die "no shared memory is found"
    SECONDS=0
    kill -KILL "${pids[victim]}"
    await_job
    expect_rc 137 "rank $victim killed"
    for pid in "${pids[@]}"; do
        await "end of process $pid" has_ended "$pid"
    done
    [ $SECONDS -le 10 ] || die "killing rank $victim took $SECONDS s"
    nothing_left "rank $victim killed"
    ok "rank $victim killed in a training: ends after $SECONDS s"
done

# The launcher itself: its ranks notice. It can no longer remove its own files.
start 2 "${long[@]}"
await "the ranks at work" log_has " resume "
find_ranks 2
SECONDS=0
kill -KILL "$job"
await_job
for pid in "${pids[@]}"; do
    await "end of process $pid" has_ended "$pid"
done
[ $SECONDS -le 10 ] || die "killing mpirun took $SECONDS s"
rm -rf cut shm/* session/*
ok "mpirun killed: its ranks end after $SECONDS s"

# In a selection, where rank 1 may hold the sample that everybody waits for.
SECONDS=0
kill_at select-step:23:1 3 cut --checkpoint-steps 5
[ $SECONDS -le 10 ] || die "took $SECONDS s"
nothing_left "rank 1 killed in a selection"
finish 3 cut
said "added=20 removed=0"
same_end whole cut
nothing_left "the last start"
ok "rank 1 killed in a selection; the same command goes on"
