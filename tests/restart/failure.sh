#!/usr/bin/env bash
# One rank's death is everybody's within seconds; nothing is left behind but the run's own
# directory, and the same command goes on.
. "$(dirname "$0")/lib.sh"
need_hooks
unset OMPI_MCA_odls_base_sigkill_timeout # as on a user's machine

make_data set data.h5 1 700 200
finish 1 whole

# Files of ours that are not the tests' own, and processes that name this directory.
nothing_left() { # what
    local files

    files=$(find shm session -type f)
    [ -z "$files" ] || die "$1: left over: $files"
    ! pgrep -f -- "--run cut .*--checkpoint-every 0.21$" || die "$1: a process lives on"
}

for victim in 0 1 2; do
    rm -rf cut
    start 3 run --run cut "${small[@]}" --epochs 10000000 --checkpoint-every 0.21
    await "a checkpoint of a training under way" eval '[[ $(position cut) == *,* ]]'
    pids=($(rank_pids))
    [ ${#pids[@]} = 3 ] || die "ranks are ${pids[*]}"
    pgrep -f -- "--run cut .*--checkpoint-every 0.21$" >/dev/null || die "no process is found"
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
start 2 run --run cut "${small[@]}" --epochs 10000000 --checkpoint-every 0.21
await "the ranks at work" log_has " resume "
pids=($(rank_pids))
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
kill_at select-step:23:1 3 cut --checkpoint-steps 5 --checkpoint-every 0.21
[ $SECONDS -le 10 ] || die "took $SECONDS s"
nothing_left "rank 1 killed in a selection"
finish 3 cut
said "added=20 removed=0"
same_tables whole cut
nothing_left "the last start"
ok "rank 1 killed in a selection; the same command goes on"
