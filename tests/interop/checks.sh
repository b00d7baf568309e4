# What a step of these tests is: a command, its exit code and what it says. Sourced; wants `out` and
# `err`, files for what a command says.
passed=0 failed=0

pass() { passed=$((passed + 1)); printf 'PASS  %s\n' "$1"; }

fail() {
  failed=$((failed + 1))
  printf 'FAIL  %s\n' "$1"
  printf '      exit %s, wanted %s\n' "$2" "$3"
  sed 's/^/      out: /' "$out" | head -n 20
  sed 's/^/      err: /' "$err" | head -n 20
}

# Runs a command, bounded, without a terminal; its exit code is in `code`.
run() {
  code=0
  timeout --kill-after=10 120 setsid --wait "$@" </dev/null >"$out" 2>"$err" || code=$?
}

# check NAME EXIT_CODE PATTERN COMMAND…: it ends so, and says so.
check() {
  local name="$1" wanted="$2" pattern="$3"
  shift 3
  run "$@"
  if [[ "$code" == "$wanted" ]] && grep -Eq -- "$pattern" "$out" "$err"; then
    pass "$name"
  else
    fail "$name" "$code" "$wanted and /$pattern/"
  fi
}

# holds NAME COMMAND…: a condition, which may be about what the last command said.
holds() {
  local name="$1"
  shift
  if "$@" >"$out.held" 2>&1; then
    pass "$name"
  else
    fail "$name" "$?" 0
    sed 's/^/      /' "$out.held" | head -n 20
  fi
}

not() { ! "$@"; }
