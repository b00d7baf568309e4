//! Ordinary programs, run under the filter.
use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    process::{Command, Output},
};

use super::{FilterOptions, install, program};

/// The name under which this test binary becomes a program under the filter.
const COMMAND: &str = "TAGOUT_FILTERED_COMMAND";

/// Not a test of its own: `filtered` starts it.
#[test]
#[ignore = "becomes another program, when another test asks for it"]
fn becomes_a_filtered_program() {
    let command = std::env::var(COMMAND).unwrap();
    let mut words = command.split('\x1f');
    rustix::thread::set_no_new_privs(true).unwrap();
    install(&program(&FilterOptions::default())).unwrap();
    #[expect(clippy::disallowed_methods, reason = "this process is one that a test started")]
    let failed = Command::new(words.next().unwrap()).args(words).env_remove(COMMAND).exec();
    panic!("{failed}");
}

fn filtered(command: &[&str]) -> Option<Output> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    let found = std::env::split_paths(&path).map(|dir| dir.join(command[0])).find(|p| p.exists());
    if found.is_none() {
        println!("not tried: there is no `{}` here", command[0]);
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test starts itself")]
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "jail::seccomp::tests::programs::becomes_a_filtered_program",
        ])
        .args(["--nocapture", "--test-threads=1"])
        .env(COMMAND, command.join("\x1f"))
        .env("HOME", dir.path())
        .current_dir(dir.path())
        .output()
        .unwrap();
    Some(output)
}

/// Runs a program under the filter, where there is one of that name, and wants it to say `done`.
fn works(command: &[&str]) {
    let Some(output) = filtered(command) else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let done = output.status.success() && said.contains("done");
    assert!(done, "{command:?}: {}\n{said}\n{complained}", output.status);
}

#[test]
fn shells_and_their_tools_work() {
    works(&[
        "bash",
        "-c",
        "cat <<< 'a b' | tr ' ' '\n' | sort | xargs -n1 echo > f; \
        (sleep 0.01 & wait); mkfifo p; ls -la f p; cp f g; mv g h; chmod 755 h; ln -s h l; \
        find . -type f; df . > /dev/null; tar cf t.tar h l; tar tf t.tar; ps > /dev/null; \
        diff <(cat f) h && date && echo done",
    ]);
    works(&[
        "perl",
        "-e",
        "my $p = fork // die; if (!$p) { exit 3 } waitpid $p, 0; \
        open my $f, '-|', 'echo done' or die; print <$f>",
    ]);
}

#[test]
fn python_works() {
    works(&["python3", "-c", PYTHON]);
}

const PYTHON: &str = r#"
import asyncio, hashlib, json, multiprocessing, os, socket, sqlite3, ssl, subprocess, sys
import tempfile, threading, time, zipfile, ctypes, select, signal, shutil, uuid, logging, mmap
import concurrent.futures as futures
def square(x): return x * x
async def main():
    async def echo(reader, writer):
        writer.write(await reader.readline()); await writer.drain(); writer.close()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hi\n"); assert await reader.readline() == b"hi\n"
    process = await asyncio.create_subprocess_exec("echo", "x", stdout=subprocess.PIPE)
    assert (await process.communicate())[0] == b"x\n"
asyncio.run(main())
with futures.ThreadPoolExecutor(4) as pool: assert sum(pool.map(square, range(9))) == 204
for how in "fork", "spawn", "forkserver":
    if how == "fork":
        with multiprocessing.get_context(how).Pool(2) as pool:
            assert sum(pool.map(square, range(9))) == 204
db = sqlite3.connect("x.db"); db.execute("pragma journal_mode=wal"); db.execute("create table t(a)")
db.commit()
assert subprocess.run(["sh", "-c", "exit 3"]).returncode == 3
with tempfile.NamedTemporaryFile() as f: f.write(b"a" * 9000); f.flush(); mmap.mmap(f.fileno(), 0)
ssl.create_default_context()
callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(square); assert callback(4) == 16
socket.if_nameindex(); socket.getaddrinfo("127.0.0.1", 80); os.getloadavg(); os.sched_getaffinity(0)
a, b = socket.socketpair(); a.sendmsg([b"x"]); b.recv(1)
os.makedirs("d/e"); shutil.copytree("d", "g"); shutil.rmtree("d"); os.replace("g", "h")
signal.setitimer(signal.ITIMER_REAL, 100); uuid.uuid1()
print("done")
"#;

#[test]
fn node_works() {
    works(&["node", "-e", NODE]);
}

const NODE: &str = r#"
const fs = require('fs'), http = require('http'), cp = require('child_process');
const { Worker } = require('worker_threads'), crypto = require('crypto'), os = require('os');
const need = (ok, what) => { if (!ok) { console.log('failed', what); process.exit(1); } };
(async () => {
  const server = http.createServer((q, r) => r.end('hi')).listen(0, '127.0.0.1');
  await new Promise(r => server.on('listening', r));
  const text = await (await fetch(`http://127.0.0.1:${server.address().port}/`)).text();
  need(text === 'hi', 'fetch'); server.close(); server.closeAllConnections();
  need(cp.execFileSync('echo', ['x']).toString() === 'x\n', 'exec');
  need((await new Promise(r => cp.exec('exit 4', e => r(e)))).code === 4, 'exec async');
  const child = cp.fork(process.argv[1] ?? '-e', ['-e', ''], { execArgv: [], stdio: 'ignore' });
  child.kill();
  await fs.promises.writeFile('a', 'b'.repeat(100000)); await fs.promises.copyFile('a', 'c');
  fs.mkdirSync('d/e', { recursive: true }); fs.renameSync('c', 'd/c'); fs.chmodSync('a', 0o700);
  const watcher = fs.watch('.'); watcher.close(); fs.rmSync('d', { recursive: true });
  await new Promise((done, failed) => new Worker('require("os").cpus()', { eval: true })
    .on('exit', done).on('error', failed));
  await new Promise(r => crypto.pbkdf2('a', 'b', 1000, 32, 'sha256', r));
  os.networkInterfaces(); os.cpus(); os.userInfo; os.totalmem(); os.getPriority();
  need(new WebAssembly.Memory({ initial: 1 }).buffer.byteLength === 65536, 'wasm');
  console.log('done'); process.exit(0);
})().catch(e => { console.log(e); process.exit(1); });
"#;

#[test]
fn other_tools_work() {
    works(&[
        "git",
        "-c",
        "init.defaultBranch=a",
        "-c",
        "alias.all=!git init -q . && git -c \
        user.name=a -c user.email=a@b commit -q --allow-empty -m x && git gc -q && git log -1 && \
        echo done",
        "all",
    ]);
    works(&["sh", "-c", "ssh-keygen -q -t ed25519 -N '' -f k && ssh-keygen -l -f k && echo done"]);
    works(&[
        "sh",
        "-c",
        "command -v java > /dev/null || exec echo done; \
        java -Xmx64m -version && echo done",
    ]);
    works(&[
        "sh",
        "-c",
        "echo 'int main(){return 0;}' > a.c; command -v gcc > /dev/null && \
        { gcc a.c -o a && ./a || exit 1; }; echo done",
    ]);
    works(&[
        "sh",
        "-c",
        "command -v openssl > /dev/null && { openssl rand -hex 8 || exit 1; }; \
        command -v curl > /dev/null && { curl -s http://127.0.0.1:1; [ $? = 7 ] || exit 1; }; \
        echo done",
    ]);
}

#[test]
fn what_was_refused_is_an_error_of_the_program_and_not_its_end() {
    let outputs = ["unshare -U true", "mount -t tmpfs a .", "chmod u+s .", "chroot . true"];
    for command in outputs {
        let script = format!("{command}; printf '\\nstatus %s\\n' $?");
        let Some(output) = filtered(&["sh", "-c", &script]) else { return };
        let said = String::from_utf8_lossy(&output.stdout);
        let status = said.lines().find_map(|line| line.strip_prefix("status ")).unwrap();
        assert_ne!(status, "0", "{command}: {said}");
        assert!(output.status.success(), "{command}: {}", output.status);
    }
}
