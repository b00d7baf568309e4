# More servers that nobody here wrote, each for a list and a call: over standard input and output,
# and FastMCP's also over HTTP in both eras. Sourced by run.sh. Everything is let through: what is
# tested is that they understand each other, isolated by default: what they need beside their own files
# stands in their entries.

readonly MORE_NPM=(@modelcontextprotocol/server-everything@2026.8.31
  @modelcontextprotocol/server-memory@2026.8.31)
readonly MORE_PYPI=(mcp-server-time==2026.10.19 mcp-server-fetch==2026.10.24)
readonly FASTMCP="fastmcp==4.1.2"

background=()

# Starts a command whose end this script sees to.
start() {
  local log="$1"
  shift
  "$@" </dev/null >"$log" 2>&1 &
  background+=($!)
}

end_background() {
  local pid
  for pid in "${background[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  background=()
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# listens PORT: somebody does, within half a minute.
listens() {
  local end=$((SECONDS + 30))
  until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}

# A configuration of its own, with its own state, under which anything may go to any server:
# configuration NAME <<EOF, servers, EOF.
configuration() {
  local folder="$scratch/$1"
  mkdir -p "$folder/policies" "$folder/state"
  printf '@id("all")\npermit (principal, action, resource);\n' >"$folder/policies/all.cedar"
  { printf 'profile = "none"\npolicies = "policies"\n\n' && cat; } >"$folder/tagout.toml"
  { printf '\n[consent]\nagreed = [' && sed -n 's/^\[server\.\([a-z0-9_-]*\)\]$/"\1",/p' \
    "$folder/tagout.toml" | tr '\n' ' ' && printf ']\n'; } >"$folder/consent"
  cat "$folder/consent" >>"$folder/tagout.toml"
  export XDG_STATE_HOME="$folder/state"
  configured=("$tagout" --config "$folder/tagout.toml" --json)
}

# one SERVER LISTED CALLED PATTERN ARGUMENT…: a tool is listed, and the call says so.
one() {
  local server="$1" tool="$2" pattern="$3"
  shift 3
  check "$server is listed" 0 "\"$tool\"" "${configured[@]}" tools ls
  check "$server is called" 0 "$pattern" "${configured[@]}" tools call "$tool" "$@"
}

stdio_servers() {
  local modules="$scratch/npm/node_modules/@modelcontextprotocol" page_port="$1"
  mkdir -p "$scratch/memory"
  configuration more <<EOF
[server.everything]
command = ["node", "$modules/server-everything/dist/index.js", "stdio"]
pass_env = ["PATH"]

[server.memory]
command = ["node", "$modules/server-memory/dist/index.js"]
pass_env = ["PATH"]
env = { MEMORY_FILE_PATH = "$scratch/memory/kept.jsonl" }

[server.memory.sandbox]
write = ["$scratch/memory"]

[server.time]
command = ["$scratch/venv/bin/mcp-server-time", "--local-timezone", "UTC"]

[server.fetch]
command = ["$scratch/venv/bin/mcp-server-fetch", "--ignore-robots-txt", "--allow-private-ips"]

[server.fetch.sandbox]
reach = ["127.0.0.1:$page_port"]

[server.fast]
command = ["$scratch/fast/bin/fastmcp", "run", "$here/fast_server.py", "--no-banner"]
pass_env = ["PATH"]
env = { FASTMCP_CHECK_FOR_UPDATES = "off" }
EOF
  one "the everything server" everything__get-sum 'sum of 2 and 3 is 5' a=2 b=3
  one "the memory server" memory__create_entities 'pump 7' \
    'entities=[{"name":"pump 7","entityType":"pump","observations":["locked out"]}]'
  check "and keeps what it was told" 0 'locked out' "${configured[@]}" tools call memory__read_graph
  one "the time server" time__get_current_time 'UTC' timezone=UTC
  one "the fetch server" fetch__fetch 'fetched from a page' \
    "url=http://127.0.0.1:$page_port/page.txt"
  one "a FastMCP server" fast__add '"result":5' a=2 b=3
  check "what it gets is no more than it was given" 0 '"content"' \
    "${configured[@]}" tools call everything__get-env
  holds "and nothing of this machine's" not grep -q XDG_STATE_HOME "$out"
}

http_server() {
  local port="$1" era
  for era in auto modern legacy; do
    configuration "remote-$era" <<EOF
[server.remote]
url = "http://127.0.0.1:$port/mcp"
era = "$era"
EOF
    one "a FastMCP server over HTTP, $era," remote__add '"result":5' a=2 b=3
  done
}

more_servers() {
  local page_port port
  page_port="$(free_port)"
  mkdir -p "$scratch/pages"
  printf 'fetched from a page\n' >"$scratch/pages/page.txt"
  start "$scratch/pages.log" python3 -m http.server --bind 127.0.0.1 --directory "$scratch/pages" \
    "$page_port"
  port="$(free_port)"
  start "$scratch/fast.log" env FASTMCP_CHECK_FOR_UPDATES=off "$scratch/fast/bin/fastmcp" run \
    "$here/fast_server.py" --transport http --host 127.0.0.1 --port "$port" --no-banner
  holds "the web server listens" listens "$page_port"
  stdio_servers "$page_port"
  holds "FastMCP's HTTP server listens" listens "$port"
  http_server "$port"
  end_background
}
