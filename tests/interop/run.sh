#!/usr/bin/env bash
# Puts servers that nobody here wrote behind the real binary: the reference file server (npm) and the
# reference git server (PyPI) in depth, others for a list and a call each (servers.sh). What only reads
# is let through, what writes waits for a person. Then clients that nobody here wrote (clients.sh).
#
# usage: tests/interop/run.sh PATH_TO_TAGOUT
#
# Installs into a folder of its own and leaves nothing behind. INTEROP_KEEP=1 keeps the folder.
set -euo pipefail

readonly FILES_SERVER="@modelcontextprotocol/server-filesystem@2026.8.31"
readonly GIT_SERVER="mcp-server-git==2026.10.19"

here="$(cd "$(dirname "$0")" && pwd)"
[[ $# -eq 1 && -x "$1" ]] || { echo "usage: $0 PATH_TO_TAGOUT" >&2; exit 2; }
tagout="$(cd "$(dirname "$1")" && pwd)/$(basename "$1")"

scratch="$(mktemp -d)"
leave() {
  end_clients
  end_background
  if [[ -n "${INTEROP_KEEP:-}" ]]; then
    echo "everything is in $scratch"
  else
    rm -rf "$scratch"
  fi
}

readonly users_home="$HOME"
export HOME="$scratch/home" XDG_STATE_HOME="$scratch/state" XDG_CONFIG_HOME="$scratch/config"
export XDG_DATA_HOME="$scratch/data"
readonly files="$scratch/files" repo="$scratch/repo" lockfile="$XDG_CONFIG_HOME/tagout/tagout.lock"
readonly out="$scratch/out" err="$scratch/err"
. "$here/checks.sh"
. "$here/servers.sh"
. "$here/clients.sh"
trap leave EXIT

# Answers the question on a pseudo-terminal: typed NAME EXIT_CODE PATTERN ANSWER TOOL ARGUMENT…
typed() {
  local name="$1" wanted="$2" pattern="$3" answer="$4"
  shift 4
  check "$name" "$wanted" "$pattern" \
    python3 "$here/at_terminal.py" "$answer" "$tagout" --json tools call "$@"
}

install_npm() {
  timeout 600 npm install --prefix "$scratch/npm" --no-fund --no-audit --no-save \
    "$FILES_SERVER" "${MORE_NPM[@]}"
}

install_pypi() {
  python3 -m venv "$scratch/venv" &&
    timeout 600 "$scratch/venv/bin/pip" install --quiet --disable-pip-version-check \
      "$GIT_SERVER" "${MORE_PYPI[@]}"
}

install_fastmcp() {
  python3 -m venv "$scratch/fast" &&
    timeout 600 "$scratch/fast/bin/pip" install --quiet --disable-pip-version-check "$FASTMCP"
}

# All at once: most of it is waiting for the network.
install() {
  local what failed_to=() pids=()
  local -r all=(npm pypi fastmcp clients forwarder)
  for what in "${all[@]}"; do
    "install_$what" >"$scratch/install-$what.log" 2>&1 &
    pids+=($!)
  done
  for what in "${all[@]}"; do
    wait "${pids[0]}" || failed_to+=("$what")
    pids=("${pids[@]:1}")
  done
  ((${#failed_to[@]} > 0)) || return 0
  for what in "${failed_to[@]}"; do
    echo "cannot be installed: $what" >&2
    tail -n 30 "$scratch/install-$what.log" >&2
  done
  exit 1
}

prepare() {
  mkdir -p "$HOME" "$files/sub" "$repo"
  printf 'hello from a file\n' >"$files/note.txt"
  git init --quiet --initial-branch=main "$repo"
  git -C "$repo" config user.name interop
  git -C "$repo" config user.email interop@example.invalid
  printf 'first\n' >"$repo/tracked.txt"
  git -C "$repo" add tracked.txt
  git -C "$repo" commit --quiet --message 'the first commit'
  printf 'second\n' >>"$repo/tracked.txt"
  git -C "$repo" add tracked.txt
}

configure() {
  local script="$scratch/npm/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
  check "add the file server" 0 'added .files.' \
    "$tagout" add files --yes --pass-env PATH --write "$files" -- node "$script" "$files"
  check "add the git server" 0 'added .git.' \
    "$tagout" add git --yes --pass-env PATH --write "$repo" -- \
    "$scratch/venv/bin/mcp-server-git" --repository "$repo"
  check "nothing is reviewed before it is pinned" 4 approval-unavailable \
    "$tagout" --json tools call files__read_text_file "path=$files/note.txt"
  check "pin both" 0 'wrote .*tagout.lock' "$tagout" pin
  check "every schema compiles" 0 'files__read_text_file' "$tagout" tools ls
  holds "no tool is refused" not grep -q refused "$out"
}

# effects SERVER TOOL: what the lockfile proposes.
effects() {
  awk -v head="[server.$1.tool.\"$2\"]" '$0 == head {on = 1; next} /^\[/ {on = 0} on && /^effects/' \
    "$lockfile" | sed 's/^effects = //'
}

proposed() {
  local server="$1" wanted="$2" tool
  shift 2
  for tool in "$@"; do
    effects "$server" "$tool" >"$out"
    : >"$err"
    if [[ "$(cat "$out")" == "$wanted" ]]; then
      pass "proposed for $server/$tool: $wanted"
    else
      fail "proposed for $server/$tool" "$(cat "$out")" "$wanted"
    fi
  done
}

readonly FILE_READERS=(read_file read_text_file read_media_file read_multiple_files list_directory
  list_directory_with_sizes directory_tree search_files get_file_info list_allowed_directories)
readonly GIT_READERS=(git_status git_log git_diff git_diff_staged git_diff_unstaged git_show git_branch)

review() {
  proposed files '["read"]' "${FILE_READERS[@]}"
  proposed files '["write"]' create_directory
  proposed files '["write", "destructive"]' write_file edit_file move_file
  proposed git '["read"]' "${GIT_READERS[@]}"
  proposed git '["write"]' git_add git_commit git_create_branch git_checkout
  proposed git '["write", "destructive"]' git_reset
  local accept=() tool
  for tool in "${FILE_READERS[@]}"; do accept+=(--accept "files/$tool"); done
  for tool in "${GIT_READERS[@]}"; do accept+=(--accept "git/$tool"); done
  check "accept what reads" 0 'wrote' "$tagout" pin "${accept[@]}"
  check "and nothing else" 0 '"reviewed_tools":10' "$tagout" --json list
  check "the lockfile holds" 0 'up to date' "$tagout" pin --check
}

use_files() {
  local read=("$tagout" --json tools call)
  check "a file is read without asking" 0 'hello from a file' \
    "${read[@]}" files__read_text_file "path=$files/note.txt"
  check "by the rule for readers" 0 '"rule":"read-freely"' \
    "${read[@]}" files__list_directory "path=$files"
  check "outside the folder the server refuses" 1 'Access denied' \
    "${read[@]}" files__read_text_file path=/etc/passwd
  check "an argument that is not declared is refused" 3 'arguments-invalid' \
    "${read[@]}" files__read_text_file "path=$files/note.txt" mode=raw
  check "an argument with hidden text is refused" 3 'argument-hidden-character' \
    "${read[@]}" files__read_text_file "path=$files/note.txt"$'\u200b'
  local write=(files__write_file "path=$files/new.txt" "content=written through tagout")
  check "a write without a terminal needs approval" 4 approval-unavailable \
    "${read[@]}" "${write[@]}"
  holds "and writes nothing" not test -e "$files/new.txt"
  typed "a write is denied on a terminal" 3 approval-denied no "${write[@]}"
  holds "and writes nothing" not test -e "$files/new.txt"
  typed "a write is approved on a terminal" 0 'Successfully wrote' yes "${write[@]}"
  holds "and is there" grep -q 'written through tagout' "$files/new.txt"
}

use_git() {
  local read=("$tagout" --json tools call)
  check "git status is read without asking" 0 'tracked.txt' \
    "${read[@]}" git__git_status "repo_path=$repo"
  check "git log is read without asking" 0 'the first commit' \
    "${read[@]}" git__git_log "repo_path=$repo" max_count=5
  check "git diff is read without asking" 0 'second' \
    "${read[@]}" git__git_diff_staged "repo_path=$repo"
  check "outside its repository the server refuses" 1 'outside the allowed repository' \
    "${read[@]}" git__git_status "repo_path=$scratch"
  check "what looks like an option the server refuses" 1 'cannot start with' \
    "${read[@]}" git__git_diff "repo_path=$repo" "target=--output=$scratch/leak"
  local commit=(git__git_commit "repo_path=$repo" "message=through tagout")
  check "a commit without a terminal needs approval" 4 approval-unavailable \
    "${read[@]}" "${commit[@]}"
  typed "a commit is denied on a terminal" 3 approval-denied no "${commit[@]}"
  holds "and nothing is committed" test "$(git -C "$repo" rev-list --count HEAD)" = 1
  typed "a commit is approved on a terminal" 0 'committed' yes "${commit[@]}"
  holds "and is there" test "$(git -C "$repo" log -1 --format=%s)" = 'through tagout'
}

use_both() {
  check "a client uses both servers at once" 0 '^all is well' \
    timeout 100 python3 "$here/client.py" "$tagout" "$files" "$repo"
}

account() {
  check "the audit log verifies" 0 '^verified' "$tagout" audit verify
  check "no outcome is unknown" 0 '"open":\[\]' "$tagout" --json audit verify
  check "the approval is on record" 0 '"how":"terminal","by":"[^"]+","decision":"allow"' \
    "$tagout" --json audit tail -n 1000
  sed -i '1,/"kind":"end"/s/"outcome":"ok"/"outcome":"no"/' \
    "$XDG_STATE_HOME/tagout/audit/log-000001.jsonl"
  check "a changed record shows" 1 'audit-not-valid' "$tagout" --json audit verify
}

install
prepare
configure
review
use_files
use_git
use_both
account
more_servers
clients

printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
