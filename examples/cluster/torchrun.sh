#!/usr/bin/env bash
# On every machine: MASTER=first-machine NODES=4 NODE=0..3 examples/cluster/torchrun.sh --recipe … --data … --out …
# One machine needs neither of the three. A process that fails is started again, from the last checkpoint.
set -euo pipefail
exec torchrun \
  --nnodes "${NODES:-1}" --node-rank "${NODE:-0}" --nproc-per-node "${GPUS:-gpu}" --max-restarts 3 \
  --rdzv-backend c10d --rdzv-endpoint "${MASTER:-localhost}:29500" --rdzv-id "${RUN:-pgsclip}" \
  -m -- pgsclip train --resume auto "$@"
