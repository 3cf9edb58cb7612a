#!/usr/bin/env bash
# From the first machine of the hostfile, which reaches the others by ssh:
#   OUT=/shared/runs/mine examples/cluster/deepspeed.sh --recipe … --data …
# Ends with 0 (finished), 75 (asked to stop, saved; run it again to go on) or 2 (neither; the log says why).
set -uo pipefail
: "${OUT:?is the folder of the run: OUT=/shared/runs/mine $0 …}"
here="$(cd "$(dirname "$0")" && pwd)"
rm -f "$OUT/status.json"  # what is there at the end was written by this start
deepspeed --hostfile "${HOSTFILE:-$here/hostfile}" --no_local_rank \
  --module pgsclip train --resume auto --out "$OUT" "$@" &
launcher=$!
trap 'kill -TERM "$launcher"' TERM
trap : INT  # the keyboard reaches the launcher by itself
while kill -0 "$launcher" 2> /dev/null; do wait "$launcher"; done  # a signal ends one wait, not the launcher
pgsclip status "$OUT"
