#!/usr/bin/env bash
# From the first machine of the hostfile, which reaches the others by ssh:
#   examples/cluster/deepspeed.sh --recipe … --data … --out /shared/runs/mine
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
exec deepspeed --hostfile "${HOSTFILE:-$here/hostfile}" --no_local_rank --module pgsclip train --resume auto "$@"
