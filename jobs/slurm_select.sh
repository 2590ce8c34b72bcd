#!/usr/bin/env bash
#SBATCH --job-name=fmal-select
#SBATCH --ntasks=16
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
#
# Pick one batch from a pool, in as many jobs as it takes:
#
#   FMAL_POOL=pool.h5 FMAL_OUTPUT=picks.h5 sbatch -n 64 jobs/slurm_select.sh --batch 1000
#
# or from a data set, for the strategies that look into a network (--data or -d among the words;
# FMAL_POOL does not count then):
#
#   FMAL_OUTPUT=picks.h5 sbatch -n 64 jobs/slurm_select.sh --data cifar10.h5 \
#       --model resnet18-slim --weights model.h5 --labelled runs/1/picks.csv \
#       --strategy fishermask --batch 250
#
# What follows the script's name goes to fmal select; --help prints this. Three minutes before
# its time is up the job is asked to save OUTPUT.part; then it is requeued, and goes on from
# there. It saves between two steps of the search, or two blocks of a Jacobian; where these take
# longer, ask for more minutes (slurm_run.sh says how). Without Slurm,
# `bash jobs/slurm_select.sh ...` does the same under mpirun. More settings: jobs/env.sh.
set -u

fmal_job=slurm_select.sh
input=(--pool "${FMAL_POOL:-pool.h5}")
output=${FMAL_OUTPUT:-picks.h5}

# Slurm runs a copy of this script, elsewhere; so look where the job was submitted, too.
for dir in "${FMAL_JOBS:-}" "$(dirname "$0")" "${SLURM_SUBMIT_DIR:-.}"/jobs "${SLURM_SUBMIT_DIR:-.}"; do
    [ -n "$dir" ] && [ -r "$dir/env.sh" ] && break
    dir=''
done
# shellcheck source=jobs/env.sh
. "${dir:?submit from the folder above jobs/, or set FMAL_JOBS to it}/env.sh"

fmal_help "$@"
for word; do
    case $word in
    --data | --data=* | -d*) input=() ;;
    esac
done
fmal_find
fmal_run_job "$output.part" "$output.legs" \
    "$fmal" select ${input[@]+"${input[@]}"} --output "$output" "$@"
