#!/usr/bin/env bash
# The batch scripts of jobs/, with Slurm's part played by small scripts: srun starts mpirun,
# squeue knows when the job ends, scontrol writes down what it was asked for.
# shellcheck source=tests/restart/lib.sh
. "$(dirname "$0")/../restart/lib.sh"

jobs=$FMAL_SOURCE/jobs
unset SLURM_JOB_ID SLURM_JOB_END_TIME SLURM_NTASKS SLURM_HINT SLURM_SUBMIT_DIR FMAL_LAUNCH FMAL_JOBS

mkdir bin
cat >bin/srun <<'END'
#!/usr/bin/env bash
while [ "${1#-}" != "$1" ]; do shift; done
exec env -u SLURM_JOB_ID mpirun -np 2 "$@"
END
cat >bin/squeue <<'END'
#!/usr/bin/env bash
cat "$FAKE/end"
END
cat >bin/scontrol <<'END'
#!/usr/bin/env bash
echo "$*" >>"$FAKE/scontrol.log"
[ ! -e "$FAKE/scontrol.fails" ]
END
cat >bin/idle <<'END'
#!/usr/bin/env bash
# An fmal that stops early and never gets on.
[ "$1" != inspect ] || { echo "state              training round 1" && exit; }
exit 3
END
cat >bin/grows <<'END'
#!/usr/bin/env bash
# An fmal that stops early, each time with some more of the Jacobian.
if [ "$1" = inspect ]; then
    echo "state              picking round 1"
    echo "Jacobian blocks    $(wc -l <"$FAKE/blocks") of 100"
    exit
fi
echo >>"$FAKE/blocks"
exit 3
END
touch blocks
cat >bin/words <<'END'
#!/usr/bin/env bash
# An fmal that writes down what it is asked for, and leaves the table of a run.
echo "$*" >>"$FAKE/words"
while [ $# -gt 1 ] && [ "$1" != --run ]; do shift; done
[ $# -gt 1 ] || exit 0
echo "$OPENBLAS_NUM_THREADS" >"$FAKE/threads"
mkdir -p "$2"
printf 'round,labelled,test_accuracy\n0,100,0.5\n1,200,0.75\n' >"$2/metrics.csv"
END
chmod +x bin/*
export FAKE=$dir

# Slurm runs a copy of the script, in a folder of its own.
mkdir spool
cp "$jobs"/slurm_*.sh spool

ends_in() { # seconds
    date -d "@$(($(date +%s) + $1))" +%FT%T >end
}

# leg JOB SCRIPT ARGUMENT...: one leg of a job in the background
leg() {
    : >scontrol.log
    PATH=$dir/bin:$PATH SLURM_JOB_ID=$1 SLURM_NTASKS=2 SLURM_SUBMIT_DIR=$FMAL_SOURCE \
        bash "spool/$2" "${@:3}" >out 2>log &
    job=$!
    children+=("$job")
}

# leg_ends CODE REQUEUES: it ends so, having asked scontrol for that
leg_ends() {
    await_job
    expect_rc "$1" "leg"
    [ "$(cat scontrol.log)" = "$2" ] || die "asked scontrol for '$(cat scontrol.log)', not '$2'"
}

# ---- When the job ends ----

end_time() { # what env.sh makes of squeue's answer
    PATH=$dir/bin:$PATH SLURM_JOB_ID=1 SLURM_JOB_END_TIME=$1 \
        bash -c '. "$0/env.sh"; echo "${SLURM_JOB_END_TIME-none}"' "$jobs"
}

date -d @1700000000 +%FT%T >end
[ "$(end_time 5)" = 1700000000 ] || die "the end of the job is $(end_time 5)"
echo N/A >end
[ "$(end_time 5)" = none ] || die "no limit gives $(end_time 5)"
: >end
[ "$(end_time 5)" = 5 ] || die "no answer gives $(end_time 5)"
ok "the end of the job"

# ---- How scripts are called ----

for script in slurm_run slurm_select slurm_cifar; do
    : >words
    rc=0
    FMAL=$dir/bin/words bash "$jobs/$script.sh" --help >out 2>log || rc=$?
    expect_rc 0 "$script.sh --help"
    grep -qF "jobs/$script.sh" out || die "$script.sh --help prints no usage"
    ! grep -q 'SBATCH --' out || die "$script.sh --help prints what Slurm reads"
    [ ! -s words ] || die "$script.sh --help calls fmal $(cat words)"
done
ok "usage"

refused() { # text variable=value...: slurm_run.sh, at once
    rc=0
    env "${@:2}" bash "$jobs/slurm_run.sh" >out 2>log || rc=$?
    expect_rc 2 "${*:2}"
    said "slurm_run.sh: $1"
}

refused "FMAL: there is no program 'nofmal'" FMAL=nofmal
for ranks in x 0 -1 1.5 "2 3" 9999999999; do
    refused "FMAL_RANKS: '$ranks' is no number of ranks" "FMAL_RANKS=$ranks"
done
ok "a program or ranks that are none"

asks() { # WORDS of the call, and what of a pool: what slurm_select.sh asks fmal for
    : >words
    FMAL=$dir/bin/words FMAL_LAUNCH=env FMAL_POOL=p.h5 FMAL_OUTPUT=o.h5 \
        bash "$jobs/slurm_select.sh" "${@:2}" >out 2>log || die "slurm_select.sh ${*:2}"
    [ "$(tail -n 1 words)" = "select $1--output o.h5 ${*:2}" ] || die "asks for '$(tail -n 1 words)'"
}

asks "--pool p.h5 " --strategy bait
asks "" --data d.h5 --weights w.h5
asks "" --data=d.h5 --weights w.h5
asks "" --weights w.h5 -d d.h5
ok "a pool or a data set"

# The program of this tree, where none is in PATH; numbers by columns' names.
mkdir -p tree/build/release
cp -r "$jobs" tree
cp bin/words tree/build/release/fmal
rc=0
env -u FMAL PATH=/usr/bin:/bin FMAL_LAUNCH=env ROUNDS=1 SEEDS="1 2" \
    bash tree/jobs/fashion_mnist.sh data.h5 curves >out 2>log || rc=$?
expect_rc 0 "fashion_mnist.sh"
for strategy in random bait; do
    grep -q "^$strategy  *200 labels  0.7500 +- 0.0000" out || die "no line of $strategy in: $(cat out)"
    [ -e "curves/$strategy-2/metrics.csv" ] || die "$strategy has no second seed"
done
[ "$(cat threads)" = 1 ] || die "a rank has $(cat threads) BLAS threads"
ok "fashion_mnist.sh"

# ---- Select ----

make_data pool pool.h5 1 2000 6 3
export FMAL_POOL=pool.h5
select=(slurm_select.sh --batch 400 --lambda 0.001 --progress never)

FMAL_OUTPUT=whole.h5 FMAL_RANKS=2 bash "$jobs/slurm_select.sh" "${select[@]:1}" >out 2>log
ok "select by hand"

# A failure is no reason to wait for anybody; mpirun has its own settings here.
rc=0 began=$SECONDS
env -u OMPI_MCA_odls_base_sigkill_timeout FMAL_RANKS=2 \
    bash "$jobs/slurm_select.sh" --batches 400 >out 2>log || rc=$?
expect_rc 2 "a wrong option"
[ $((SECONDS - began)) -lt 20 ] || die "a wrong option takes $((SECONDS - began)) s"
ok "a failure by hand"

for signal in TERM INT; do
    rm -f picks.*
    FMAL_OUTPUT=picks.h5 FMAL_RANKS=2 env --default-signal=INT \
        bash "$jobs/slurm_select.sh" "${select[@]:1}" --checkpoint-steps 1 >out 2>log &
    job=$!
    children+=("$job")
    await "first save" test -e picks.h5.part
    kill -"$signal" "$job"
    await_job
    expect_rc 3 "$signal by hand"
    said "stopped by signal"
done
FMAL_OUTPUT=picks.h5 FMAL_RANKS=2 bash "$jobs/slurm_select.sh" "${select[@]:1}" >out 2>log
said "resume file=picks.h5.part"
cmp whole.csv picks.csv || die "picks differ"
rm picks.*
ok "stopped by hand, and gone on with"

ends_in 3600
export FMAL_OUTPUT=picks.h5
leg 7 "${select[@]}" --checkpoint-steps 1
await "first save" test -e picks.h5.part
kill -USR1 "$job"
leg_ends 3 "requeue 7"
said "stopped by signal"
leg 7 "${select[@]}"
leg_ends 0 ""
said "resume file=picks.h5.part"
cmp whole.csv picks.csv || die "picks differ"
[ ! -e picks.h5.legs ] || die "leaves picks.h5.legs"
ok "a signal is passed on; the job is requeued and goes on"

rm picks.*
leg 7 "${select[@]}" --checkpoint-steps 1
await "first save" test -e picks.h5.part
kill -TERM "$job"
leg_ends 3 ""
said "cancelled"
ok "a job that is cancelled saves and is not requeued"

ends_in 1 # the program stops at once, that is after a second
leg 7 "${select[@]}" --checkpoint-steps 1
leg_ends 3 "requeue 7"
said "stopped by time limit"
ok "the clock"

ends_in 3600
touch picks.h5.stop
leg 7 "${select[@]}"
leg_ends 3 ""
said "stopped by stop file"
said "not requeued"
ok "a stop file ends the job"

touch scontrol.fails
leg 7 "${select[@]}" --checkpoint-steps 1
await "steps" log_has resume
kill -USR1 "$job"
leg_ends 3 "requeue 7"
said "cannot requeue"
rm scontrol.fails
ok "requeueing is forbidden"

leg 7 slurm_select.sh --batches 400
leg_ends 2 ""
said "did you mean"
ok "an error ends the job"

# ---- Legs without progress ----

ends_in 60
mkdir run
for expected in "requeue 8" ""; do
    FMAL=$dir/bin/idle FMAL_LAUNCH=env leg 8 slurm_run.sh
    leg_ends 3 "$expected"
done
said "two legs without progress"
echo "8 1" >run/legs
FMAL=$dir/bin/idle FMAL_LAUNCH=env leg 9 slurm_run.sh
leg_ends 3 "requeue 9"
ok "two legs without progress are enough"

# A Jacobian that grows is progress.
rm -f run/legs
for _ in 1 2 3; do
    FMAL=$dir/bin/grows FMAL_LAUNCH=env leg 8 slurm_run.sh
    leg_ends 3 "requeue 8"
done
ok "blocks of a Jacobian are progress"

# ---- Run ----

make_data set data.h5 1 400 100
run=(slurm_run.sh "${small[@]:2}" --epochs 2000 --progress never)
FMAL_DATA=data.h5 FMAL_RUN=by-hand FMAL_RANKS=1 bash "$jobs/slurm_run.sh" "${run[@]:1}" \
    >out 2>log
ok "run by hand"

export FMAL_DATA=data.h5 FMAL_RUN=legs
ends_in 3600
leg 7 "${run[@]}"
await "first save" test -e legs/checkpoint.h5
kill -USR1 "$job"
leg_ends 3 "requeue 7"
leg 7 "${run[@]}"
leg_ends 0 ""
same_tables by-hand legs
[ ! -e legs/legs ] || die "leaves legs/legs"
ok "a run in legs"
