# shellcheck shell=bash
# A Slurm of one node in the test's own folder, as whoever runs the test: munged, slurmctld
# and slurmd, on ports where nobody listens; sourced after tests/restart/lib.sh.

slurm=${dir:?}/slurm
export SLURM_CONF=$slurm/slurm.conf
PATH=$PATH:/usr/sbin:/sbin

skip() { # why
    echo "skipped: $1"
    exit 77
}

# Takes part in the clean-up of the test.
slurm_clean_up() {
    stop_slurm >/dev/null 2>&1 || true
    clean_up
}

# A port of this machine below those that are handed out at random.
free_port() {
    local port

    while :; do
        port=$((20000 + RANDOM % 10000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# cred_expire is also how long a job waits after it has been requeued, 120 s by default.
write_conf() {
    local host user

    host=$(hostname) user=$(id -un)
    cat >"$SLURM_CONF" <<END
ClusterName=fmal
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$slurm/munge/socket,cred_expire=5
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=2
SlurmdParameters=config_overrides
ReturnToService=2
TmpFS=$slurm/tmp
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/slurmd.log
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
NodeName=$host NodeAddr=127.0.0.1 CPUs=2
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
}

node_is_idle() {
    sinfo -h -o %T 2>/dev/null | grep -qx idle
}

# start_daemon COMMAND...: one that goes to the background by itself
start_daemon() {
    "$@" >"$slurm/start.log" 2>&1 || skip "$1 does not start: $(tail -n 1 "$slurm/start.log")"
}

start_slurm() {
    local program

    for program in munged slurmctld slurmd sbatch srun scontrol squeue; do
        command -v "$program" >/dev/null ||
            skip "$program is not installed; tools/setup.sh --slurm installs Slurm"
    done
    # munged wants folders that nobody else may write to, and all may look into its socket's.
    mkdir -p "$slurm"/{state,spool,tmp,munge}
    chmod 755 "$dir" "$slurm" "$slurm/munge"
    trap slurm_clean_up EXIT
    write_conf
    (umask 077 && head -c 128 /dev/urandom >"$slurm/munge/key")
    start_daemon munged --socket="$slurm/munge/socket" --key-file="$slurm/munge/key" \
        --pid-file="$slurm/munge/pid" --log-file="$slurm/munge/log" \
        --seed-file="$slurm/munge/seed"
    start_daemon slurmctld -c
    start_daemon slurmd -N "$(hostname)"
    await "node of Slurm" node_is_idle
}

# Every process that has this Slurm in its environment: daemons, the shepherds of jobs and
# what they started. Not this test, and not those that look for them.
slurm_pids() {
    (
        line=SLURM_CONF=$SLURM_CONF
        unset SLURM_CONF
        grep -lzxF "$line" /proc/[0-9]*/environ 2>/dev/null | tr -cd '0-9\n' || true
    )
}

no_jobs() {
    [ -z "$(timeout 5 squeue -h 2>/dev/null)" ]
}

# stop_slurm: by pid files. Prints what had to be killed after that; nothing, if all is well.
stop_slurm() {
    local file tries pid

    [ -n "$(slurm_pids)" ] || return 0
    timeout 5 scancel --quiet --user="$(id -un)" 2>/dev/null || true
    for ((tries = 0; tries < 100; tries++)); do
        ! no_jobs || break
        sleep 0.1
    done
    for file in "$slurm"/{slurmd.pid,slurmctld.pid,munge/pid}; do
        [ ! -s "$file" ] || kill "$(cat "$file")" 2>/dev/null || true
    done
    for ((tries = 0; tries < 200; tries++)); do
        [ -n "$(slurm_pids)" ] || return 0
        sleep 0.1
    done
    for pid in $(slurm_pids); do
        echo "$pid: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
        kill -KILL "$pid" || true
    done
}
