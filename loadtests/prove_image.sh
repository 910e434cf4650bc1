#!/usr/bin/env bash
# Proves the Dockerfile without a container engine: builds the image with buildah (chroot isolation, vfs storage) on a
# base made by debootstrap, starts its entry point as its user, and asks for /readyz and one segmentation.
#
#     loadtests/prove_image.sh                 as root, on Debian, with buildah, debootstrap, curl and procps
#
# WORK           where images and containers go: some 5 GB, removed at the end unless KEEP=1 (default: a new folder)
# MIRROR         mirror that debootstrap takes its packages from (default: debootstrap's own)
# BUILD_OPTIONS  more options for `buildah build`, for example --volume to mount pip's configuration while building
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

WORK=${WORK:-$(mktemp -d /var/tmp/segserve-image.XXXXXX)}
BASE=$WORK/base
buildah() { command buildah --root "$WORK/storage" --runroot "$WORK/run" --storage-driver vfs "$@"; }
say() { printf '\n== %s\n' "$*"; }

server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  buildah rm --all >/dev/null 2>&1 || true
  [ "${KEEP:-}" = 1 ] || rm -rf "$WORK"
}
trap cleanup EXIT

if [ ! -e "$BASE/.complete" ]; then
  say "The base: Debian with python3 and nothing else"
  debootstrap --variant=minbase --include=python3,python3-venv bookworm "$BASE" ${MIRROR:+"$MIRROR"} >"$WORK/debootstrap.log"
  rm -rf "$BASE"/var/cache/apt/* "$BASE"/var/lib/apt/lists/*
  touch "$BASE/.complete"
fi
if ! buildah inspect --type image segserve-base >/dev/null 2>&1; then
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$BASE" / >/dev/null
  buildah commit --quiet --rm "$container" segserve-base >/dev/null
fi

say "The image, from the Dockerfile"
# buildah of Debian 12 does not see that a stage is used when its name has an argument in it: so it is told all.
# shellcheck disable=SC2086 # BUILD_OPTIONS is a list of words
time buildah build --isolation chroot --format docker --pull-never --skip-unused-stages=false \
  --build-arg BASE=localhost/segserve-base --build-arg TARGETARCH="$(dpkg --print-architecture)" \
  ${BUILD_OPTIONS:-} --tag segserve .

say "What it declares"
field() { buildah inspect --type image --format "{{$1}}" segserve; }
for name in User Entrypoint ExposedPorts StopSignal WorkingDir; do
  printf '%-14s %s\n' "$name" "$(field ".Docker.Config.$name")"
done
printf '%-14s %s\n' Healthcheck "$(field .Docker.Config.Healthcheck.Test)"
[ "$(field .Docker.Config.User)" != root ] && [ -n "$(field .Docker.Config.User)" ]

container=$(buildah from --pull-never segserve)
root=$(buildah mount "$container")
printf '%-14s %s\n' Size "$(du -sh "$root" | cut -f1), of it the base $(du -sh "$BASE" | cut -f1)"
left=$(find "$root/root" "$root/tmp" "$root/var/cache/apt" -type f ! -name '.bashrc' ! -name '.profile' | head -5)
[ -z "$left" ] || { echo "left over in the image: $left" >&2; exit 1; }
compiled() { find "$root/var/cache/segserve" -name '*.nbc' | sort | sha256sum; }
kernels=$(compiled)

say "Without keys it does not start"
read -r -a entrypoint <<<"$(field .Docker.Config.Entrypoint | tr -d '[]')"
if buildah run --isolation chroot "$container" -- "${entrypoint[@]}" 2>"$WORK/refusal.log"; then exit 1; fi
grep SEGSERVE_ALLOW_ANONYMOUS "$WORK/refusal.log"

say "The entry point, as the image's user, with a key"
key=proof
hash=$(printf %s "$key" | sha256sum | cut -d' ' -f1)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
began=$(date +%s.%N)
buildah run --isolation chroot --env SEGSERVE_PORT="$port" --env SEGSERVE_API_KEYS="proof:$hash" \
  "$container" -- "${entrypoint[@]}" >"$WORK/service.log" 2>&1 &
server=$!
for _ in $(seq 600); do
  curl --silent --fail --output /dev/null "http://127.0.0.1:$port/readyz" && break
  kill -0 "$server" 2>/dev/null || { cat "$WORK/service.log" >&2; exit 1; }
  sleep 0.1
done
curl --silent --show-error --fail "http://127.0.0.1:$port/readyz"
printf '\nready after %s s, of it the kernels %s s\n' "$(awk "BEGIN { printf \"%.1f\", $(date +%s.%N) - $began }")" \
  "$(grep -o '"warm_up_seconds":[0-9.]*' "$WORK/service.log" | cut -d: -f2)"
[ "$kernels" = "$(compiled)" ] || { echo "kernels were compiled again at the start" >&2; exit 1; }
echo "no kernel was compiled at the start"
ps -o user=,args= -C python3 | grep -- '-m service' | head -1 || true

say "The health check"
buildah run --isolation chroot --env SEGSERVE_PORT="$port" "$container" -- python3 -m service.healthcheck
echo "exit code $?"

say "One segmentation: 200 customers, CSV in, CSV out"
python3 - >"$WORK/sales.csv" <<'PYTHON'
print("customer_id,timestamp,amount")
for i in range(2000):
    customer = i * 7919 % 200
    print(f"{customer:05d},2026-{1 + i % 12:02d}-{1 + i * 31 % 28:02d}T10:00:00Z,{(customer % 17 + 1) * 1.25:.2f}")
PYTHON
reply=$(curl --silent --show-error --fail --header 'Content-Type: text/csv' --header "X-API-Key: $key" --data-binary "@$WORK/sales.csv" \
  "http://127.0.0.1:$port/v1/segment?k=4")
head -4 <<<"$reply"
[ "$(wc -l <<<"$reply")" = 201 ]
echo "… 200 customers"

say "A graceful end"
for pid in $(pgrep -u 10001 -f -- '-m service'); do
  if tr '\0' '\n' <"/proc/$pid/environ" | grep -qx "SEGSERVE_PORT=$port"; then kill -TERM "$pid"; fi
done
wait "$server"
echo "exit code $?"
server=
say "Proven on $(uname -m); other architectures are not."
