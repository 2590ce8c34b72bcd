#!/usr/bin/env bash
# fmal select: killed in its search and started again, on any number of ranks, it goes on
# from OUTPUT.part and picks the same; OUTPUT.part is deleted in the end, and refused if it
# belongs to other options or to another pool.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/lib.sh"
need_hooks

make_data pool pool.h5 1 700 6 3
make_data pool other.h5 2 700 6 3
search=(--pool pool.h5 --batch 10 --oversample 3 --lambda 0.0001 --checkpoint-every 0)
options=("${search[@]}")

choose() { # ranks OUTPUT options...
    launch "$1" select "${options[@]}" -o "$2" "${@:3}"
}

# Numbers and words of a picks file, less what names the file and the command.
picked() { # FILE
    "$FMAL" inspect "$1" | grep -vE '^(file|command|  output|  (checkpoint-|log-level))'
}

same_picks() { # OUTPUT OUTPUT
    cmp "${1%.h5}.csv" "${2%.h5}.csv" || die "$1 and $2 differ"
    picked "$1" >one
    grep -q '^objective after' one || die "$1 says no objective"
    picked "$2" | diff one - || die "$1 and $2 differ"
}

choose 2 whole.h5
expect_rc 0 "select"

FMAL_KILL_AT=select-step:23:2 choose 3 cut.h5 --checkpoint-steps 5
expect_rc 137 "killed in its search"
[ ! -e cut.h5 ] || die "killed, and yet there are picks"
"$FMAL" inspect cut.h5.part | grep -qx 'added so far *20' || die "cut.h5.part is not at 20"
cp cut.h5.part saved.part

# One number of ranks after the other; the last is never killed.
FMAL_KILL_AT=select-step:13 choose 1 cut.h5 --checkpoint-steps 5
expect_rc 137 "killed again"
said "file=cut.h5.part added=20 removed=0"
FMAL_KILL_AT=select-step:21 choose 2 cut.h5
expect_rc 0 "resumed: 20 steps are left, so the 21st is none"
said "file=cut.h5.part added=30 removed=0"
same_picks whole.h5 cut.h5
[ ! -e cut.h5.part ] || die "cut.h5.part stays"
ok "killed on 3 ranks, resumed on 1, finished on 2: the same picks"

# Not mine: nothing is overwritten.
refused() { # what text options...
    cp saved.part no.h5.part
    choose 1 no.h5 "${@:3}"
    expect_rc 1 "$1"
    said "$2"
    cmp saved.part no.h5.part || die "$1: no.h5.part was changed"
    [[ ! -e no.h5 && ! -e no.csv ]] || die "$1: there are picks"
    ok "refused: $1"
}

refused "another batch" "batch was 10, now 11" --batch 11
refused "another ridge" "lambda was 0.0001, now 0.001" --lambda 0.001
options=(--pool pool.h5 --batch 10)
refused "another strategy" "strategy was bait, now entropy" --strategy entropy
options=("${search[@]}")
refused "another pool" "no.h5.part: belongs to other data: the checksum was" \
    --pool other.h5

head -c 2000 saved.part >no.h5.part
choose 1 no.h5
expect_rc 1 "a damaged no.h5.part"
said "the file is damaged; remove it"
rm no.h5.part
ok "refused: a damaged file"

# Killed while the file is written: the one before it counts, and what is half written
# does not stay.
FMAL_KILL_AT=file-middle:3 choose 2 half.h5 --checkpoint-steps 5
expect_rc 137 "killed while writing"
[ -e half.h5.part.new ] || die "no file was left half written"
choose 1 half.h5
expect_rc 0 "resumed"
said "file=half.h5.part added=10 removed=0"
same_picks whole.h5 half.h5
set -- half.*
[ "$*" = "half.csv half.h5" ] || die "left over: $*"
ok "killed while writing half.h5.part"

# Killed while the picks are written: none count, and no step is done again.
for point in file-middle:3 file-renamed:3 file-middle:4 file-renamed:4; do
    rm -f late.*
    FMAL_KILL_AT=$point choose 2 late.h5 --checkpoint-steps 25
    expect_rc 137 "killed at $point"
    [[ ! -e late.h5 && ! -e late.csv ]] || die "killed at $point: there are picks"
    FMAL_KILL_AT=select-step:1 choose 1 late.h5
    expect_rc 0 "after $point"
    said "file=late.h5.part added=30 removed=20"
    same_picks whole.h5 late.h5
    set -- late.*
    [ "$*" = "late.csv late.h5" ] || die "left over: $*"
done
ok "killed while writing the picks"

# Killed between the two: the picks are there, and only their CSV is written.
rm -f late.*
FMAL_KILL_AT=picks-moved choose 2 late.h5 --checkpoint-steps 25
expect_rc 137 "killed at picks-moved"
[[ -e late.h5 && ! -e late.csv && -e late.h5.part ]] || die "killed at picks-moved: $(ls)"
cp late.h5 moved.h5
FMAL_KILL_AT=select-step:1 choose 1 late.h5
expect_rc 0 "after picks-moved"
said " done these picks were made before"
cmp moved.h5 late.h5 || die "late.h5 was written again"
same_picks whole.h5 late.h5
set -- late.*
[ "$*" = "late.csv late.h5" ] || die "left over: $*"
ok "killed between the picks and their CSV"

# Stops.
touch stop.h5.stop
choose 2 stop.h5
expect_rc 3 "a stop file"
said "by stop file; stop.h5.part keeps the steps so far: the same command goes on"
[ ! -e stop.h5.stop ] || die "the stop file stays"
choose 2 stop.h5 --max-time 0.000001
expect_rc 3 "a time limit"
said "file=stop.h5.part added=1 removed=0"
said "by time limit"
choose 1 stop.h5 --log-level warn
expect_rc 0 "finished after two stops"
same_picks whole.h5 stop.h5
ok "stopped by stop.h5.stop and by --max-time"
