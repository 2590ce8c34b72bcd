#!/usr/bin/env bash
# BAIT against random picks on Fashion-MNIST, several seeds; see usage below.
set -eu -o pipefail

usage() {
    cat <<'EOF'
Usage: jobs/fashion_mnist.sh DATA [DIR]

Runs five rounds of active learning on the data set DATA (fmal import; tools/quickstart.sh
leaves one in quickstart/fmnist.h5) for every strategy and seed, into DIR/STRATEGY-SEED
(default: runs), and prints mean and standard deviation over seeds of the test accuracy by
labels. Started again, it goes on where it stopped.

  STRATEGIES="random bait"  SEEDS="1 2 3"  RANKS=2  ROUNDS=5

FMAL names the program (default: fmal in PATH, else build/release/fmal of this tree); more
settings: jobs/env.sh.
EOF
}

case ${1:-} in
-h | --help) usage && exit 0 ;;
'' | -*) usage >&2 && exit 2 ;;
esac
data=$1
dir=${2:-runs}
strategies=${STRATEGIES:-random bait}
seeds=${SEEDS:-1 2 3}

fmal_job=fashion_mnist.sh
export FMAL_RANKS=${RANKS:-${FMAL_RANKS:-2}}
# shellcheck source=jobs/env.sh
. "$(dirname "$0")/env.sh"
fmal_find
mkdir -p "$dir"

for seed in $seeds; do
    for strategy in $strategies; do
        "${fmal_launch[@]}" "$fmal" run --data "$data" \
            --run "$dir/$strategy-$seed" --strategy "$strategy" --seed "$seed" \
            --model mlp --hidden 128 --initial 100 --batch 100 --rounds "${ROUNDS:-5}" \
            </dev/null >/dev/null
    done
done

# One line a strategy and number of labels: mean and deviation over seeds; then the mean
# over all rounds but the first, whose samples are the same for every strategy.
for strategy in $strategies; do
    for seed in $seeds; do
        cat "$dir/$strategy-$seed/metrics.csv"
    done | awk -F, -v strategy="$strategy" '
        $1 == "round" { for (i = 1; i <= NF; i++) column[$i] = i; next }
        {
            labels = $column["labelled"]; x = $column["test_accuracy"]
            n[labels]++; sum[labels] += x; square[labels] += x * x
            if ($column["round"] > 0) { later += x; count++ }
        }
        END {
            for (labels in n) {
                mean = sum[labels] / n[labels]
                variance = square[labels] / n[labels] - mean * mean
                if (n[labels] > 1) variance *= n[labels] / (n[labels] - 1)
                printf "%-12s %6d labels  %.4f +- %.4f\n", strategy, labels, mean,
                       sqrt(variance > 0 ? variance : 0) | "sort -k2,2n"
            }
            close("sort -k2,2n")
            if (count) printf "%-12s mean of all rounds but the first  %.4f\n",
                              strategy, later / count
        }'
done
