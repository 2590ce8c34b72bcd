#!/usr/bin/env bash
# A newest checkpoint that is damaged or gone: the one before it is used, that is said, and
# the run ends as one that was never hurt. Both damaged: an error, and nothing is touched.
# A checkpoint that cannot be written ends the run and leaves the old one.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
need_hooks

make_data set data.h5 1 700 200
finish 1 whole
kill_at select-step:13 1 hurt --checkpoint-steps 5
expect_position hurt "picking the batch of round 1,10 added, 0 removed"
newest=hurt/checkpoint.h5 previous=hurt/checkpoint.prev.h5
cmp -s $newest $previous && die "both checkpoints are the same"
mv hurt sound

# One bit of the byte at an offset.
flip() { # FILE offset
    local byte

    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    # shellcheck disable=SC2059 # the format is the byte
    printf "\\x$(printf %x $((byte ^ 16)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

flip_data() { flip "$1" 4321; }
flip_head() { flip "$1" 30; }
flip_last() { flip "$1" $(($(stat -c %s "$1") - 1)); }
cut_short() { truncate -s -100 "$1"; }
cut_head() { truncate -s 511 "$1"; }
lengthen() { echo more >>"$1"; }
empty() { : >"$1"; }
remove() { rm "$1"; }
zero() { dd if=/dev/zero of="$1" bs=512 seek=3 count=8 conv=notrunc status=none; }

hurt_newest() { # how
    rm -rf hurt
    cp -r sound hurt
    "$1" $newest
    ! cmp -s sound/checkpoint.h5 $newest || die "$1 did nothing"
}

for how in flip_data flip_head flip_last cut_short cut_head lengthen empty zero remove; do
    hurt_newest $how
    finish 2 hurt
    said "using the one before it, $previous"
    [ $how = remove ] || said " $newest: "
    said "resume round=1 labels=20 epochs=0 added=5 removed=0"
    same_end whole hurt
    sound_events hurt 2
    ok "the newest checkpoint after $how"
done

# The first checkpoint after that is not written at the cost of the only sound one.
for point in file-begin file-middle file-written; do
    hurt_newest flip_data
    kill_at $point:3 1 hurt --checkpoint-steps 5 # 1, 2: the tables
    finish 1 hurt
    same_end whole hurt
done
ok "killed while replacing a damaged checkpoint"

for how in flip_data empty remove; do
    hurt_newest $how
    flip $previous 4321
    files_of hurt >before
    run 2 hurt
    expect_rc 1 "both damaged, $how"
    said "fmal: $previous: size or checksum is not what its first block says"
    said "there is no sound checkpoint in hurt: put a copy back, or start in another"
    files_of hurt | diff before - || die "both damaged, $how: the directory has changed"
done
ok "both checkpoints damaged"

# One that cannot be written, as on a full disk: from now on, a file of the root may only
# have fewer bytes than a checkpoint.
if ! command -v prlimit >/dev/null; then
    echo "skipped: prlimit is not installed"
    exit
fi
start 2 run --run full "${small[@]}" --epochs 1000000 --checkpoint-every 0.3
await "a checkpoint of a training under way" in_training full
find_ranks 2
size=$(stat -c %s full/checkpoint.h5)
prlimit --pid "${pids[0]}" --fsize=$((size - 4096))
await_job
expect_rc 1 "full disk"
grep -q '^fmal: full/checkpoint.*: cannot write .*: File too large$' log ||
    die "full disk: not said"
! compgen -G 'full/*.new' || die "full disk: half a file stays"
reached=$(position full)
[[ $reached == "training round 0,"* ]] || die "full disk: left at $reached"
launch 1 run --run full "${small[@]}" --epochs 1000000 --max-time 0.001
expect_rc 3 "after a full disk"
said "resume round=0 labels=20 epochs=${reached##*,} "
! log_has "using the one before it" || die "the newest checkpoint is no longer good"
ok "a checkpoint that cannot be written"
