#!/usr/bin/env bash
# jobs/scaling.sh collects reports; the model adds up what it should; tables and pictures can
# be made of both.
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"

need python3
unset SLURM_JOB_ID SLURM_SUBMIT_DIR FMAL_JOBS
# Other tests run on the same cores.
export FMAL_LAUNCH="mpirun --bind-to none" OMPI_MCA_mpi_yield_when_idle=1
tools=$FMAL_SOURCE/tools
scale() { FMAL_OUTPUT=$dir/out.jsonl bash "$FMAL_SOURCE/jobs/scaling.sh" "$@" </dev/null 2>"$dir/log"; }

# ---- The job ----------------------------------------------------------------------------

tiny=(-d 7 -c 4 -f full -b 3 --repeats 1)
check "strong" scale strong "1 2" -n 600 "${tiny[@]}"
same "a report for each case and number of ranks" "$(wc -l <"$dir/out.jsonl")" 8
check "each on a line" python3 -c 'import json, sys
[json.loads(line)["rows"] for line in open(sys.argv[1])]' "$dir/out.jsonl"
cp "$dir/out.jsonl" "$dir/strong.jsonl"
FMAL_CASES=step check "weak" scale weak "1 2" --samples=300 "${tiny[@]}"
same "appends, with as many samples a rank" \
    "$(tail -n 2 "$dir/out.jsonl" | grep -o '"samples": [0-9]*' | tr -d '\n')" \
    '"samples": 300"samples": 600'

for words in "" "string 1 -n 5" "strong x -n 5" "strong 1 -n many" "strong 1"; do
    # shellcheck disable=SC2086 # words
    scale $words
    same "'$words' is refused" "$? $(grep -c usage: "$dir/log")" "2 1"
done
scale strong 1 -n 600 --factor fulll
same "a failure is one" "$?" 1

# ---- The model --------------------------------------------------------------------------

# row CASE WHAT SIZE SECONDS RATE: of a report
row() {
    echo "{\"case\": \"$1\", \"factor\": \"${6-full}\", \"what\": \"$2\", \"size\": $3, \"slowest\": $4, \"rate\": $5}"
}
# report RANKS ROW...: of 25,600 samples
report() {
    local ranks=$1 IFS=,
    shift
    echo "{\"ranks\": $ranks, \"cores\": 2, \"samples\": 25600, \"features\": 8, \"classes\": 3, \"rows\": [$*]}"
}
{
    report 1 "$(row step "step: candidate pass" 0 0.256 1)" "$(row update "step: A and E" 24 0.004 1)" \
        "$(row select "one step forward" 0 0.26 0)"
    report 2 "$(row step "step: candidate pass" 0 0.128 1)" \
        "$(row allreduce allreduce 8 0.0001 80000 "")" "$(row allreduce broadcast 1048576 0.001 1e9 "")"
} >"$dir/known.jsonl"
model=("$tools/scaling_model" --samples 25600 --ranks "1,2,4" --csv "$dir/known.jsonl")
same "one rank: pass and matrices" "$("${model[@]}" | sed -n 2p)" "full,8,3,25600,1,0.256,0.004,0,0.26,1"
same "two: half the pass, and messages" "$("${model[@]}" | sed -n 3p | cut -d, -f 6-7)" "0.128,0.004"
same "five messages' latency on two" "$("${model[@]}" | sed -n 3p | cut -d, -f 8)" "0.0005009"
same "twice that on four" "$("${model[@]}" | sed -n 4p | cut -d, -f 6,8)" "0.064,0.001002"
same "a network of one's own" \
    "$("${model[@]}" --latency 1 --bandwidth 1e30 | sed -n 4p | cut -d, -f 8)" 10
"$tools/scaling_model" --markdown "$dir/known.jsonl" >"$dir/tables"
check "the prediction stands beside the measurement" \
    grep -qF '| 25,600 | 1 | 260 ms | 260 ms | 1.00 |' "$dir/tables"
"$tools/scaling_model" "$dir/strong.jsonl" >"$dir/tables"
check "of real reports, too" grep -q '1,024 ranks' "$dir/tables"
"$tools/scaling_model" "$dir/none.jsonl" 2>"$dir/log"
same "no file" "$? $(grep -c 'none.jsonl' "$dir/log")" "1 1"
echo "{" >"$dir/bad.jsonl"
check "no report" bash -c '! "$1" "$2" 2>&1 | grep -q Traceback' - "$tools/scaling_model" "$dir/bad.jsonl"

# ---- Tables and pictures ----------------------------------------------------------------

mkdir -p docs/performance
cp "$FMAL_SOURCE/docs/performance.md" docs
cp "$dir/strong.jsonl" docs/performance/scaling.jsonl
cp "$dir/strong.jsonl" docs/performance/cases.jsonl
echo "a machine" >docs/performance/machine.txt
echo "a command" >docs/performance/commands.txt
check "tables" "$tools/performance_tables" docs
check "the machine is named" grep -qx "a machine" docs/performance.md
check "cases have rows" grep -q '^| `step` | step: candidate pass, full | n 600, d 7, c 4 | .* SGEMM |' \
    docs/performance.md
check "commands are listed" grep -qx "    a command" docs/performance.md
same "what is between the marks alone changes" \
    "$(sed '/<!-- begin/,/<!-- end/d' docs/performance.md | md5sum)" \
    "$(sed '/<!-- begin/,/<!-- end/d' "$FMAL_SOURCE/docs/performance.md" | md5sum)"
cp docs/performance.md once.md
check "tables again" "$tools/performance_tables" docs
check "are the same" cmp once.md docs/performance.md
if command -v gnuplot >/dev/null; then
    check "pictures" "$tools/plot_performance" docs/performance
    for picture in limits steps model; do
        check "$picture.svg" grep -q '</svg>' "docs/performance/$picture.svg"
    done
fi

# ---- What is committed ------------------------------------------------------------------

for file in cases scaling; do
    check "docs/performance/$file.jsonl" python3 -c 'import json, sys
assert [json.loads(line)["rows"] for line in open(sys.argv[1])]' \
        "$FMAL_SOURCE/docs/performance/$file.jsonl"
done
finish
