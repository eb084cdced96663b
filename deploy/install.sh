#!/bin/sh
# Installs the Slipway API node from this unpacked folder:
#   /opt/slipway-apinode       program, libraries, docs
#   /usr/local/bin             a link to the program
#   /etc/slipway-apinode       configuration (kept when it is there)
#   /var/lib/slipway-apinode   state: packages, keys, query log
# and the systemd unit, when there is systemd. Run as root. Again over an older one: upgrades it.
# PREFIX=/some/folder puts everything below that folder and touches no user and no service.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=${PREFIX:-}
say() { printf '%s\n' "install: $*" >&2; }

if [ -z "$prefix" ] && [ "$(id -u)" != 0 ]; then say "run this as root (or set PREFIX to try it)"; exit 1; fi

# What runs is replaced by renaming, so that a running node keeps its files until it is restarted.
opt=$prefix/opt/slipway-apinode
rm -rf "$opt.new"
mkdir -p "$opt.new"
cp -R "$here/bin" "$here/lib" "$here/docs" "$here/LICENSE" "$here/VERSION" "$opt.new/"
"$opt.new/bin/slipway-apinode" --version >/dev/null || {
  say "the program does not run on this system (needs x86-64 Linux with glibc 2.36 or newer)"; rm -rf "$opt.new"; exit 1; }
rm -rf "$opt.old"
if [ -e "$opt" ]; then mv "$opt" "$opt.old"; fi
mv "$opt.new" "$opt"
rm -rf "$opt.old"

mkdir -p "$prefix/usr/local/bin"
ln -sfn /opt/slipway-apinode/bin/slipway-apinode "$prefix/usr/local/bin/slipway-apinode"
mkdir -p "$prefix/etc/slipway-apinode"
if [ -e "$prefix/etc/slipway-apinode/apinode.toml" ]; then
  say "kept $prefix/etc/slipway-apinode/apinode.toml"
else
  cp "$here/etc/apinode.toml" "$prefix/etc/slipway-apinode/apinode.toml"
fi
if [ -n "$prefix" ]; then
  mkdir -p "$prefix/etc/systemd/system" "$prefix/var/lib/slipway-apinode"
  chmod 700 "$prefix/var/lib/slipway-apinode"
  cp "$here/etc/slipway-apinode.service" "$prefix/etc/systemd/system/"
  say "installed below $prefix"
  exit 0
fi

if ! id slipway-apinode >/dev/null 2>&1; then
  useradd --system --home-dir /var/lib/slipway-apinode --shell /usr/sbin/nologin slipway-apinode
fi
mkdir -p /var/lib/slipway-apinode
chown slipway-apinode:slipway-apinode /var/lib/slipway-apinode
chmod 700 /var/lib/slipway-apinode
if [ -d /run/systemd/system ]; then
  cp "$here/etc/slipway-apinode.service" /etc/systemd/system/
  systemctl daemon-reload
  say "now: systemctl enable --now slipway-apinode"
else
  say "no systemd here; start it with: /opt/slipway-apinode/bin/slipway-apinode --home /var/lib/slipway-apinode --config /etc/slipway-apinode/apinode.toml"
fi
