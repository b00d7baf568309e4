//! Which program a file belongs to, and where in it the servers stand.
use crate::clients::tree::Tree;

/// Servers of one file are not counted beyond this.
const MOST_SERVERS: usize = 256;

/// One server as its file has it.
#[derive(Debug)]
pub(crate) struct Source {
    /// What the file calls it.
    pub(crate) name: String,
    pub(crate) tree: Tree,
    /// Why it can be no entry here, whatever else it says.
    pub(crate) unfit: Option<&'static str>,
}

/// Why there are no servers to be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unknown {
    #[error("it is no file of servers that Tagout knows")]
    Shape,
    #[error("it has more than {MOST_SERVERS} servers")]
    TooMany,
}

/// The servers of a file, and what else it has that is about servers and was not read.
pub(crate) fn servers(file: &Tree) -> Result<(Vec<Source>, Vec<String>), Unknown> {
    let found = found(file).ok_or(Unknown::Shape)?;
    if found.len() > MOST_SERVERS {
        return Err(Unknown::TooMany);
    }
    Ok((found, beside(file)))
}

/// Claude Code keeps servers of single projects in the same file.
fn beside(file: &Tree) -> Vec<String> {
    let projects = file.get("projects").map(Tree::members).unwrap_or_default();
    let with_servers = projects.iter().filter(|(_, project)| {
        project.get("mcpServers").is_some_and(|servers| !servers.members().is_empty())
    });
    let note = |(path, _): &(String, Tree)| {
        format!("the servers of the project `{path}` were not looked at")
    };
    with_servers.map(note).collect()
}

fn found(file: &Tree) -> Option<Vec<Source>> {
    let map = |key: &str| file.get(key).filter(|inside| inside.is_map());
    if let Some(servers) = map("mcpServers").or(map("mcp_servers")).or(map("context_servers")) {
        return Some(each(servers, |_, tree| (tree.clone(), zed_unfit(tree))));
    }
    if let Some(extensions) = map("extensions") {
        return Some(each(extensions, |_, tree| (tree.clone(), goose_unfit(tree))));
    }
    if let Some(registry) = map("registry") {
        return Some(each(registry, |_, tree| docker(tree)));
    }
    if let Some(servers) = map("servers") {
        return Some(each(servers, |_, tree| (tree.clone(), container(tree))));
    }
    if let Some(Tree::List(servers)) = file.get("servers") {
        return Some(servers.iter().map(docker_profile).collect());
    }
    if let Some(mcp) = map("mcp") {
        // VS Code's settings before it had a file for servers; or opencode's.
        let servers = mcp.get("servers").filter(|inside| inside.is_map()).unwrap_or(mcp);
        return Some(each(servers, |_, tree| (tree.clone(), None)));
    }
    if file.get("image").is_some() || file.get("remote_url").is_some() {
        return Some(vec![toolhive(file)]);
    }
    let is_server = |tree: &Tree| tree.get("command").is_some() || tree.get("url").is_some();
    let members = file.members();
    let flat = !members.is_empty() && members.iter().all(|(_, tree)| is_server(tree));
    flat.then(|| each(file, |_, tree| (tree.clone(), None)))
}

fn each(servers: &Tree, read: impl Fn(&str, &Tree) -> (Tree, Option<&'static str>)) -> Vec<Source> {
    let source = |(name, tree): &(String, Tree)| {
        let (tree, unfit) = read(name, tree);
        Source { name: name.clone(), tree, unfit }
    };
    servers.members().iter().map(source).collect()
}

const CONTAINER: &str = "it is a container image, and Tagout starts programs: if you trust the \
                         image, add the program that runs it, `docker run -i --rm IMAGE`";

fn container(tree: &Tree) -> Option<&'static str> {
    let has = |key| tree.get(key).is_some();
    (has("image") && !has("command") && !has("url")).then_some(CONTAINER)
}

fn zed_unfit(tree: &Tree) -> Option<&'static str> {
    let has = |key| tree.get(key).is_some();
    let bare = has("settings") && !has("command") && !has("url");
    let extension = tree.get("source").and_then(Tree::text) == Some("extension");
    if bare || extension {
        return Some("an extension of the editor brings its program");
    }
    container(tree)
}

fn goose_unfit(tree: &Tree) -> Option<&'static str> {
    match tree.get("type").and_then(Tree::text) {
        Some("builtin" | "platform" | "frontend" | "inline_python") => {
            Some("it is a part of goose itself")
        }
        _ => None,
    }
}

/// An entry of a catalogue of Docker's: an image, or a server that runs elsewhere.
fn docker(tree: &Tree) -> (Tree, Option<&'static str>) {
    match tree.get("remote").filter(|remote| remote.is_map()) {
        Some(remote) => (remote.clone(), None),
        None => (tree.clone(), Some(CONTAINER)),
    }
}

fn docker_profile(tree: &Tree) -> Source {
    let inside = tree.get("snapshot").and_then(|snapshot| snapshot.get("server"));
    let of = |key| inside.and_then(|inside| inside.get(key)).or(tree.get(key));
    let name = of("name").or(tree.get("image")).or(tree.get("source")).and_then(Tree::text);
    let name = name.unwrap_or("server").to_owned();
    let remote = of("remote").filter(|remote| remote.is_map());
    if let Some(remote) = remote {
        return Source { name, tree: remote.clone(), unfit: None };
    }
    let unfit = tree.get("endpoint").is_none().then_some(CONTAINER);
    Source { name, tree: tree.clone(), unfit }
}

fn toolhive(file: &Tree) -> Source {
    let name = file.get("name").or(file.get("container_name")).and_then(Tree::text);
    let name = name.unwrap_or("server").to_owned();
    match file.get("remote_url") {
        Some(url) => {
            let transport = file.get("transport").cloned().unwrap_or(Tree::Null);
            let tree = Tree::map([("url", url.clone()), ("transport", transport)]);
            Source { name, tree, unfit: None }
        }
        None => Source { name, tree: file.clone(), unfit: Some(CONTAINER) },
    }
}
