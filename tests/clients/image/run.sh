#!/usr/bin/env bash
# Builds the image by the Dockerfile as it is, without a registry and without Docker, and runs what comes of it.
#
# The two images that the Dockerfile begins with are stand-ins of the same names, made of Debian 12's packages:
# * for rust: a C compiler, and this machine's Rust, which is mounted;
# * for distroless: glibc, libgcc, CA certificates and its user, which is less than the real one has.
# So this proves that the Dockerfile's steps make a program that runs with so little. It does not prove that the real
# images are there under these names, nor how Docker itself takes the file.
#
# Needs root and Rust; installs the rest. What cargo downloads and builds stays under target/: a later run
# compiles jobgate alone.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)
cd "$top"

command -v buildah >/dev/null && command -v mmdebstrap >/dev/null && command -v ip >/dev/null || {
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends buildah mmdebstrap iproute2 >/dev/null
}

# Copies of all layers: big, but it asks nothing of the kernel and the file system.
store=$top/target/image/store
export BUILDAH_ISOLATION=chroot BUILDAH_FORMAT=docker
buildah() { command buildah --storage-driver vfs --root "$store/root" --runroot "$store/run" "$@"; }
clean() {
  # What is still mounted there would be deleted, too.
  if grep -F " $store/" /proc/mounts; then return 1; fi
  rm -rf "$store"
}
trap clean EXIT
clean
# Caches of the build's RUN are kept here.
export TMPDIR=$top/target/image/cache
mkdir -p "$store" "$TMPDIR"

mapfile -t bases < <(sed -n 's/^FROM \([^ ]*\).*/\1/p' Dockerfile)

# An image of packages, unpacked and not set up; then a container of it.
packages() {
  container=$(buildah from scratch)
  root=$(buildah mount "$container")
  TMPDIR=/tmp mmdebstrap --quiet --variant=extract --include="$1" bookworm "$root"
}
packages dash,coreutils,findutils,gcc,libc6-dev
ln -s gcc "$root/usr/bin/cc"
buildah config --env PATH=/usr/local/rust/bin:/usr/bin:/bin --env CARGO_HOME=/usr/local/cargo "$container"
buildah commit --quiet --rm "$container" "${bases[0]}" >/dev/null

packages libc6,libgcc-s1
mkdir -p "$root/proc" "$root/etc/ssl/certs"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin >"$root/etc/passwd"
buildah config --user 65532 --workingdir /home/nonroot \
  --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt "$container"
buildah commit --quiet --rm "$container" "${bases[1]}" >/dev/null

buildah build --pull-never --tag jobgate \
  --volume "$(rustc --print sysroot):/usr/local/rust:ro" --volume /etc/ssl/certs:/etc/ssl/certs:ro "$top"

buildah inspect --type image jobgate >"$store/image.json"
base=$(buildah mount "$(buildah from --pull-never "${bases[1]}")")
image=$(buildah mount "$(buildah from --pull-never jobgate)")
# For who wants the program without its image.
cp "$image/usr/local/bin/jobgate" "$top/target/image/jobgate"
export IMAGE_BASE=$base IMAGE_ROOT=$image IMAGE_CONFIG=$store/image.json
cd "$here"
# A network with a loopback alone, so the image's own ports are free; its files can't be written.
unshare --mount --net bash -euc '
  ip link set lo up
  mount --bind "$IMAGE_ROOT" "$IMAGE_ROOT"
  mount -o remount,bind,ro "$IMAGE_ROOT"
  mount -t proc proc "$IMAGE_ROOT/proc"
  TMPDIR=/tmp exec python3 -m unittest -v "$@"' bash "$@"
