#!/bin/bash
# A conversion by the tasks of a Slurm job array, on one machine with Debian's packages:
#
#   apt-get install slurm-wlm munge     (as root; the script runs as root as well)
#   Benchmarks/slurm.sh LEANK MODEL MASK [TASKS]
#
# Starts munge, slurmctld and slurmd in a scratch folder, submits the array with TASKS tasks (4), kills the second task's
# process once so that Slurm's requeue and a second run show, commits in a job that depends on the array, and compares
# the output with that of a plain convert. Ends what it started. On a real cluster only the two sbatch lines matter.
set -euo pipefail
leank=$(realpath "$1") model=$(realpath "$2") mask=$(realpath "$3") tasks=${4:-4}
work=$(mktemp -d) pids=()
cd "$work"

stop() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap stop EXIT

mkdir -m 711 run state spool
dd if=/dev/urandom of=key bs=1024 count=1 status=none
chmod 400 key
chmod 755 "$work"
munged --foreground --force --key-file="$work/key" --socket="$work/run/munge" --pid-file="$work/run/munged.pid" \
  --log-file="$work/munged.log" --seed-file="$work/run/seed" > /dev/null 2>&1 &
pids+=($!)
host=$(hostname -s)
cat > slurm.conf <<CONF
ClusterName=leank
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$work/run/munge
CredType=cred/munge
SlurmUser=root
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/run/slurmctld.pid
SlurmdPidFile=$work/run/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
MpiDefault=none
ReturnToService=2
JobRequeue=1
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$work/slurm.conf
sleep 1
slurmctld -D > /dev/null 2>&1 & pids+=($!)
slurmd -D > /dev/null 2>&1 & pids+=($!)
until sinfo -h -o %T 2>/dev/null | grep -q idle; do sleep 1; done
sinfo

convert="$leank convert --model $model --mask $mask --output $work/out --quiet"
# The second task's first run is killed before it does anything; what killed it in life does not matter.
cat > task.sh <<TASK
#!/bin/bash
echo "task \$SLURM_ARRAY_TASK_ID, run \${SLURM_RESTART_COUNT:-0}"
if [ \$SLURM_ARRAY_TASK_ID = 2 ] && [ "\${SLURM_RESTART_COUNT:-0}" = 0 ]; then
  $convert --shard \$SLURM_ARRAY_TASK_ID/$tasks &
  sleep 0.05
  kill -KILL \$! && echo "task 2 was killed"
  wait \$! && exit
  scontrol requeue \$SLURM_JOB_ID
  exit 1
fi
$convert --shard \$SLURM_ARRAY_TASK_ID/$tasks
TASK
array=$(sbatch --parsable --array=1-"$tasks" --ntasks=1 --output="$work/task-%a.log" --open-mode=append task.sh)
commit=$(sbatch --parsable --dependency=afterok:"$array" --ntasks=1 --output="$work/commit.log" \
  --wrap "$convert --commit --verify")
echo "array $array, commit $commit"
while squeue -h | grep -q .; do
  squeue -h -o '%i %T %r'
  # Slurm lets a requeued task wait for two minutes.
  scontrol update JobId="${array}_2" StartTime=now 2>/dev/null || true
  sleep 2
done
cat task-*.log commit.log
"$leank" convert --model "$model" --mask "$mask" --output "$work/plain" --quiet
diff -r plain out
echo "the output of $tasks tasks is that of one run: $(du -sh out | cut -f1), $(find out -type f | wc -l) files"
