//! npm: a lock first, in which each package has its SHA-512; then exactly what stands there, without
//! running any of it.
use std::{collections::BTreeMap, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::Sha512;

use super::{
    Attested, Fetched, InstallError, Order, PATIENCE, Part, Runner, SHORT, Store, Work, step, write,
};
use crate::{
    Package, attestation,
    launch::npm_version,
    tree::{self, hashed},
};

const TOOL: &str = "npm";
const QUIET: [&str; 5] =
    ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--omit=dev"];

fn order(runner: &dyn Runner, work: &Work, args: &[&str]) -> Result<Order, InstallError> {
    let program = runner.find(TOOL).ok_or(InstallError::NoTool(TOOL))?;
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let (home, cache) = (work.home(), work.fetched());
    let env = [
        ("HOME", path(&home)),
        ("npm_config_cache", path(&cache)),
        ("npm_config_userconfig", path(&home.join(".npmrc"))),
        ("npm_config_globalconfig", path(&home.join("npmrc"))),
        ("npm_config_ignore_scripts", "true".to_owned()),
        ("npm_config_update_notifier", "false".to_owned()),
        ("npm_config_logs_max", "0".to_owned()),
    ];
    Ok(Order {
        program,
        args: args.iter().map(|word| (*word).to_owned()).collect(),
        env: env
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<BTreeMap<_, _>>(),
        cwd: work.tree(),
        patience: PATIENCE,
    })
}

pub(super) fn newest(
    wanted: &str,
    name: &str,
    (runner, work): (&dyn Runner, &Work),
) -> Option<String> {
    let ask = |wanted: &str| {
        let mut order = order(runner, work, &["view", wanted, "version", "--json"]).ok()?;
        order.patience = SHORT;
        let said = step((TOOL, runner), &order).ok()?;
        let found: Value = serde_json::from_str(&said).ok()?;
        let last = found.as_array().and_then(|all| all.last()).unwrap_or(&found);
        last.as_str().filter(|version| npm_version(version)).map(str::to_owned)
    };
    ask(wanted).or_else(|| ask(name))
}

pub(super) fn fetched(
    package: &Package,
    store: Store<'_>,
    work: &Work,
) -> Result<Fetched, InstallError> {
    let runner = store.runner;
    let (name, version) = (package.name.as_str(), package.version.as_str());
    let tree = work.tree();
    let manifest = json!({
        "name": "tagout-store", "version": "0.0.0", "private": true, "dependencies": {name: version},
    });
    write(&tree.join("package.json"), &manifest.to_string())?;
    let locking: Vec<_> = ["install", "--package-lock-only"].into_iter().chain(QUIET).collect();
    step((TOOL, runner), &order(runner, work, &locking)?)?;
    let registry = registry(runner, work)?;
    let packages = locked(&tree.join("package-lock.json"), (name, version), &registry)?;
    let installing: Vec<_> = ["ci"].into_iter().chain(QUIET).collect();
    step((TOOL, runner), &order(runner, work, &installing)?)?;
    for (path, integrity) in &packages {
        // What is for other systems is in the lock, and not there.
        if tree.join(path).exists() {
            is_as_fetched(path, integrity, work)?;
        }
    }
    let integrity = packages.get(&format!("node_modules/{name}")).cloned().unwrap_or_default();
    let attested = attested((name, version), (&integrity, &registry), (store, work))?;
    let command = command(package, &tree, runner)?;
    Ok(Fetched { integrity, packages, attested, command })
}

/// What a URL begins with, up to its path. Without a login in it.
fn origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.find(['/', '?', '#', '\\']).map_or(rest, |end| rest.get(..end).unwrap_or(""));
    let sound = matches!(scheme, "https" | "http") && !host.is_empty() && !host.contains('@');
    url.get(..scheme.len() + 3 + host.len()).filter(|_| sound)
}

/// Where the registry is that npm asks, without a path.
fn registry(runner: &dyn Runner, work: &Work) -> Result<String, InstallError> {
    let said = step((TOOL, runner), &order(runner, work, &["config", "get", "registry"])?)?;
    let unnamed = || InstallError::Failed {
        tool: TOOL,
        why: "it does not say which registry it asks, or that wants a login".to_owned(),
    };
    origin(said.trim()).map(str::to_owned).ok_or_else(unnamed)
}

/// What stands in the lock: each package's place, and its digest.
fn locked(
    path: &Path,
    (name, version): (&str, &str),
    registry: &str,
) -> Result<BTreeMap<String, String>, InstallError> {
    let wrong = |why: String| InstallError::Integrity(why);
    let lock: Value = serde_json::from_str(&tree::read(path)?)
        .map_err(|error| wrong(format!("npm's lock cannot be read: {error}")))?;
    let all = lock.get("packages").and_then(Value::as_object);
    let all = all.ok_or_else(|| wrong("npm's lock names no packages".to_owned()))?;
    let mut packages = BTreeMap::new();
    for (place, about) in all.iter().filter(|(place, _)| !place.is_empty()) {
        let text = |key: &str| about.get(key).and_then(Value::as_str).unwrap_or_default();
        // Packages within a package came with it.
        if about.get("inBundle") == Some(&Value::Bool(true)) {
            continue;
        }
        if origin(text("resolved")) != Some(registry) || about.get("link").is_some() {
            return Err(wrong(format!("`{place}` is not from the registry")));
        }
        let integrity = text("integrity").split_whitespace().find(|one| one.starts_with("sha512-"));
        let integrity = integrity.ok_or_else(|| wrong(format!("`{place}` has no SHA-512")))?;
        packages.insert(place.clone(), integrity.to_owned());
    }
    let ours = all.get(&format!("node_modules/{name}"));
    if ours.and_then(|ours| ours.get("version")).and_then(Value::as_str) != Some(version) {
        return Err(wrong(format!("npm's lock does not hold `{name}` {version}")));
    }
    Ok(packages)
}

/// The digest of `sha512-…`, in hexadecimal.
fn hexadecimal(integrity: &str) -> Option<String> {
    let bytes = STANDARD.decode(integrity.strip_prefix("sha512-")?).ok()?;
    (bytes.len() == 64).then(|| hex::encode(bytes))
}

/// Whether what npm fetched for `place` has the digest of the lock. It keeps that by its digest.
fn is_as_fetched(place: &str, integrity: &str, work: &Work) -> Result<(), InstallError> {
    let wrong = || InstallError::Integrity(format!("`{place}` was not fetched as its lock says"));
    let digest = hexadecimal(integrity).ok_or_else(wrong)?;
    let (first, rest) = digest.split_at_checked(2).ok_or_else(wrong)?;
    let (second, rest) = rest.split_at_checked(2).ok_or_else(wrong)?;
    let kept =
        work.fetched().join("_cacache/content-v2/sha512").join(first).join(second).join(rest);
    if !kept.is_file() || hex::encode(hashed::<Sha512>(&kept)?) != digest {
        return Err(wrong());
    }
    Ok(())
}

/// What is attested of the package. The registry says where that is.
fn attested(
    (name, version): (&str, &str),
    (integrity, registry): (&str, &str),
    (store, work): (Store<'_>, &Work),
) -> Result<Attested, InstallError> {
    let asked = format!("{name}@{version}");
    let order = order(store.runner, work, &["view", &asked, "dist", "--json"])?;
    let said = step((TOOL, store.runner), &order)?;
    let about: Value = serde_json::from_str(&said).unwrap_or_default();
    let Some(about) = about.as_object() else {
        return Ok(Attested::Unknown("npm did not say what the registry says of it".to_owned()));
    };
    let Some(attestations) = about.get("attestations").filter(|it| !it.is_null()) else {
        return Ok(Attested::Nothing);
    };
    let url = attestations.get("url").and_then(Value::as_str).unwrap_or_default();
    if origin(url) != Some(registry) {
        return Err(InstallError::Unattested(
            "the registry names no place of its own for it".to_owned(),
        ));
    }
    let document = store.runner.fetch(url, "application/json").map_err(InstallError::Unattested)?;
    let document =
        document.ok_or_else(|| InstallError::Unattested("there is nothing there".to_owned()))?;
    let digest = hexadecimal(integrity).unwrap_or_default();
    let found = attestation::npm(&document, (name, version), &digest, store.root)?;
    Ok(Attested::Verified(found))
}

/// How the package is started: by Node, or by itself.
fn command(package: &Package, tree: &Path, runner: &dyn Runner) -> Result<Vec<Part>, InstallError> {
    let none = |why: String| InstallError::NoProgram(why);
    let place = Path::new("node_modules").join(&package.name);
    let manifest = tree::read(&tree.join(&place).join("package.json"))?;
    let manifest: Value =
        serde_json::from_str(&manifest).map_err(|error| none(error.to_string()))?;
    let own = package.name.rsplit('/').next().unwrap_or_default();
    let wanted = package.program.as_deref();
    let file = match manifest.get("bin") {
        Some(Value::String(file)) if wanted.is_none_or(|wanted| wanted == own) => {
            Some(file.as_str())
        }
        Some(Value::Object(all)) => {
            let named = wanted.or_else(|| all.contains_key(own).then_some(own));
            let one = || all.values().next().filter(|_| all.len() == 1 && wanted.is_none());
            named.and_then(|name| all.get(name)).or_else(one).and_then(Value::as_str)
        }
        Some(_) | None => None,
    };
    let file = file.ok_or_else(|| none(format!("`{}` names none that is wanted", package.name)))?;
    let inside = place.join(file.trim_start_matches("./"));
    let real = tree.join(&inside).canonicalize().map_err(|error| none(error.to_string()))?;
    let root = tree.canonicalize().map_err(|error| none(error.to_string()))?;
    let Ok(inside) = real.strip_prefix(&root) else {
        return Err(none("its program lies outside of it".to_owned()));
    };
    let node = runner.find("node").and_then(|node| node.canonicalize().ok());
    let node = node.ok_or(InstallError::NoTool("node"))?;
    let inside = Part::Inside(inside.to_owned());
    match runs_by_node(&real)? {
        true => Ok(vec![Part::Word(node.to_string_lossy().into_owned()), inside]),
        false => Ok(vec![inside]),
    }
}

/// Whether a program is a script for Node; what says of itself that it is for something else is
/// started by itself.
fn runs_by_node(path: &Path) -> Result<bool, InstallError> {
    use std::io::Read as _;
    let mut start = [0; 128];
    let mut file = std::fs::File::open(path).map_err(|error| super::io(path, error))?;
    let read = file.read(&mut start).map_err(|error| super::io(path, error))?;
    let start = String::from_utf8_lossy(start.get(..read).unwrap_or_default()).into_owned();
    let line = start.lines().next().unwrap_or_default();
    let binary = start.starts_with("\u{7f}ELF") || start.contains('\0');
    Ok(!binary && (!line.starts_with("#!") || line.contains("node")))
}
