//! Attacks, each a file in `tests/attacks/` with the code that it must meet, through the real
//! binary. `tests/attacks/README.md` says what may stand in one.
mod file;
mod play;

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    thread,
};

use self::{file::Attack, play::play};

/// Attacks that are played at a time: each starts programs of its own.
const AT_ONCE: usize = 4;

fn files() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/attacks");
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    files
}

/// All of them, or those whose name holds what the variable `ATTACK` says.
#[test]
fn each_attack_meets_its_code() {
    let wanted = std::env::var("ATTACK").unwrap_or_default();
    let name = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut left = files();
    left.retain(|path| name(path).contains(&wanted));
    assert!(!left.is_empty(), "there are no attacks");
    left.reverse();
    let (left, failed) = (Mutex::new(left), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some(path) = next else { return };
                    let text = fs::read(&path).unwrap();
                    let attack = Attack::read(&String::from_utf8(text).unwrap());
                    let played = attack.and_then(|attack| play(&attack));
                    if let Err(why) = played {
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        failed.push(format!("{}: {why}", name(&path)));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
