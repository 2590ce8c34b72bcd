#!/usr/bin/env bash
# A run killed at random times, on a random number of ranks at each start, ends with the
# tables of one that was never killed. SEED in the environment repeats a sequence, as far
# as times can be repeated.
. "$(dirname "$0")/lib.sh"
RANDOM=${SEED:=$RANDOM}
echo "SEED=$SEED"

make_data set data.h5 1 700 200
small+=(--rounds 12 --epochs 100 --checkpoint-every 0.02 --checkpoint-steps 3)
finish 2 whole

kills=0
for ((leg = 1; leg <= 200; leg++)); do
    start $((RANDOM % 4 + 1)) run --run cut "${small[@]}"
    # Long enough to get somewhere at times; a third go while MPI starts.
    sleep "0.$((RANDOM % 70 + 10))"
    pids=($(rank_pids)) || true
    if [ ${#pids[@]} -gt 0 ]; then
        kill -KILL "${pids[RANDOM % ${#pids[@]}]}" 2>/dev/null || true
    fi
    await_job
    case $rc in
    0) break ;;
    137) kills=$((kills + 1)) ;;
    *) die "leg $leg: exit code $rc" ;;
    esac
    ! log_has " warn " || die "leg $leg: a warning"
done
[ $rc -eq 0 ] || die "not finished after $leg starts"
[ $kills -ge 5 ] || die "only $kills kills"
same_tables whole cut
sound_events cut 12
ok "killed $kills times"
