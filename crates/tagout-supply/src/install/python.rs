//! Python: wheels are fetched first and hashed; then exactly those are installed, without an index,
//! into an environment of their own.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use sha2::Sha256;

use super::{
    Attested, Fetched, InstallError, Order, PATIENCE, Part, Runner, SHORT, Store, Work, io, step,
    write,
};
use crate::{
    Package, attestation,
    launch::python_version,
    tree::{self, hashed},
};

const TOOL: &str = "pip";
const PIP: [&str; 6] =
    ["-I", "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color"];
/// What of pip's configuration is taken: it says how its index is reached.
const REACHING: [(&str, &str); 4] = [
    ("cert", "--cert"),
    ("proxy", "--proxy"),
    ("timeout", "--timeout"),
    ("default-timeout", "--timeout"),
];
const SIMPLE: &str = "application/vnd.pypi.simple.v1+json";
const PROVENANCE: &str = "application/vnd.pypi.integrity.v1+json";

fn order(runner: &dyn Runner, work: &Work, args: &[&str]) -> Result<Order, InstallError> {
    let program = runner.find("python3").ok_or(InstallError::NoTool("python3"))?;
    let home = work.home().to_string_lossy().into_owned();
    // No file of pip's configuration; what is taken of them is in the options.
    let env =
        [("HOME", home.as_str()), ("TMPDIR", home.as_str()), ("PIP_CONFIG_FILE", "/dev/null")];
    Ok(Order {
        program,
        args: args.iter().map(|word| (*word).to_owned()).collect(),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        cwd: work.tree(),
        patience: PATIENCE,
    })
}

/// Where pip looks, and how it gets there.
struct Index {
    /// The index's URL, if pip is told of one.
    url: Option<String>,
    /// The options that say all of it, and that nothing else holds.
    options: Vec<String>,
}

impl Index {
    /// As pip's configuration has it. Of that nothing else is followed.
    fn configured(runner: &dyn Runner, work: &Work) -> Result<Self, InstallError> {
        let args: Vec<_> = PIP.into_iter().chain(["config", "list"]).collect();
        let mut order = order(runner, work, &args)?;
        order.env.remove("PIP_CONFIG_FILE");
        let said = step((TOOL, runner), &order)?;
        let lines = said.lines().filter_map(|line| line.split_once('='));
        let known: BTreeMap<_, _> =
            lines.map(|(key, value)| (key.trim(), value.trim().trim_matches('\''))).collect();
        let set = |key: &str| {
            let sections = [":env:", "download", "global"];
            sections.iter().find_map(|section| known.get(format!("{section}.{key}").as_str()))
        };
        let url = set("index-url").map(|url| (*url).to_owned());
        if url.as_ref().is_some_and(|url| url.contains('@')) {
            return Err(InstallError::Failed {
                tool: TOOL,
                why: "its index wants a login".to_owned(),
            });
        }
        let mut options = vec!["--isolated".to_owned()];
        for (key, option) in REACHING {
            let value = set(key).filter(|value| key == "cert" || !value.contains('@'));
            options.extend(value.into_iter().flat_map(|value| [option, value]).map(str::to_owned));
        }
        Ok(Self { url, options })
    }

    /// A command of pip's that asks the index.
    fn asked<'a>(&'a self, command: &[&'a str]) -> Vec<&'a str> {
        let mut args = PIP.to_vec();
        args.extend(self.options.iter().map(String::as_str));
        args.extend(command);
        match &self.url {
            Some(url) => args.extend(["--index-url", url]),
            // The one that pip knows by itself, it names in its second voice only.
            None => args.push("-vv"),
        }
        args
    }

    /// The project's page in the index; `said` is what pip said when it looked there.
    fn page(&self, project: &str, said: &str) -> Option<String> {
        let inside = format!("/{}/", normal(project));
        if let Some(url) = &self.url {
            return Some(format!("{}{inside}", url.trim_end_matches('/')));
        }
        let mut places = said.lines().filter_map(|line| line.trim().strip_prefix("* "));
        places.find(|url| url.starts_with("https://") && url.ends_with(&inside)).map(str::to_owned)
    }
}

pub(super) fn newest(name: &str, (runner, work): (&dyn Runner, &Work)) -> Option<String> {
    let index = Index::configured(runner, work).ok()?;
    let args = index.asked(&["index", "versions", name]);
    let mut order = order(runner, work, &args).ok()?;
    order.patience = SHORT;
    let said = step((TOOL, runner), &order).ok()?;
    // pip may talk before it answers: `NAME (VERSION)`.
    let mut lines = said.lines().filter_map(|line| line.split_once(" ("));
    let (_, rest) = lines.find(|(first, _)| normal(first) == normal(name))?;
    let version = rest.split_once(')')?.0;
    python_version(version).then(|| version.to_owned())
}

pub(super) fn fetched(
    package: &Package,
    store: Store<'_>,
    work: &Work,
) -> Result<Fetched, InstallError> {
    let runner = store.runner;
    let index = Index::configured(runner, work)?;
    let said = download(package, &index, (runner, work))?;
    let wheels = wheels(&work.fetched())?;
    let ours = wheels.iter().find(|wheel| wheel.is_of(&package.name, &package.version));
    let ours = ours.ok_or_else(|| {
        InstallError::Integrity(format!(
            "what was fetched is not {} {}",
            package.name, package.version
        ))
    })?;
    install(&wheels, runner, work)?;
    let page = index.page(&ours.name, &said);
    let attested = attested(page, ours, store)?;
    let packages =
        wheels.iter().map(|wheel| (wheel.file.clone(), format!("sha256:{}", wheel.digest)));
    Ok(Fetched {
        integrity: format!("sha256:{}", ours.digest),
        packages: packages.collect(),
        attested,
        command: command(package, &work.tree())?,
    })
}

/// Fetches wheels; what pip said of where it looked.
fn download(
    package: &Package,
    index: &Index,
    (runner, work): (&dyn Runner, &Work),
) -> Result<String, InstallError> {
    let extras = package.extras.join(",");
    let extras = if extras.is_empty() { extras } else { format!("[{extras}]") };
    let wanted = format!("{}{extras}=={}", package.name, package.version);
    let with: Vec<_> =
        package.with.iter().map(|(name, version)| format!("{name}=={version}")).collect();
    let folder = work.fetched().to_string_lossy().into_owned();
    let asked =
        ["download", "--no-cache-dir", "--only-binary", ":all:", "--dest", &folder, &wanted];
    let mut args = index.asked(&asked);
    args.extend(with.iter().map(String::as_str));
    step((TOOL, runner), &order(runner, work, &args)?)
}

/// A wheel that was fetched.
struct Wheel {
    file: String,
    name: String,
    version: String,
    /// SHA-256, in hexadecimal.
    digest: String,
}

impl Wheel {
    fn is_of(&self, name: &str, version: &str) -> bool {
        normal(&self.name) == normal(name) && same_version(&self.version, version)
    }
}

/// `1.0` and `1.0.0` are one.
fn same_version(a: &str, b: &str) -> bool {
    let plain = |version: &str| {
        let version = version.to_lowercase();
        let mut version = version.as_str();
        while let Some(shorter) = version.strip_suffix(".0") {
            version = shorter;
        }
        version.to_owned()
    };
    plain(a) == plain(b)
}

/// A name, however it is written.
pub(super) fn normal(name: &str) -> String {
    let mut out = String::new();
    for c in name.to_lowercase().chars() {
        let c = if "-_.".contains(c) { '-' } else { c };
        if c != '-' || !out.ends_with('-') {
            out.push(c);
        }
    }
    out
}

fn wheels(folder: &Path) -> Result<Vec<Wheel>, InstallError> {
    let mut wheels = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| io(folder, error))? {
        let path = entry.map_err(|error| io(folder, error))?.path();
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let unfit = || InstallError::Integrity(format!("`{file}` is no wheel"));
        let stem = file.strip_suffix(".whl").ok_or_else(unfit)?;
        let mut parts = stem.split('-');
        let (name, version) = parts.next().zip(parts.next()).ok_or_else(unfit)?;
        wheels.push(Wheel {
            file: file.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            digest: hex::encode(hashed::<Sha256>(&path)?),
        });
    }
    wheels.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(wheels)
}

/// Makes the environment, and installs exactly `wheels` into it.
fn install(wheels: &[Wheel], runner: &dyn Runner, work: &Work) -> Result<(), InstallError> {
    let tree = work.tree();
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let venv = ["-I", "-m", "venv", "--without-pip", "--symlinks", &text(&tree)];
    step(("venv", runner), &order(runner, work, &venv)?)?;
    let lines = wheels
        .iter()
        .map(|wheel| format!("{}=={} --hash=sha256:{}\n", wheel.name, wheel.version, wheel.digest));
    let required = tree.join("requirements.txt");
    write(&required, &lines.collect::<String>())?;
    let (python, fetched) = (text(&tree.join("bin/python")), text(&work.fetched()));
    let mut args: Vec<&str> = PIP.to_vec();
    args.extend(["--isolated", "--python", &python, "install", "--no-cache-dir", "--no-index"]);
    args.extend(["--find-links", &fetched]);
    args.extend(["--require-hashes", "--only-binary", ":all:", "--no-deps", "--no-compile"]);
    let required = text(&required);
    args.extend(["-r", &required]);
    step((TOOL, runner), &order(runner, work, &args)?)?;
    // Nothing writes there later, so what is compiled must be there, and hold without a clock.
    let (prefix, lib) = (text(&tree), text(&tree.join("lib")));
    let compile = [
        "-I",
        "-m",
        "compileall",
        "-q",
        "-s",
        &prefix,
        "--invalidation-mode",
        "unchecked-hash",
        &lib,
    ];
    // Some packages hold files for other versions, which do not compile, and are not imported.
    let compiling = order(runner, work, &compile)?;
    runner.run(&compiling).map_err(|why| InstallError::Failed { tool: "compileall", why })?;
    settle(&tree)
}

/// Takes out what names the folder that it was made in: it is going to another.
fn settle(tree: &Path) -> Result<(), InstallError> {
    let bin = tree.join("bin");
    let here = tree.to_string_lossy().into_owned();
    for entry in fs::read_dir(&bin).map_err(|error| io(&bin, error))? {
        let path = entry.map_err(|error| io(&bin, error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.to_lowercase().starts_with("activate") {
            fs::remove_file(&path).map_err(|error| io(&path, error))?;
            continue;
        }
        if path.is_symlink() {
            continue;
        }
        // Programs that are no texts name nothing.
        let Ok(script) = tree::read(&path) else { continue };
        let (first, rest) = script.split_once('\n').unwrap_or((&script, ""));
        if first.starts_with("#!") && first.contains(&here) {
            write(&path, &format!("#!python\n{rest}"))?;
        }
    }
    for packages in packages(tree)? {
        for about in inside(&packages)?.iter().filter(|path| path.join("RECORD").is_file()) {
            // The scripts are not as they were hashed.
            let path = about.join("RECORD");
            let lines = tree::read(&path)?;
            let lines = lines.lines().map(|line| match line.split_once(',') {
                Some((file, _)) if file.starts_with("../../../bin/") => format!("{file},,\n"),
                Some(_) | None => format!("{line}\n"),
            });
            write(&path, &lines.collect::<String>())?;
        }
    }
    let path = tree.join("pyvenv.cfg");
    let about = tree::read(&path)?;
    let kept: String = about
        .lines()
        .filter(|line| !line.contains(&here))
        .map(|line| format!("{line}\n"))
        .collect();
    write(&path, &kept)?;
    Ok(())
}

/// What is attested of the wheel, as far as the index says where that is. That it does not answer, or
/// not as a program could read it, is not that nothing is attested.
fn attested(
    page: Option<String>,
    wheel: &Wheel,
    store: Store<'_>,
) -> Result<Attested, InstallError> {
    let unknown = |why: &str| Ok(Attested::Unknown(why.to_owned()));
    let Some(place) = page else { return unknown("pip did not say which index it asked") };
    let page = match store.runner.fetch(&place, SIMPLE) {
        Ok(Some(page)) => page,
        Ok(None) => return unknown("the index says it in no form that is read here"),
        Err(why) => return unknown(&format!("the index does not answer: {why}")),
    };
    let Ok(page) = serde_json::from_slice::<Value>(&page) else {
        return unknown("what the index says cannot be read");
    };
    let files = page.get("files").and_then(Value::as_array).into_iter().flatten();
    let mut named =
        files.filter(|file| file.get("filename").and_then(Value::as_str) == Some(&wheel.file));
    let Some(file) = named.next() else {
        return unknown("the index does not name the file that it gave");
    };
    let Some(url) = file.get("provenance").filter(|url| !url.is_null()) else {
        return Ok(Attested::Nothing);
    };
    let url = url.as_str().unwrap_or_default();
    // An index that is not asked in secret cannot be asked for this in secret either.
    let plain = place.starts_with("http://") && url.starts_with("http://");
    if !url.starts_with("https://") && !plain {
        return Err(InstallError::Unattested("the index names no place for it".to_owned()));
    }
    let document = store.runner.fetch(url, PROVENANCE).map_err(InstallError::Unattested)?;
    let document =
        document.ok_or_else(|| InstallError::Unattested("there is nothing there".to_owned()))?;
    let found = attestation::python(&document, &wheel.file, &wheel.digest, store.root)?;
    Ok(Attested::Verified(found))
}

/// How the package is started: one of its scripts, by the environment's Python, which takes nothing
/// from around it and writes nothing.
fn command(package: &Package, tree: &Path) -> Result<Vec<Part>, InstallError> {
    let none = |why: String| InstallError::NoProgram(why);
    let scripts = scripts(package, tree)?;
    let named = |wanted: &str| scripts.iter().find(|name| normal(name) == normal(wanted));
    let script = match &package.program {
        Some(wanted) => named(wanted),
        None => named(&package.name).or_else(|| scripts.first().filter(|_| scripts.len() == 1)),
    };
    let all = scripts.join(", ");
    let script = script.ok_or_else(|| {
        none(format!("`{}` has {}", package.name, if all.is_empty() { "none" } else { &all }))
    })?;
    let inside = Path::new("bin").join(script);
    if script.contains('/') || !tree.join(&inside).is_file() {
        return Err(none(format!("`{script}` is not there")));
    }
    let word = |word: &str| Part::Word(word.to_owned());
    Ok(vec![Part::Inside("bin/python".into()), word("-I"), word("-B"), Part::Inside(inside)])
}

/// The scripts that the package brings.
fn scripts(package: &Package, tree: &Path) -> Result<Vec<String>, InstallError> {
    let Some(folder) = about(package, tree)? else { return Ok(Vec::new()) };
    let path = folder.join("entry_points.txt");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = tree::read(&path)?;
    let mut within = false;
    let mut scripts = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            within = line == "[console_scripts]";
        } else if let Some((name, _)) = line.split_once('=').filter(|_| within) {
            scripts.push(name.trim().to_owned());
        }
    }
    Ok(scripts)
}

/// What is in a folder.
fn inside(folder: &Path) -> Result<Vec<PathBuf>, InstallError> {
    let entries = fs::read_dir(folder).map_err(|error| io(folder, error))?;
    entries.map(|entry| Ok(entry.map_err(|error| io(folder, error))?.path())).collect()
}

/// The folders of packages: one, for the environment's version of Python.
fn packages(tree: &Path) -> Result<Vec<PathBuf>, InstallError> {
    let versions = inside(&tree.join("lib"))?.into_iter();
    Ok(versions.map(|version| version.join("site-packages")).filter(|path| path.is_dir()).collect())
}

/// The folder in which the package says what it is.
fn about(package: &Package, tree: &Path) -> Result<Option<PathBuf>, InstallError> {
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = name.strip_suffix(".dist-info").and_then(|stem| stem.rsplit_once('-'));
        stem.is_some_and(|(name, _)| normal(name) == normal(&package.name))
    };
    for packages in packages(tree)? {
        if let Some(found) = inside(&packages)?.into_iter().find(is_ours) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
