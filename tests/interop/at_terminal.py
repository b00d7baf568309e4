"""Runs a command on a pseudo-terminal of its own and answers its question.

usage: at_terminal.py yes|no COMMAND...

Yes is the code that the question asks for, so that it cannot be meant for another.
The command's standard output is passed on, and so is its exit code. Its standard input is empty:
what is asked is asked on the terminal device.
"""

import os
import pty
import re
import select
import signal
import sys
import time

QUESTION = re.compile(rb"Type (\S+) to approve, once; anything else denies: ")
LIMIT_S = 60


def main() -> int:
    answer, command = sys.argv[1], sys.argv[2:]
    out, passed_on = os.pipe()
    pid, terminal = pty.fork()
    if pid == 0:
        os.dup2(passed_on, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.closerange(3, 256)
        os.execv(command[0], command)
    os.close(passed_on)
    shown, output = b"", b""
    answered = False
    waiting = {terminal, out}
    end = time.monotonic() + LIMIT_S
    while waiting and time.monotonic() < end:
        for ready in select.select(list(waiting), [], [], 0.2)[0]:
            try:
                data = os.read(ready, 65536)
            except OSError:  # a terminal that nobody holds any more
                data = b""
            if not data:
                waiting.discard(ready)
            elif ready == out:
                output += data
            else:
                shown += data
        question = QUESTION.search(shown)
        if question and not answered:
            code = question[1] if answer == "yes" else answer.encode()
            os.write(terminal, code + b"\n")
            answered = True
    if waiting:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    sys.stdout.buffer.write(output)
    sys.stderr.buffer.write(shown)
    if not answered:
        print("nobody was asked", file=sys.stderr)
        return 99
    return os.waitstatus_to_exitcode(status) if not waiting else 98


if __name__ == "__main__":
    sys.exit(main())
