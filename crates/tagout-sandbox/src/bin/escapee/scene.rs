//! What there is to attack, made anew for every round.
use std::{
    fs::{self, File, Permissions},
    io::Read as _,
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    attempt::{SECRET_LENGTH, why},
    layers::BOUNDS,
    raw::{self, Arg, call},
};

/// A user's home, a gateway's folders and a server's, with secrets of this round.
pub(crate) struct Scene {
    pub(crate) root: PathBuf,
    /// What stands in all that must not be read.
    pub(crate) secret: String,
    /// What the program writes where it must not.
    pub(crate) mark: String,
    pub(crate) number: u32,
}

impl Scene {
    pub(crate) fn build(work: &Path, number: u32) -> Result<Self, String> {
        let root = work.join(format!("round-{number}"));
        let secret = format!("planted:{}", random()?);
        debug_assert_eq!(secret.len(), SECRET_LENGTH);
        let scene = Self { root, secret, mark: format!("mark-{}", random()?), number };
        let folders = ["home/.ssh", "etc", "server/covered", "out", "config", "state"];
        for folder in folders {
            fs::create_dir_all(scene.root.join(folder)).map_err(why)?;
        }
        for (file, text) in [
            ("home/.ssh/id_ed25519", scene.secret.as_str()),
            ("home/.bashrc", "# nothing yet\n"),
            ("etc/shadow", "root:$6$not-a-digest:19000:0:99999:7:::\n"),
            ("server/code.js", "// its own code\n"),
            ("server/covered/secret", &scene.secret),
            ("config/tagout.toml", "# nothing yet\n"),
            ("config/tagout.lock", "# nothing yet\n"),
            ("state/signing.key", &scene.secret),
        ] {
            fs::write(scene.root.join(file), text).map_err(why)?;
        }
        fs::set_permissions(scene.root.join("home/.ssh"), Permissions::from_mode(0o700))
            .map_err(why)?;
        fs::hard_link(work.join("program"), scene.root.join("server/program")).map_err(why)?;
        fs::write(scene.shared_file(), &scene.secret).map_err(why)?;
        Ok(scene)
    }

    /// What the program is told, beside where the services are.
    pub(crate) fn facts(&self) -> Vec<String> {
        let at = |folder: &str| self.root.join(folder).display().to_string();
        let mut facts = vec![
            format!("home={}", at("home")),
            format!("shadow={}", at("etc/shadow")),
            format!("server={}", at("server")),
            format!("covered={}", at("server/covered")),
            format!("out={}", at("out")),
            format!("config={}", at("config")),
            format!("state={}", at("state")),
            format!("drop={}", self.dropped().display()),
            format!("drop-name={}", self.drop_name()),
            format!("shm-file={}", self.shared_file().display()),
            format!("shm-key={}", self.shared_key()),
            format!("queue=tagout-escape-{}-{}", std::process::id(), self.number),
            format!("key=tagout-escape-{}-{}", std::process::id(), self.number),
            format!("mark={}", self.mark),
            format!("memory={}", BOUNDS.memory),
            format!("processes={}", BOUNDS.processes),
            format!("file={}", BOUNDS.file),
            format!("open-files={}", BOUNDS.open_files),
            format!("tmp={}", BOUNDS.tmp),
            format!("processor-ms={}", BOUNDS.cpu.unwrap_or_default().as_millis()),
        ];
        if let Ok((kind, id)) = handle(&self.root.join("home/.ssh/id_ed25519")) {
            facts.push(format!("handle={id}"));
            facts.push(format!("handle-kind={kind}"));
        }
        facts
    }

    fn drop_name(&self) -> String {
        format!("tagout-escape-{}-{}", std::process::id(), self.number)
    }

    /// Where the program is to write in the machine's `/tmp`.
    pub(crate) fn dropped(&self) -> PathBuf {
        Path::new("/tmp").join(self.drop_name())
    }

    pub(crate) fn in_usr(&self) -> PathBuf {
        Path::new("/usr").join(self.drop_name())
    }

    fn shared_file(&self) -> PathBuf {
        Path::new("/dev/shm").join(self.drop_name())
    }

    fn shared_key(&self) -> u32 {
        0x5a60_0000_u32.wrapping_add(self.number & 0xffff)
    }

    pub(crate) fn has_mark(&self, path: &Path) -> bool {
        crate::attempt::read(path).is_ok_and(|text| text.contains(&self.mark))
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let program = self.dropped().with_extension("program");
        for file in [self.dropped(), program, self.in_usr(), self.shared_file()] {
            fs::remove_file(file).ok();
        }
        fs::remove_dir_all(&self.root).ok();
    }
}

/// 32 digits.
fn random() -> Result<String, String> {
    let mut bytes = [0; 16];
    let mut source = File::open("/dev/urandom").map_err(why)?;
    source.read_exact(&mut bytes).map_err(why)?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The kind and the bytes of a file's handle.
fn handle(path: &Path) -> Result<(u32, String), String> {
    let mut handle = raw::bytes_of(&[128, 0]);
    handle.resize(136, 0);
    let mut mount = [0; 8];
    let file = File::open(path).map_err(why)?;
    let empty = raw::name("");
    let mut args = [
        Arg::Int(file.as_raw_fd().into()),
        Arg::In(&empty),
        Arg::Out(&mut handle),
        Arg::Out(&mut mount),
        Arg::Int(libc::AT_EMPTY_PATH.into()),
    ];
    call(libc::SYS_name_to_handle_at, &mut args).map_err(why)?;
    let word = |at: usize| {
        let bytes = handle.get(at..).and_then(|rest| rest.first_chunk()).copied();
        u32::from_ne_bytes(bytes.unwrap_or_default())
    };
    let length = usize::try_from(word(0)).map_err(why)?;
    let id = handle.get(8..).and_then(|rest| rest.get(..length)).unwrap_or_default();
    Ok((word(4), hex(id)))
}
