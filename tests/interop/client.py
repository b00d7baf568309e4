"""An MCP client of `tagout run`, by raw frames, in front of the file and the git server at once.

usage: client.py TAGOUT FILES REPO
"""

import json
import subprocess
import sys
import threading

LIMIT_S = 60


def frame(number: int, method: str, params: dict) -> dict:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def call(number: int, tool: str, **arguments) -> dict:
    return frame(number, "tools/call", {"name": tool, "arguments": arguments})


class Run:
    def __init__(self, tagout: str):
        self.process = subprocess.Popen(
            [tagout, "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.watchdog = threading.Timer(LIMIT_S, self.process.kill)
        self.watchdog.start()

    def send(self, message: dict) -> None:
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def answers(self, count: int) -> dict:
        """The next `count` answers, by id; what a server tells in between is passed over."""
        got: dict = {}
        while len(got) < count:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit(f"it ended after {sorted(got)}")
            message = json.loads(line)
            if "method" not in message:
                got[message["id"]] = message
        return got

    def leave(self) -> int:
        self.process.stdin.close()
        code = self.process.wait(LIMIT_S)
        self.watchdog.cancel()
        return code


def text(answer: dict) -> str:
    return "".join(block.get("text", "") for block in answer["result"]["content"])


def expect(what: str, holds: bool, seen: object) -> None:
    if not holds:
        raise SystemExit(f"{what}: {seen}")


def main() -> None:
    tagout, files, repo = sys.argv[1:]
    run = Run(tagout)
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "interop", "version": "1"},
    }
    run.send(frame(1, "initialize", hello))
    first = run.answers(1)[1]["result"]
    expect("revision", first["protocolVersion"] == "2025-06-18", first)
    run.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    run.send(frame(2, "tools/list", {}))
    listed = run.answers(1)[2]["result"]["tools"]
    servers = [tool["name"].split("__")[0] for tool in listed]
    expect("tools", {name: servers.count(name) for name in set(servers)}
           == {"files": 14, "git": 12, "grid": 3}, sorted(servers))

    # All at once: nobody waits for the other server.
    ids = range(10, 50)
    for number in ids:
        if number % 2:
            run.send(call(number, "files__read_text_file", path=f"{files}/note.txt"))
        else:
            run.send(call(number, "git__git_log", repo_path=repo, max_count=1))
    got = run.answers(len(ids))
    for number in ids:
        wanted = "hello from a file" if number % 2 else "Commit history"
        expect(f"answer {number}", wanted in text(got[number]), got[number])

    run.send(call(60, "files__write_file", path=f"{files}/no.txt", content="x"))
    run.send(call(61, "git__git_commit", repo_path=repo, message="x"))
    run.send(call(62, "files__no_such_tool"))
    got = run.answers(3)
    codes = [got[number]["error"]["data"]["code"] for number in (60, 61, 62)]
    wanted = ["approval-unavailable", "approval-unavailable", "subject-unknown"]
    expect("refusals", codes == wanted, codes)
    expect("exit code", (code := run.leave()) == 0, code)
    print("all is well")


if __name__ == "__main__":
    main()
