#!/usr/bin/env bash
# On every machine:
#   OUT=/shared/runs/mine MASTER=first-machine NODES=4 NODE=0..3 examples/cluster/torchrun.sh --recipe … --data …
# One machine needs none of MASTER, NODES, NODE. A process that fails is started again, from the last checkpoint.
# Ends with 0 (finished), 75 (asked to stop, saved; run it again to go on) or 2 (neither; the log says why).
set -uo pipefail
: "${OUT:?is the folder of the run: OUT=/shared/runs/mine $0 …}"
rm -f "$OUT/status.json"  # what is there at the end was written by this start
# Of a signal torchrun passes on, it waits 30 seconds by itself: too short to finish a step and save.
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT="${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-300}"
torchrun \
  --nnodes "${NODES:-1}" --node-rank "${NODE:-0}" --nproc-per-node "${GPUS:-gpu}" --max-restarts 3 \
  --rdzv-backend c10d --rdzv-endpoint "${MASTER:-localhost}:${PORT:-29500}" --rdzv-id "${RUN:-pgsclip}" \
  -m -- pgsclip train --resume auto --out "$OUT" "$@" &
launcher=$!
trap 'kill -TERM "$launcher"' TERM
trap : INT  # the keyboard reaches the launcher by itself
while kill -0 "$launcher" 2> /dev/null; do wait "$launcher"; done  # a signal ends one wait, not torchrun
pgsclip status "$OUT"
