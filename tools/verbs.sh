# Sourced by ./run: one function per verb.

verb_help() {
  cat <<'HELP'
./run VERB
  setup         install what the build needs (system packages, pinned parts in .deps/, Python in .venv/)
  build         Release build: build/bin/slipway, build/bin/slipway-apinode
  demo          setup + build + the main job end to end on generated taxi trips, in build/demo-home
  hub           the demo's home in the hub (its web UI comes later)
  test [PART]   everything, or one of: unit e2e fuzz asan tsan tidy crash (kills, 1,000 power losses) clients (tritonclient, MLflow's), soak [MINUTES]
                (long forms of the API node's reliability tests; 15: in full); spark, ui, k8s: later
  wheel         the Python package: build/dist/slipway-*.whl, installable without a compiler
  node-tar      the API node for a plain server: build/dist/slipway-apinode-VERSION-x86_64.tar.gz (and .deb), see deploy/
  goldens       the committed figures of peers (later)
  bench [NAME]  benchmarks with peers side by side: batch, train, startup, memory; the engines alone: score, single,
                compile, shap; the API node: serve; the hub: hub (each has --help); results in bench/results/
  lint          format, layers, clang-tidy
HELP
}

later() { say "run: '$1' comes with a later part of Slipway"; exit 2; }

stage_names=() stage_seconds=()
# stage NAME COMMAND...: runs it and remembers how long it took.
stage() {
  local name=$1 start=$SECONDS; shift
  say "== $name"
  "$@" || { say "== $name FAILED after $((SECONDS - start)) s"; return 1; }
  stage_names+=("$name") stage_seconds+=("$((SECONDS - start))")
}
print_stages() {
  local i
  for i in "${!stage_names[@]}"; do printf '%6s s  %s\n' "${stage_seconds[$i]}" "${stage_names[$i]}" >&2; done
}

configure_release() {
  cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >build.log 2>&1 ||
    { cat build.log >&2; rm -f build.log; die "cmake failed"; }
  rm -f build.log
}

verb_build() {
  verb_setup
  configure_release
  cmake --build build --target slipway slipway-apinode slipway_shared
}

build_all() { configure_release; cmake --build build; }

verb_demo() {
  verb_build
  build/bin/slipway --home build/demo-home demo "$@"
}

# The wheel holds libslipway.so; auditwheel puts beside it what a plain system does not have (libsodium, libfmt, libxxhash).
build_wheel() {
  local source=build/wheel/source
  rm -rf build/wheel build/dist && mkdir -p "$source" build/dist
  cp -r python/pyproject.toml python/setup.py python/README.md python/slipway LICENSE "$source"
  rm -rf "$source/slipway/__pycache__"
  strip --strip-unneeded -o "$source/slipway/libslipway.so" build/lib/libslipway.so
  SLIPWAY_VERSION=$(sed -n 's/^project(slipway VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt) \
    .venv/bin/uv build -q --wheel --python .venv/bin/python -o build/wheel/plain "$source" || die "the wheel could not be built"
  PATH=$ROOT/.venv/bin:$PATH .venv/bin/auditwheel repair -w build/dist build/wheel/plain/*.whl >build/wheel/auditwheel.log 2>&1 ||
    { cat build/wheel/auditwheel.log >&2; die "auditwheel failed"; }
}

verb_wheel() {
  verb_setup
  configure_release
  cmake --build build --target slipway_shared
  python_environment
  build_wheel
  ls build/dist/*.whl
}

verb_node-tar() {
  verb_build
  PATH=$ROOT/.venv/bin:$PATH deploy/node-tar.sh build/bin/slipway-apinode build/dist
  ls build/dist/slipway-apinode*
}

verb_hub() {
  verb_build
  [ -f "$ROOT/build/demo-home/home.json" ] || verb_demo
  exec "$ROOT/build/bin/slipway" --home "$ROOT/build/demo-home" hub "$@"
}
verb_goldens() { later goldens; }

# The GoogleTest binaries of a build folder, two at a time; one line "N passed[, M skipped]" for all.
run_unit() { # build folder
  local dir=$1 failed=0 passed=0 skipped=0 binary n
  export SLIPWAY_LIB_DIR=$ROOT/.deps/lib
  printf '%s\n' "$dir"/bin/*_test | xargs -P 2 -I{} sh -c '{} --gtest_brief=1 >{}.out 2>&1; echo $? >{}.rc'
  for binary in "$dir"/bin/*_test; do
    if [ "$(cat "$binary.rc")" != 0 ]; then failed=1; say "-- $binary"; tail -60 "$binary.out" >&2; fi
    grep -A3 -E '^.*(Skipped|SKIPPED)' "$binary.out" >&2 || true
    n=$(sed -n 's/.*PASSED  *\] \([0-9]*\) test.*/\1/p' "$binary.out" | tail -1); passed=$((passed + ${n:-0}))
    n=$(sed -n 's/.*SKIPPED *\] \([0-9]*\) test.*/\1/p' "$binary.out" | tail -1); skipped=$((skipped + ${n:-0}))
  done
  say "unit: $passed passed, $skipped skipped"
  return $failed
}

# PostgreSQL is started by the tests themselves, on folders and sockets of their own.
part_unit() { install_packages postgresql; run_unit build && python3 tools/check_layers.py && .venv/bin/python -m pytest -q tools/check_layers_test.py; }
# nginx stands in front of nodes in a test, zstd reads a query log. Four files at a time: most tests wait for what they started.
part_e2e() { install_packages nginx-light openssl zstd postgresql; .venv/bin/python -m pytest -q -rs -n 4 --dist loadfile tests/e2e "$@"; }

# Under clang ASan+UBSan: every parser's fuzzer over its corpus and for a while, and the unit tests of the modules that cut
# foreign bytes by hand or compute with raw memory. All unit tests under a sanitizer: ./run test asan.
sanitized_modules="table csv querylog forest score explain capi package lookup http serve"
# The hub's stands on all of Slipway, which is long to build: in `./run test fuzz` only.
fuzzers() { # all|quick
  local fuzzer
  for fuzzer in src/slipway/*/*_fuzz.cc; do
    case "$1 $fuzzer" in quick\ */hub/*) ;; *) basename "$fuzzer" .cc ;; esac
  done
}
build_fuzz() { # all|quick
  install_clang
  # shellcheck disable=SC2086
  cmake --preset fuzz $CLANG_FLAGS >/dev/null || die "cmake --preset fuzz failed"
  local module targets=""
  for module in $sanitized_modules; do targets="$targets ${module}_test"; done
  targets="$targets $(fuzzers "$1" | tr '\n' ' ')"
  # shellcheck disable=SC2086
  cmake --build --preset fuzz --target $targets 
}
# Two at a time. quick: from one seed, and no further than so many inputs, so that little else than a change makes a
# difference; a campaign (`./run test fuzz`) begins somewhere else each time.
part_fuzz() { # all|quick, seconds per fuzzer
  local name names failed=0 count=0 from="-seed=0"
  [ "$1" = quick ] && from="-seed=1 -runs=30000"
  names=$(fuzzers "$1")
  # shellcheck disable=SC2086
  for name in $names; do mkdir -p "fuzz/corpus/$name" "build/fuzz/found/$name"; echo "$name"; done |
    xargs -P 2 -I{} sh -c "build/fuzz/bin/{} $from -max_total_time=$2 -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 \
      -artifact_prefix=build/fuzz/found/ build/fuzz/found/{} fuzz/corpus/{} >build/fuzz/{}.log 2>&1; echo \$? >build/fuzz/{}.rc"
  for name in $names; do
    if [ "$(cat "build/fuzz/$name.rc")" = 0 ]; then count=$((count + 1)); continue; fi
    failed=1; say "-- $name"; tail -40 "build/fuzz/$name.log" >&2
  done
  say "fuzz: $count passed"
  return $failed
}

sanitizer_part() { # preset
  verb_setup; python_environment
  cmake --preset "$1" >/dev/null && cmake --build --preset "$1" && run_unit "build/$1"
}

# Foreign clients, each with the versions that it wants.
part_clients() {
  local client want
  export UV_CACHE_DIR=$ROOT/.cache/uv UV_LINK_MODE=copy
  for client in triton mlflow; do
    want=$(sha256sum "tests/clients/$client.txt" | cut -c1-16)
    [ "$(cat ".cache/clients-$client/stamp" 2>/dev/null)" = "$want" ] && continue
    say "making the environment .cache/clients-$client"
    .venv/bin/uv venv -q --clear --python .venv/bin/python ".cache/clients-$client"
    .venv/bin/uv pip install -q --python ".cache/clients-$client/bin/python" -r "tests/clients/$client.txt" ||
      die "the packages of tests/clients/$client.txt could not be installed"
    echo "$want" > ".cache/clients-$client/stamp"
  done
  .venv/bin/python -m pytest -q -rs tests/clients "$@"
}

verb_test() {
  local part=${1:-all}; shift || true
  case $part in
    all)
      stage setup verb_setup
      stage python python_environment
      stage build build_all
      stage unit part_unit
      stage e2e part_e2e
      stage fuzz-build build_fuzz quick
      stage fuzz-unit run_unit build/fuzz
      stage fuzz part_fuzz quick 10
      print_stages ;;
    unit) verb_setup; python_environment; build_all; part_unit ;;
    e2e) verb_setup; python_environment; build_all; part_e2e "$@" ;;
    fuzz) verb_setup; build_fuzz all; part_fuzz all "${1:-600}" ;;
    asan|tsan) sanitizer_part "$part" ;;
    tidy) verb_setup; install_clang
      # shellcheck disable=SC2086
      cmake --preset tidy $CLANG_FLAGS >/dev/null && cmake --build --preset tidy --target slipway ;;
    crash) verb_setup; python_environment; build_all
      SLIPWAY_POWER_LOSSES=1000 build/bin/power_loss_test --gtest_brief=1
      SLIPWAY_POWER_LOSSES=1000 build/bin/node_power_loss_test --gtest_brief=1
      SLIPWAY_CRASH_ROUNDS=${1:-10000} .venv/bin/python -m pytest -q tests/e2e/test_crash.py ;;
    clients) verb_setup; python_environment; configure_release; cmake --build build --target slipway slipway-apinode; part_clients "$@" ;;
    soak) verb_setup; python_environment; configure_release; cmake --build build --target slipway slipway-apinode load
      .venv/bin/python tests/soak/run.py "$@" ;;
    ui|k8s|spark) later "test $part" ;;
    *) say "run: there is no test part '$part'"; verb_help >&2; exit 2 ;;
  esac
}

verb_bench() {
  verb_build; python_environment
  case ${1:-} in score|single|compile|shap) cmake --build build --target slipway_bench slipway_shared ;; esac
  if [ "${1:-}" = hub ]; then cmake --build build --target hub_seed hub_nodes; fi
  if [ "${1:-}" = serve ]; then install_packages nginx-light wrk util-linux; cmake --build build --target load; fi
  .venv/bin/python bench/run.py "$@"
}

verb_lint() {
  install_clang
  local bad; bad=$(git ls-files 'src/*.cc' 'src/*.h' 'cmake/*.cc' | xargs "clang-format-$CLANG" --dry-run 2>&1 | grep -c 'warning:' || true)
  python3 tools/check_layers.py
  [ "$bad" = 0 ] || { say "lint: clang-format-$CLANG would change $bad places: git ls-files 'src/*.cc' 'src/*.h' | xargs clang-format-$CLANG -i"; exit 1; }
  verb_test tidy
}
