# Sourced by ./run: system packages, pinned parts under .deps/, the Python environment under .venv/.

say() { printf '%s\n' "$*" >&2; }
die() { say "run: $*"; exit 1; }

SYSTEM_PACKAGES="build-essential g++ cmake ninja-build ccache mold pkg-config git python3 python3-venv python3-pip
  nlohmann-json3-dev libyaml-cpp-dev libcli11-dev libfmt-dev libgtest-dev libgmock-dev libbenchmark-dev libsodium-dev libpq-dev
  libsimdjson-dev libxxhash-dev libhwy-dev libzstd-dev zlib1g-dev libssl-dev libcurl4-openssl-dev libtomlplusplus-dev libgomp1 zip"

# clang 19 where the system has it (Debian 12, newer Ubuntu), else the newest that it has.
install_clang() {
  local v
  for v in 19 20 18; do
    if command -v clang++-$v >/dev/null || apt-cache show clang-$v >/dev/null 2>&1; then CLANG=$v; break; fi
  done
  [ -n "${CLANG:-}" ] || { as_root apt-get update -qq; CLANG=19; }
  install_packages clang-$CLANG clang-tidy-$CLANG clang-format-$CLANG libclang-rt-$CLANG-dev
  CLANG_FLAGS="-DCMAKE_C_COMPILER=clang-$CLANG -DCMAKE_CXX_COMPILER=clang++-$CLANG"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "installing packages needs root or sudo: $*"; fi
}

# install_packages NAME...: apt packages that are missing, in one call.
install_packages() {
  local missing="" package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  command -v apt-get >/dev/null || die "this script installs packages with apt-get (Debian 12, Ubuntu 24.04 or newer); please install:$missing"
  say "installing system packages:$missing"
  as_root apt-get update -qq || die "apt-get update failed: is the package registry reachable?"
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    die "these packages could not be installed:$missing (see the lines above; then run this again)"
}

# npm only fetches two archives here; any node will do.
install_npm() { command -v npm >/dev/null || install_packages nodejs npm; }

check_hash() { echo "$2  $1" | sha256sum -c --status; }

fetch_part() { # kind file spec sha256 -> .deps/download/file
  local kind=$1 file=$2 spec=$3 sha=$4 dir=$ROOT/.deps/download
  mkdir -p "$dir"
  if [ -f "$dir/$file" ] && check_hash "$dir/$file" "$sha"; then return 0; fi
  say "fetching $spec"
  case $kind in
    npm) install_npm; (cd "$dir" && npm pack --silent "$spec" >/dev/null 2>"$file.log") ;;
    whl) python3 -m pip download -q --no-deps -d "$dir" "$spec" --only-binary :all: --platform manylinux_2_28_x86_64 2>"$dir/$file.log" ;;
    sdist) python3 -m pip download -q --no-deps --no-binary "${spec%%=*}" -d "$dir" "$spec" 2>"$dir/$file.log" ;;
  esac || { cat "$dir/$file.log" >&2; die "$spec could not be downloaded"; }
  [ -f "$dir/$file" ] || die "$spec did not bring the file $file"
  check_hash "$dir/$file" "$sha" || die "$file has another SHA-256 than tools/deps.lock says; remove .deps/download/$file and try again, and do not build if it stays so"
}

fetch_parts() {
  local want; want=$(sha256sum tools/deps.lock tools/setup.sh | sha256sum | cut -c1-16)
  [ -f .deps/stamp ] && [ "$(cat .deps/stamp)" = "$want" ] && return 0
  [ "$(uname -m)" = x86_64 ] || die "the pinned parts are for x86_64; this machine is $(uname -m)"
  local kind file spec sha
  while read -r kind file spec sha; do
    case $kind in \#*|"") continue ;; esac
    fetch_part "$kind" "$file" "$spec" "$sha"
  done < tools/deps.lock
  local d=$ROOT/.deps/download t=$ROOT/.deps/unpack
  rm -rf "$t" .deps/include .deps/lib .deps/src
  mkdir -p "$t" .deps/include .deps/lib .deps/src
  tar -xzf "$d/duckdb-node-bindings-linux-x64-1.4.4-r.1.tgz" -C "$t" --wildcards '*libduckdb.so'
  find "$t" -name libduckdb.so -exec mv {} .deps/lib/ \;
  tar -xzf "$d/duckdb-1.4.4.tgz" -C "$t" package/src/duckdb/src/include/duckdb.h
  mv "$t/package/src/duckdb/src/include/duckdb.h" .deps/include/
  tar -xzf "$d/better-sqlite3-12.11.1.tgz" -C "$t" --wildcards '*sqlite3.c' '*sqlite3.h'
  find "$t" -name sqlite3.c -exec mv {} .deps/src/ \;
  find "$t" -name sqlite3.h -exec mv {} .deps/include/ \;
  python3 -m zipfile -e "$d"/lightgbm-4.7.0-py3-none-*.whl "$t/lgb"
  mv "$t/lgb/lightgbm/lib/lib_lightgbm.so" .deps/lib/
  # Its rpath leads from xgboost/lib to the libgomp in xgboost_cpu.libs. For tests alone.
  python3 -m zipfile -e "$d"/xgboost_cpu-3.2.0-py3-none-*.whl "$t/xgb"
  mkdir -p .deps/lib/xgboost/lib
  mv "$t/xgb/xgboost/lib/libxgboost.so" .deps/lib/xgboost/lib/
  mv "$t/xgb/xgboost_cpu.libs" .deps/lib/
  # llhttp 9.4.3, the C sources that httptools ships.
  tar -xzf "$d/httptools-0.9.0.tar.gz" -C "$t" httptools-0.9.0/vendor/llhttp
  mkdir -p .deps/src/llhttp
  mv "$t"/httptools-0.9.0/vendor/llhttp/src/*.c .deps/src/llhttp/
  mv "$t/httptools-0.9.0/vendor/llhttp/include/llhttp.h" .deps/include/
  tar -xzf "$d/lightgbm-4.7.0.tar.gz" -C "$t"
  mv "$t/lightgbm-4.7.0/include/LightGBM" .deps/include/
  if [ -d "$t/lightgbm-4.7.0/external_libs/nanoarrow/src" ]; then cp -r "$t/lightgbm-4.7.0/external_libs/nanoarrow/src/." .deps/include/; fi
  rm -rf "$t"
  echo "$want" > .deps/stamp
}

# The tests' Python: pytest and the libraries that answers are compared with.
python_environment() {
  local want; want=$(sha256sum tools/requirements.txt | cut -c1-16)
  [ -f .venv/stamp ] && [ "$(cat .venv/stamp)" = "$want" ] && return 0
  say "making the Python environment .venv"
  python3 -m venv .venv || die "python3 -m venv failed (package python3-venv)"
  .venv/bin/python -m pip install -q --disable-pip-version-check uv
  .venv/bin/uv pip install -q --python .venv/bin/python -r tools/requirements.txt || die "the Python packages of tools/requirements.txt could not be installed"
  echo "$want" > .venv/stamp
}

verb_setup() {
  # shellcheck disable=SC2086
  install_packages $SYSTEM_PACKAGES
  fetch_parts
}
