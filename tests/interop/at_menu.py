"""Takes a tool from the menu of `mcp-cli --url`, which asks for everything on a terminal.

usage: at_menu.py TOOL ARGUMENT ANSWER COMMAND...

Types the tool's name when the menu is there, and the answer when the argument is asked for; then ends
the command. Says on standard output what the terminal showed; the exit code says how far it got.
"""

import os
import pty
import re
import select
import signal
import sys
import time

LIMIT_S = 60
SHOWN_BYTES = 1 << 20
# Colours are left on for values, whatever the environment says.
STYLE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


def main() -> int:
    tool, argument, answer = (word.encode() for word in sys.argv[1:4])
    # Each is typed once the terminal shows what it answers, and nothing of before counts for that.
    # The menu finds by the beginning; the name is shown whole only when it has found.
    steps = [
        (b"tool(", b"tool(" + tool[:-1]),
        (b"tool(" + tool + b")", b"\r"),
        (argument, answer + b"\r"),
        (b"isError: false", b""),
    ]
    command = sys.argv[4:]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(NO_COLOR="1", TERM="dumb")
        os.execv(command[0], command)
    shown, seen, done = b"", 0, 0
    end = time.monotonic() + LIMIT_S
    while done < len(steps) and time.monotonic() < end and len(shown) < SHOWN_BYTES:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # a terminal that nobody holds any more
            break
        wanted, typed = steps[done]
        if wanted in STYLE.sub(b"", shown[seen:]):
            seen, done = len(shown), done + 1
            os.write(terminal, typed)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    sys.stdout.buffer.write(STYLE.sub(b"", shown))
    return 0 if done == len(steps) else 90 + done


if __name__ == "__main__":
    sys.exit(main())
