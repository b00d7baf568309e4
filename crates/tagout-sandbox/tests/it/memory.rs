//! What of memory is counted that no process shows in the usual way, and what is counted once.
use tagout_sandbox::Exit;

use crate::isolation::Yard;

const PYTHON: &str = "/usr/bin/python3";
const TOO_MUCH: &str = "took more memory than `memory_mb` allows";

/// Threads go on when the first has ended, which has no memory then.
const FIRST_THREAD_ENDS: &str = "import ctypes, mmap, os, platform, threading, time\n\
    def fill():\n \
     time.sleep(0.2)\n \
     keep = []\n \
     for i in range(30):\n  \
      keep.append(mmap.mmap(-1, 10 << 20)); keep[-1].write(b'x' * (10 << 20)); time.sleep(0.02)\n \
     print('had it all', flush=True); os._exit(0)\n\
    threading.Thread(target=fill).start()\n\
    ctypes.CDLL(None).syscall({'x86_64': 60, 'aarch64': 93}[platform.machine()], 0)";

/// Memory that is only read is one page for all, and a table for every two MiB.
const TABLES: &str = "import mmap, time\n\
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000\n\
    m = mmap.mmap(-1, 160 << 30, flags=flags, prot=mmap.PROT_READ)\n\
    for i in range(80000):\n m[i << 21]\n if i % 1000 == 0: time.sleep(0.002)\n\
    time.sleep(1); print('had it all')";

const SOCKETS: &str = "import socket, time\n\
    keep = [socket.socketpair() for i in range(450)]\n\
    for pair in keep:\n for one in pair:\n  \
      one.setblocking(False)\n  \
      one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 20)\n  \
      try:\n   \
       while True: one.send(b'x' * 65536)\n  \
      except BlockingIOError: pass\n\
    time.sleep(3); print('had it all')";

#[test]
fn nothing_is_taken_that_is_not_counted() {
    let Some(yard) = able() else { return };
    for user in Yard::users() {
        for script in [FIRST_THREAD_ENDS, TABLES, SOCKETS] {
            let ran = yard.run(user, &["memory=104857600"], &[PYTHON, "-c", script]);
            assert_eq!(ran.exit, Exit::Code(200), "{script}: {} {}", ran.said, ran.complained);
            assert_eq!(ran.said.lines().last(), Some(TOO_MUCH), "{script}");
        }
    }
}

/// A child that shares its parent's memory for a second, before it becomes something else.
const SHARES: &str = "import ctypes\n\
    b = bytearray(b'x') * (40 << 20)\n\
    c = ctypes.CDLL(None)\n\
    stack = ctypes.create_string_buffer(1 << 16)\n\
    top = (ctypes.addressof(stack) + (1 << 16)) & ~15\n\
    child = c.clone(c.usleep, ctypes.c_void_p(top), 0x4111, ctypes.c_void_p(900000))\n\
    print('fine' if child > 0 else child)";

const SEVERAL: &str = "import socket\n\
    keep = [socket.create_server(('127.0.0.1', 0)) for i in range(100)]\n\
    one = keep[0]; before = one.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)\n\
    one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, before * 64)\n\
    after = one.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)\n\
    import time; time.sleep(0.5)\n\
    print('fine' if before == after else after)";

#[test]
fn what_is_shared_or_usual_is_not_counted_twice() {
    let Some(yard) = able() else { return };
    for user in Yard::users() {
        for script in [SHARES, SEVERAL] {
            let ran = yard.run(user, &["memory=67108864"], &[PYTHON, "-c", script]);
            assert_eq!(ran.said, "fine\n", "{script}: {}", ran.complained);
        }
    }
}

fn able() -> Option<Yard> {
    if !std::path::Path::new(PYTHON).exists() {
        println!("skipped: no `{PYTHON}`");
        return None;
    }
    Yard::new()
}
