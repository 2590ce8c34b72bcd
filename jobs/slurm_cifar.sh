#!/usr/bin/env bash
#SBATCH --job-name=fmal-cifar
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
#
# Active learning on CIFAR-10 in the setting of the FisherMask paper, which is
# jobs/cifar10.ini, in as many jobs as it takes:
#
#   sbatch jobs/slurm_cifar.sh
#   FMAL_STRATEGY=random sbatch --array=1-5 jobs/slurm_cifar.sh
#   FMAL_RANKS=2 bash jobs/slurm_cifar.sh
#
# Three minutes before its time is up the job is asked to save RUN/checkpoint.h5; then it is
# requeued, and goes on from there. It saves between two epochs at the earliest: an epoch, and the
# saving, have to fit into these minutes (slurm_run.sh says more). Where they do not, ask for more;
# the command line counts, not the #SBATCH line of this script:
#
#   sbatch --signal=B:USR1@900 jobs/slurm_cifar.sh
#
# Without Slurm the same runs under mpirun. From the environment:
#
#   CIFAR10      folder of the binary batches (datasets.sh); read only if FMAL_DATA is not there
#   FMAL_DATA    the data set, HDF5, made from them (default: cifar10.h5)
#   FMAL_RUN     directory of the run (default: runs/cifar10-MODEL-STRATEGY-SEED)
#   FMAL_CONFIG  options of fmal run (default: cifar10.ini beside this script)
#   FMAL_...     instead of a key of that file: FMAL_MODEL, FMAL_STRATEGY, FMAL_SEED (in a
#                job array: the task's number), FMAL_INITIAL, FMAL_BATCH, FMAL_ROUNDS,
#                FMAL_TRAIN_BATCH, FMAL_LEARNING_RATE and so on
#
# Words after the script's name go to fmal run, too; --help prints this. More settings: jobs/env.sh.
set -u -o pipefail

fmal_job=slurm_cifar.sh

# Slurm runs a copy of this script, elsewhere; so look where the job was submitted, too.
for dir in "${FMAL_JOBS:-}" "$(dirname "$0")" "${SLURM_SUBMIT_DIR:-.}"/jobs "${SLURM_SUBMIT_DIR:-.}"; do
    [ -n "$dir" ] && [ -r "$dir/env.sh" ] && break
    dir=''
done
# shellcheck source=jobs/env.sh
. "${dir:?submit from the folder above jobs/, or set FMAL_JOBS to it}/env.sh"
# shellcheck source=jobs/datasets.sh
. "$dir/datasets.sh"

fmal_help "$@"
config=${FMAL_CONFIG:-$dir/cifar10.ini}
data=${FMAL_DATA:-cifar10.h5}
FMAL_SEED=${FMAL_SEED:-${SLURM_ARRAY_TASK_ID:-}}

# ---- Settings -----------------------------------------------------------------------------

# Every key of the configuration with the value that counts; what the environment says goes
# to options, too.
declare -A setting
options=(--config "$config")
[ -r "$config" ] || fmal_fail "$config: cannot read; FMAL_CONFIG names the configuration"
while read -r key equals value _; do
    [ "$equals" = "=" ] || continue
    name=${key^^} name=FMAL_${name//-/_}
    if [ -n "${!name:-}" ]; then
        value=${!name}
        options+=("--$key=$value")
    fi
    setting[$key]=$value
done <"$config"

run=${FMAL_RUN:-runs/cifar10-${setting[model]:-}-${setting[strategy]:-}-${setting[seed]:-}}

fmal_find
fmal_make_cifar10 "$data"
mkdir -p "$(dirname "$run")" || exit 1
fmal_run_job "$run" "$run/legs" \
    "$fmal" run --data "$data" --run "$run" "${options[@]}" "$@"
