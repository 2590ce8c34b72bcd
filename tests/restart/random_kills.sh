#!/usr/bin/env bash
# A run killed at random times, on a random number of ranks at each start, ends with the
# tables of one that was never killed. SEED in the environment repeats a sequence, as far
# as times can be repeated.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
RANDOM=${SEED:=$RANDOM}
echo "SEED=$SEED"
limit=600

make_data set data.h5 1 700 200
small+=(--rounds 30 --epochs 100 --checkpoint-every 0.02 --checkpoint-steps 3)
finish 1 whole

kills=0
for ((leg = 1; leg <= 40; leg++)); do
    ranks=$((RANDOM % 4 + 1))
    start $ranks run --run cut "${small[@]}"
    # Not while MPI starts: Open MPI 4.1 may hang or crash then, before there is any fmal.
    await "the first line" log_has " start "
    find_ranks $ranks
    sleep "0.$(printf %02d $((RANDOM % 60)))"
    kill -KILL "${pids[RANDOM % ${#pids[@]}]}" 2>/dev/null || true
    await_job
    ! log_has " warn  checkpoint " || die "leg $leg: a damaged checkpoint"
    [ "$rc" -ne 0 ] || break # finished before its kill
    expect_rc 137 "leg $leg"
    kills=$((kills + 1))
done
[ $kills -ge 5 ] || die "only $kills kills"
finish 1 cut
same_end whole cut
sound_events cut 30
ok "killed $kills times"
