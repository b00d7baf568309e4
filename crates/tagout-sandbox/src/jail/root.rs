//! The root file system of a program, made by the first process of its namespaces.
use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fchmod, mkdirat, openat, openat2,
        statat, symlinkat,
    },
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
        fsconfig_create, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
    },
    process::{chdir, fchdir, pivot_root},
};

use super::{
    failure::Failure,
    ids::Ids,
    plan::{Bind, Kind, Plan},
    system::{MASKED, OPEN, made_up},
};
use crate::{Isolation, Part, Stage, danger::mount::set_attributes};

const NOTHING_SPECIAL: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);
const NO_PROGRAMS: MountAttrFlags = NOTHING_SPECIAL.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);
const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;

/// How many files and folders the root itself may have.
const FILES_OF_ROOT: u32 = 16384;
/// How many files and folders may be in `/tmp`.
const FILES_OF_TMP: u32 = 65536;
/// How much may be in the root's own files, and in private ones, in bytes.
const BYTES_OF_ROOT: u64 = 4 << 20;

/// Takes a mount of something of the machine, seen as `bind` says, that is nowhere yet; with `mapped`,
/// through the map of that user namespace, where its file system can do that.
///
/// # Errors
/// The path is a link by now, or cannot be opened.
pub(super) fn take(path: &Path, bind: Bind, mapped: Option<BorrowedFd<'_>>) -> io::Result<OwnedFd> {
    // By a descriptor, because between two looks at a path somebody may put a link there.
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let place = match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Err(Errno::NOSYS) => openat(CWD, path, flags | OFlags::NOFOLLOW, Mode::empty()),
        place => place,
    };
    let place = match place {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if bind.may_be_gone => {
            return nothing(bind.is_folder);
        }
        place => place?,
    };
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(&place, "", flags)?;
    let attributes = match bind.kind {
        Kind::System | Kind::Read => READ_ONLY | NOTHING_SPECIAL,
        Kind::Write => NO_PROGRAMS,
        Kind::Device => MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    };
    if mapped.is_none() || set_attributes(tree.as_fd(), attributes, true, mapped).is_err() {
        set_attributes(tree.as_fd(), attributes, true, None)?;
    }
    Ok(tree)
}

/// Something to be mounted where what was there is gone.
fn nothing(is_folder: bool) -> io::Result<OwnedFd> {
    let empty = if is_folder {
        memory(4096, 1, "0555")?
    } else {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        open_tree(CWD, "/dev/null", flags)?
    };
    set_attributes(empty.as_fd(), READ_ONLY, false, None)?;
    Ok(empty)
}

/// What a root is made from.
pub(super) struct Making<'a> {
    pub(super) plan: &'a Plan,
    pub(super) isolation: &'a Isolation,
    pub(super) ids: &'a Ids,
    /// Mounts for the plan's binds in their order, where somebody else had to take them.
    pub(super) taken: Option<Vec<OwnedFd>>,
    /// Whether there is a PID namespace, whose `/proc` can be had.
    pub(super) processes: bool,
    /// Whether the program may do without it, where the machine does not let it be mounted.
    pub(super) may_lack_proc: bool,
}

impl Making<'_> {
    /// Makes the root, and enters it. Nothing of the machine's own root is left in sight.
    pub(super) fn enter(mut self) -> Result<(), Failure> {
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
        let base = Self::base()?;
        let root = Root(base.as_fd());
        self.own_parts(&root)?;
        self.binds(&root)?;
        self.files(&root)?;
        Self::cover(&root)?;
        root.enter().map_err(Stage::Root.failed())
    }

    /// The mount that everything else is in, placed where the machine has one already.
    fn base() -> Result<OwnedFd, Failure> {
        // Nothing that is mounted from here on shows outside.
        let old = open_tree(CWD, "/", OpenTreeFlags::OPEN_TREE_CLOEXEC);
        let old = old.map_err(Stage::Mounts.refused())?;
        set_attributes(old.as_fd(), MountAttrFlags::empty(), true, None)
            .map_err(Stage::Mounts.failed())?;
        let base = memory(BYTES_OF_ROOT, FILES_OF_ROOT, "0755").map_err(Stage::Root.failed())?;
        attach(&base, CWD, "/").map_err(Stage::Root.failed())?;
        Ok(base)
    }

    /// What the program has for itself.
    fn own_parts(&self, root: &Root<'_>) -> Result<(), Failure> {
        self.proc(root)?;
        let tmp = self.isolation.bounds.tmp.max(4096);
        let make = || -> io::Result<()> {
            root.mount_new("tmp", &memory(tmp, FILES_OF_TMP, "1777")?)?;
            root.mount_new("dev", &memory(65536, 64, "0755")?)?;
            root.mount_new("dev/shm", &memory(tmp, FILES_OF_TMP, "1777")?)?;
            for (name, target) in OPEN {
                root.link(Path::new(name), Path::new(target))?;
            }
            Ok(())
        };
        make().map_err(Stage::Root.failed())
    }

    fn proc(&self, root: &Root<'_>) -> Result<(), Failure> {
        let attributes = READ_ONLY | NO_PROGRAMS;
        if !self.processes {
            // Without a PID namespace, the only one that tells a process of itself is the machine's.
            let bind =
                Bind { kind: Kind::Read, is_folder: true, owner: (0, 0), may_be_gone: false };
            let proc = take(Path::new("/proc"), bind, None).map_err(Stage::Proc.failed())?;
            return root.mount_new("proc", &proc).map_err(Stage::Proc.failed());
        }
        let proc = |hide: &str| -> io::Result<OwnedFd> {
            let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
            if !hide.is_empty() {
                fsconfig_set_string(&context, "hidepid", hide)?;
            }
            fsconfig_create(&context)?;
            Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
        };
        // Its first process, which is not the program's, is no business of the program's.
        let made = proc("ptraceable").or_else(|_| proc("2")).or_else(|_| proc(""));
        match made.and_then(|proc| root.mount_new("proc", &proc)) {
            Ok(()) => Ok(()),
            Err(_) if self.may_lack_proc => {
                root.place(Path::new("proc"), true).map_err(Stage::Proc.failed())
            }
            Err(e) => {
                let why = format!("its own `/proc` cannot be mounted: {e}");
                Err(Failure::Missing(vec![(Part::Processes, why)]))
            }
        }
    }

    /// What is given to it of the machine.
    fn binds(&mut self, root: &Root<'_>) -> Result<(), Failure> {
        let mut taken = self.taken.take().map(Vec::into_iter);
        for (path, bind) in &self.plan.binds {
            let mut place = || -> io::Result<()> {
                let tree = match &mut taken {
                    Some(taken) => taken.next().ok_or(Errno::BADMSG)?,
                    None => take(path, *bind, None)?,
                };
                let inside = within(path);
                root.place(inside, bind.is_folder)?;
                attach(&tree, root.0, inside)
            };
            place().map_err(|e| Failure::Path(path.clone(), format!("cannot be given: {e}")))?;
        }
        for (link, target) in &self.plan.links {
            root.link(within(link), target).map_err(Stage::Root.failed())?;
        }
        for (path, is_folder) in &self.plan.hidden {
            root.place(within(path), *is_folder).map_err(Stage::Root.failed())?;
        }
        Ok(())
    }

    /// Files that are made for it.
    fn files(&self, root: &Root<'_>) -> Result<(), Failure> {
        let made = || -> io::Result<()> {
            let (user, group) = (self.ids.user.inside, self.ids.group.inside);
            for (path, content) in made_up(user, group) {
                // Who was given the machine's own has it.
                let given = Path::new("/").join(path);
                let given = given.ancestors().any(|above| self.plan.binds.contains_key(above));
                if !given && !root.has(path) {
                    root.file(Path::new(path), content.as_bytes(), Mode::from_raw_mode(0o444))?;
                }
            }
            if self.isolation.files.is_empty() {
                return Ok(());
            }
            let secrets = memory(BYTES_OF_ROOT, FILES_OF_ROOT, "0700")?;
            root.mount_new("run/secrets", &secrets)?;
            for (name, file) in &self.isolation.files {
                let path = Path::new("run/secrets").join(name);
                root.file(&path, file.content(), Mode::from_raw_mode(0o400))?;
            }
            set_attributes(secrets.as_fd(), READ_ONLY | NO_PROGRAMS, false, None)
        };
        made().map_err(Stage::Files.failed())
    }

    /// Puts something empty over what is not to be seen of `/proc`.
    fn cover(root: &Root<'_>) -> Result<(), Failure> {
        // Of what is mounted once, the others are copies.
        let mut folder: Option<&str> = None;
        for path in MASKED {
            let Some(is_folder) = root.is(path) else { continue };
            let covered = match (is_folder, folder) {
                (false, _) => root.copy_of(Path::new("dev/null")),
                (true, Some(first)) => root.copy_of(Path::new(first)),
                (true, None) => memory(4096, 1, "0555"),
            };
            let covered = covered.and_then(|empty| {
                set_attributes(empty.as_fd(), READ_ONLY, false, None)?;
                attach(&empty, root.0, path)
            });
            covered.map_err(Stage::Root.failed())?;
            folder = folder.or(is_folder.then_some(path));
        }
        Ok(())
    }
}

/// A new file system in memory, that is nowhere yet.
fn memory(bytes: u64, files: u32, mode: &str) -> io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "size", bytes.max(4096).to_string())?;
    // The folder itself is one.
    fsconfig_set_string(&context, "nr_inodes", files.max(2).to_string())?;
    fsconfig_set_string(&context, "mode", mode)?;
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, NO_PROGRAMS)?)
}

fn attach(tree: &OwnedFd, at: BorrowedFd<'_>, path: impl AsRef<Path>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(move_mount(tree, "", at, path.as_ref(), flags)?)
}

/// Where an absolute path is within a root.
fn within(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// The root while it is made.
struct Root<'a>(BorrowedFd<'a>);

impl Root<'_> {
    /// Whether something is a folder; `None` where there is nothing.
    fn is(&self, path: impl AsRef<Path>) -> Option<bool> {
        let about = statat(self.0, path.as_ref(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(FileType::from_raw_mode(about.st_mode).is_dir())
    }

    fn has(&self, path: impl AsRef<Path>) -> bool {
        self.is(path).is_some()
    }

    /// Makes a folder or a file to mount on, where there is none.
    fn place(&self, path: &Path, is_folder: bool) -> io::Result<()> {
        if self.has(path) {
            return Ok(());
        }
        self.folder(if is_folder { path } else { path.parent().unwrap_or(path) })?;
        if !is_folder {
            self.file(path, b"", Mode::from_raw_mode(0o444))?;
        }
        Ok(())
    }

    fn folder(&self, path: &Path) -> io::Result<()> {
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.retain(|path| !path.as_os_str().is_empty());
        for folder in above.into_iter().rev() {
            match mkdirat(self.0, folder, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(_) if self.has(folder) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn file(&self, path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
        self.folder(path.parent().unwrap_or(path))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file = File::from(openat(self.0, path, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(content)?;
        Ok(fchmod(&file, mode)?)
    }

    /// A link, where nothing has its name.
    fn link(&self, path: &Path, target: &Path) -> io::Result<()> {
        self.folder(path.parent().unwrap_or(path))?;
        match symlinkat(target, self.0, path) {
            // It stands in what was given.
            Ok(()) | Err(Errno::EXIST | Errno::ROFS) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn mount_new(&self, path: &str, tree: &OwnedFd) -> io::Result<()> {
        self.place(Path::new(path), true)?;
        attach(tree, self.0, path)
    }

    /// The mount at a path once more, nowhere yet.
    fn copy_of(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        Ok(open_tree(self.0, path, flags)?)
    }

    /// Makes this the root, and lets go of the old one.
    fn enter(&self) -> io::Result<()> {
        fchdir(self.0)?;
        // The old root comes to lie on the new one, where it is taken off.
        pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        chdir("/")?;
        set_attributes(self.0, READ_ONLY, false, None)
    }
}
