#!/usr/bin/env bash
# Results on standard output, all else on standard error, and little of it when asked.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

make_pool pool.h5 --n 600 --add labels --add ids --text 'ids:1=a "quoted", name'
pool=(select --pool "$dir/pool.h5" --batch 5)

# is_json FILE: by python where there is one, else by its first and last character
# shellcheck disable=SC2317 # check calls it
is_json() {
    if command -v python3 >/dev/null; then
        python3 -m json.tool "$1" >/dev/null
    else
        [ "$(head -c 1 "$1")" = '{' ] && [ "$(tail -c 2 "$1" | head -c 1)" = '}' ]
    fi
}

# json_list FILE KEY: numbers, on one line
json_list() { tr -d ' \n"' <"$1" | sed -n "s/.*$2:\[\([^]]*\)\].*/\1/p" | tr ',' ' '; }

# ---- select -----------------------------------------------------------------------------

accept "select" "${pool[@]}"
for np in $on_ranks; do
    out=$work/np$np/out err=$work/np$np/err
    same "np $np: lines of results" "$(sed 's/:.*//' "$out" | sort | xargs)" \
        "first picks objective tr(M^-1 F) picks picks by predicted class picks by true class"
    same "np $np: first picks" "$(sed -n 's/^first picks: //p' "$out")" \
        "$(column "$work/np$np/files/picks.csv" index)"
    check "np $np: the start is told" grep -q " start fmal .* select: 1 node, $np ranks\? x" "$err"
    check "np $np: options as resolved" grep -qw "options .*lambda=1" "$err"
    check "np $np: a seed that nobody gave" grep -qw "seed=1" "$err"
    check "np $np: phases" grep -q "^step  *[0-9]" "$err"
    check "np $np: peak memory" grep -q "^total .*peak memory a rank [0-9]" "$err"
done
for quiet in --quiet --log-level=warn; do
    accept "select $quiet" "${pool[@]}" "$quiet"
    same "select $quiet, np 1: nothing else" "$(cat "$work/np1/err")" ""
    same "select $quiet, np 4: nothing else" "$(cat "$work/np4/err")" ""
    check "select $quiet: results all the same" grep -q "^first picks: " "$work/np4/out"
done

accept "select --json" "${pool[@]}" --json
for np in $on_ranks; do
    out=$work/np$np/out
    check "np $np: JSON" is_json "$out"
    same "np $np: picks in JSON" "$(json_list "$out" index)" \
        "$(column "$work/np$np/files/picks.csv" index)"
    check "np $np: objective in JSON" grep -q '"objective_after": [0-9]' "$out"
    check "np $np: progress is no JSON" grep -q ' start fmal' "$work/np$np/err"
done

make_pool latin.h5 --n 60 --add ids --text "ids:$(printf '7=caf\xe9')" --text 'ids:8=a"b'
accept "select --json, names in another encoding" select --quiet --pool "$dir/latin.h5" \
    --strategy random --batch 56 --json
for np in $on_ranks; do
    check "np $np: JSON of other encodings" is_json "$work/np$np/out"
    same "np $np: a name for each pick" "$(sed -n '/"id": \[/,/\]/p' "$work/np$np/out" | grep -c '^    "')" 56
done

on_ranks=1
accept "debug" "${pool[@]}" --log-level debug
everywhere start "${pool[@]}" --batch 6 --log-level debug
check "debug: where it failed" grep -q "debug error place=[a-z0-9_]*\.c:[0-9]" "$work/np1/err"

# ---- The other commands -----------------------------------------------------------------

accept "info --json" info --json
check "info: JSON" is_json "$work/np1/out"
check "info: strategies in JSON" grep -q '"name": "bait"' "$work/np1/out"
accept "inspect --json" inspect --json "$dir/pool.h5"
check "inspect: JSON" is_json "$work/np1/out"
check "inspect: samples in JSON" grep -q '"samples": 600' "$work/np1/out"

idx_images 40 >"$dir/images"
idx_labels 40 >"$dir/labels"
import=(import --format idx --images "$dir/images" --labels "$dir/labels" -o data.h5)
accept "import" "${import[@]}"
same "import: its output" "$(cat "$work/np1/out")" data.h5
check "import: what it did" grep -q "import seconds=" "$work/np1/err"
accept "import --quiet" "${import[@]}" --quiet
same "import --quiet: nothing else" "$(cat "$work/np1/err")" ""
mv "$work/np1/files/data.h5" "$dir"

on_ranks="1 4"
accept "run" run --data "$dir/data.h5" --run out --initial 6 --batch 3 --rounds 1 --hidden 8 \
    --train-batch 128
for np in $on_ranks; do
    same "np $np: a line for each round" "$(awk 'NR < 4 { print $1, $2 }' "$work/np$np/out" | xargs)" \
        "round labels 0 6 1 9"
    same "np $np: and the files" "$(tail -1 "$work/np$np/out")" \
        "run: out (metrics.csv, classes.csv, picks.csv, events.jsonl, checkpoint.h5)"
    check "np $np: rounds are told" grep -q " round 1/1 labels=9 " "$work/np$np/err"
done
same "run: the same results" "$(cat "$work/np1/out")" "$(cat "$work/np4/out")"
accept "run --quiet" run --data "$dir/data.h5" --run out --initial 6 --batch 3 --rounds 1 \
    --hidden 8 --train-batch 128 --quiet
same "run --quiet, np 1: nothing else" "$(cat "$work/np1/err")" ""
same "run --quiet, np 4: nothing else" "$(cat "$work/np4/err")" ""

# ---- Where results cannot go ------------------------------------------------------------

if [ -w /dev/full ]; then
    on_ranks=1
    for command in help "inspect $dir/pool.h5" "inspect --json $dir/pool.h5" \
        "select --quiet --pool $dir/pool.h5 --batch 5"; do
        read -r -a words <<<"$command"
        stdout=/dev/full everywhere fresh "${words[@]}"
        same "${words[0]} >/dev/full: exit code" "$(cat "$work/np1/rc")" 1
        check "${words[0]} >/dev/full: said" \
            grep -qx "fmal: cannot write to standard output" "$work/np1/err"
    done
else
    echo "# no /dev/full here"
fi
finish
