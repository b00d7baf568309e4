//! A change of a file, and the proof that it is the only one.
use super::{
    jsonc, lines,
    tree::{Format, Tree, Unreadable},
    yaml,
};

/// Where in a file an entry stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) format: Format,
    /// The map of servers, at the root.
    pub(crate) section: &'static str,
    /// The entry in it.
    pub(crate) name: &'static str,
}

impl Place {
    /// What stands there.
    pub(crate) fn entry(self, text: &str) -> Result<Option<Tree>, Unreadable> {
        let tree = Tree::read(text, self.format)?;
        Ok(tree.get(self.section).and_then(|section| section.get(self.name)).cloned())
    }

    /// `text` with `entry` there, and all else as it was: both are read again and compared.
    pub(crate) fn with(self, text: &str, entry: &Tree) -> Result<String, Unreadable> {
        let before = Tree::read(text, self.format)?;
        let (section, name) = (self.section, self.name);
        if before.get(section).is_some_and(|inside| !inside.is_map() && *inside != Tree::Null) {
            return Err(Unreadable(format!("`{section}` is no map")));
        }
        let after = match self.format {
            Format::Jsonc => match jsonc::Read::of(text)? {
                Some(read) => read.with(section, name, entry)?,
                None => jsonc::fresh(text, section, name, entry),
            },
            Format::Toml => lines::with(text, section, name, entry)?,
            Format::Yaml => yaml::with(text, section, name, entry)?,
        };
        let read = Tree::read(&after, self.format)?;
        let there = read.get(section).and_then(|inside| inside.get(name));
        let proven = there == Some(entry) && self.rest(&read) == self.rest(&before);
        if proven { Ok(after) } else { Err(unproven()) }
    }

    /// `text` without what stands there, and all else as it was.
    pub(crate) fn without(self, text: &str) -> Result<String, Unreadable> {
        let (section, name) = (self.section, self.name);
        let before = Tree::read(text, self.format)?;
        let gone = || Unreadable(format!("there is no `{name}` in `{section}`"));
        let after = match self.format {
            Format::Jsonc => jsonc::Read::of(text)?.ok_or_else(gone)?.without(section, name)?,
            Format::Toml => lines::without(text, section, name)?,
            Format::Yaml => yaml::without(text, section, name)?,
        };
        let read = Tree::read(&after, self.format)?;
        let there = read.get(section).and_then(|inside| inside.get(name));
        let proven = there.is_none() && self.rest(&read) == self.rest(&before);
        if proven { Ok(after) } else { Err(unproven()) }
    }

    /// All but the entry; an empty map of servers is as good as none.
    fn rest(self, tree: &Tree) -> Tree {
        let mut members = tree.members().to_vec();
        for (key, inside) in &mut members {
            if let (true, Tree::Map(servers)) = (key == self.section, inside) {
                servers.retain(|(name, _)| name != self.name);
            }
        }
        members.retain(|(key, inside)| {
            key != self.section || !(inside.members().is_empty() && inside.elements().is_empty())
        });
        Tree::Map(members)
    }
}

fn unproven() -> Unreadable {
    Unreadable("it is written in a way that cannot be changed safely; change it by hand".to_owned())
}
