#!/usr/bin/env bash
# A restart goes on inside a training and inside a selection, instead of doing them again:
# the named points that it passes are those of the work that was left, to the last one.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
need_hooks

make_data set data.h5 1 700 200

# With n passages left, the n-th kills and the one after is never reached.
passes_exactly() { # n point DIR options...
    cp -r "$3" again
    kill_at "$2:$1" 2 again "${@:4}"
    rm -r again
    FMAL_KILL_AT=$2:$(($1 + 1)) finish 2 "${@:3}"
}

training=(--rounds 0 --checkpoint-every 0.000001)
finish 2 whole0 "${training[@]}"
kill_at train-epoch:13 2 cut0 "${training[@]}"
expect_position cut0 "training round 0,12"
passes_exactly 18 train-epoch cut0 "${training[@]}"
same_end whole0 cut0
ok "a training of 30 epochs goes on with the 13th"

# Twice: in the forward search, and while removing, after a refresh. Both restarts begin
# with a refresh and replay the steps since.
selection=(--rounds 1 --checkpoint-every 0)
finish 2 whole1 "${selection[@]}" --log-level stat
refreshes=$(sed -nE 's/.* refresh step=([0-9]+) .*/\1/p' log)
first=$(head -n 1 <<<"$refreshes") late=$(tail -n 1 <<<"$refreshes")
[ "$first" -lt 20 ] || die "no refresh before step 20: $refreshes"
[[ $late -gt 30 && $late -lt 49 ]] || die "no refresh in removals: $refreshes"
kill_at select-step:23 2 cut1 "${selection[@]}" --checkpoint-steps 5
expect_position cut1 "picking the batch of round 1,20 added, 0 removed"
cp -r cut1 cut2
passes_exactly 30 select-step cut1 "${selection[@]}"
same_end whole1 cut1
ok "a selection of 50 steps goes on with the 21st"

kill_at select-step:$((late + 2 - 20)) 2 cut2 "${selection[@]}" --checkpoint-steps 1
expect_position cut2 "picking the batch of round 1,30 added, $((late + 1 - 30)) removed"
passes_exactly $((50 - late - 1)) select-step cut2 "${selection[@]}" --checkpoint-steps 1
same_end whole1 cut2
ok "and, when removing, with the step after the last"
