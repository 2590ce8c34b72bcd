#!/usr/bin/env bash
# Strategies that look into a network, killed while they make the mask, the Jacobian, and
# in the search: in a run and in a selection, on any number of ranks, the next start ends
# with the same picks, and computes no block of the Jacobian again that was whole.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
need_hooks

# Four blocks of 256 samples.
make_data set data.h5 1 900 60
masked=(--strategy fishermask --mask-fraction 0.1)
steps=(--checkpoint-every 0 --checkpoint-steps 5)

# ---- In a run ---------------------------------------------------------------------------

finish 2 whole "${masked[@]}"
finish 2 ent "${masked[@]}" --strategy fishent

kill_at fisher-batch:9:0 2 cut "${masked[@]}" "${steps[@]}"
expect_position cut "picking the batch of round 1"
[ ! -e cut/jacobian.part ] || die "a Jacobian before the mask"
ok "in the mask"

kill_at jacobian-block:2:0 1 cut "${masked[@]}" "${steps[@]}"
expect_position cut "picking the batch of round 1"
[ -e cut/jacobian.part ] || die "no Jacobian stays"
ok "in the Jacobian"

# Two of four blocks are there. So the third that is computed is the next round's first.
kill_at jacobian-block:3:0 1 cut "${masked[@]}" --checkpoint-every 0
expect_position cut "picking the batch of round 2"
ok "in the Jacobian of the next round: no whole block was computed again"

kill_at select-step:13:1 3 cut "${masked[@]}" "${steps[@]}"
expect_position cut "picking the batch of round 2,10 added, 0 removed"
kill_at jacobian-left:1:0 2 cut "${masked[@]}" "${steps[@]}"
expect_position cut "training round 2"
[ -e cut/jacobian.part ] || die "the Jacobian went before the batch was saved"
finish 4 cut "${masked[@]}"
same_end whole cut
sound_events cut 2
[ "$(cd cut && echo ./*)" = "$(cd whole && echo ./*)" ] || die "left over: $(cd cut && echo ./*)"
ok "in the search, and when the batch is saved: the same end on other numbers of ranks"

kill_at jacobian-block:1:1 2 cut2 "${masked[@]}" --strategy fishent
kill_at select-step:8 1 cut2 "${masked[@]}" --strategy fishent "${steps[@]}"
expect_position cut2 "picking the batch of round 1,5 added, 0 removed"
finish 3 cut2 "${masked[@]}" --strategy fishent
same_end ent cut2
ok "fishent, too"

# ---- In a selection ---------------------------------------------------------------------

launch 1 run --run base "${small[@]}" --strategy bait --rounds 0 --save-weights model.h5
expect_rc 0 "weights"
selection=(select --data data.h5 --hidden 8 --weights model.h5 --labelled base/picks.csv
    "${masked[@]}" --batch 10 --lambda 0.0001)

choose() { # ranks OUTPUT options...
    launch "$1" "${selection[@]}" -o "$2" "${@:3}"
}

choose_killed() { # point[:count[:rank]] ranks OUTPUT options...
    FMAL_KILL_AT=$1 choose "${@:2}"
    expect_rc 137 "killed at $1"
    [ ! -e "$3" ] || die "killed at $1, and yet there are picks"
}

choose 2 all.h5
expect_rc 0 "select"
choose_killed fisher-batch:5:0 1 one.h5
choose_killed jacobian-block:3:0 1 one.h5 --jacobian-memory 0.001
[ -e one.h5.jacobian ] || die "no Jacobian stays"
choose_killed select-step:13 2 one.h5 "${steps[@]}"
[ -e one.h5.part ] || die "no steps stay"

# Other weights: what was done is not taken for theirs.
launch 1 run --run other "${small[@]}" --strategy bait --rounds 0 --seed 2 --save-weights other.h5
choose 1 one.h5 --weights other.h5
expect_rc 1 "other weights"
said "one.h5.part: belongs to other data: the checksum was"
choose 3 one.h5
expect_rc 0 "to its end"
said "file=one.h5.part added=10 removed=0"
cmp all.csv one.csv || die "other picks"
set -- one.*
[ "$*" = "one.csv one.h5" ] || die "left over: $*"
ok "a selection in mask, Jacobian and search"
