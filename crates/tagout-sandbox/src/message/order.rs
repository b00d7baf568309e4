//! What a jailer is to do, as bytes.
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
    time::Duration,
};

use super::{Texts, put};
use crate::{Bounds, Isolation, Part, PrivateFile, Profile};

/// What a jailer is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Start this.
    Start(Profile),
    /// Start this, and let its calls wait for the gateway's word.
    Watch(Profile),
    /// Find out what the machine has.
    Survey,
}

impl Order {
    /// The order as bytes. They may hold secrets.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Out(Vec::new());
        match self {
            Self::Survey => out.text("survey"),
            Self::Start(profile) => {
                out.text("start");
                out.profile(profile);
            }
            Self::Watch(profile) => {
                out.text("watch");
                out.profile(profile);
            }
        }
        out.0
    }

    /// Undoes [`Order::encode`]; `None` when the bytes are no order.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut texts = Texts(bytes);
        let order = match texts.string()?.as_str() {
            "survey" => Self::Survey,
            "start" => Self::Start(profile(&mut texts)?),
            "watch" => Self::Watch(profile(&mut texts)?),
            _ => return None,
        };
        texts.is_empty().then_some(order)
    }
}

struct Out(Vec<u8>);

impl Out {
    fn text(&mut self, text: impl AsRef<OsStr>) {
        put(&mut self.0, text.as_ref());
    }

    fn number(&mut self, number: impl TryInto<u64>) {
        self.text(number.try_into().unwrap_or(u64::MAX).to_string());
    }

    fn profile(&mut self, profile: &Profile) {
        self.text(&profile.program);
        self.optional(profile.cwd.as_deref());
        self.number(profile.grace.as_millis());
        self.list(profile.args.iter(), Self::text);
        self.list(profile.env.iter(), |out, (name, value)| {
            out.text(name);
            out.text(value);
        });
        self.list(profile.isolation.iter(), Self::isolation);
    }

    fn optional(&mut self, text: Option<impl AsRef<OsStr>>) {
        self.list(text.iter(), Self::text);
    }

    fn list<T>(&mut self, items: impl ExactSizeIterator<Item = T>, put: impl Fn(&mut Self, T)) {
        self.number(items.len());
        items.for_each(|item| put(self, item));
    }

    fn isolation(&mut self, isolation: &Isolation) {
        let Isolation { read, write, hide, empty, unlinked, .. } = isolation;
        let Isolation { system, files, egress, bounds, accepted, off, .. } = isolation;
        for paths in [read, write, hide, empty, unlinked] {
            self.list(paths.iter(), Self::text);
        }
        self.number(u8::from(*system));
        self.list(files.iter(), |out, (name, file)| {
            out.text(name);
            out.text(OsStr::from_bytes(file.content()));
        });
        self.number(u8::from(*egress));
        self.bounds(bounds);
        for parts in [accepted, off] {
            self.list(parts.iter(), |out, part| out.text(part.as_str()));
        }
    }

    fn bounds(&mut self, bounds: &Bounds) {
        let Bounds { memory, processes, cpu, file, open_files, tmp } = *bounds;
        self.number(memory);
        self.number(processes);
        self.list(cpu.iter(), |out, cpu| out.number(cpu.as_secs().max(1)));
        for number in [file, open_files, tmp] {
            self.number(number);
        }
    }
}

/// As many items as the list says that it has.
fn list<T, C: FromIterator<T>>(
    texts: &mut Texts<'_>,
    mut item: impl FnMut(&mut Texts<'_>) -> Option<T>,
) -> Option<C> {
    (0..texts.number()?).map(|_| item(texts)).collect()
}

fn profile(texts: &mut Texts<'_>) -> Option<Profile> {
    let program = PathBuf::from(texts.next()?);
    let cwd: Vec<PathBuf> = list(texts, path)?;
    let grace = Duration::from_millis(texts.number()?);
    let args = list(texts, |texts| texts.next())?;
    let env: BTreeMap<OsString, OsString> =
        list(texts, |texts| Some((texts.next()?, texts.next()?)))?;
    let isolation: Vec<Isolation> = list(texts, isolation)?;
    let (cwd, isolation) = (cwd.into_iter().next(), isolation.into_iter().next());
    Some(Profile { program, args, env, cwd, grace, isolation })
}

fn path(texts: &mut Texts<'_>) -> Option<PathBuf> {
    texts.next().map(PathBuf::from)
}

fn flag(texts: &mut Texts<'_>) -> Option<bool> {
    match texts.number()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn parts(texts: &mut Texts<'_>) -> Option<BTreeSet<Part>> {
    list(texts, |texts| Part::of_name(&texts.string()?))
}

fn isolation(texts: &mut Texts<'_>) -> Option<Isolation> {
    Some(Isolation {
        read: list(texts, path)?,
        write: list(texts, path)?,
        hide: list(texts, path)?,
        empty: list(texts, path)?,
        unlinked: list(texts, path)?,
        system: flag(texts)?,
        files: list(texts, |texts| {
            Some((texts.next()?, PrivateFile::new(texts.next()?.into_vec())))
        })?,
        egress: flag(texts)?,
        bounds: bounds(texts)?,
        accepted: parts(texts)?,
        off: parts(texts)?,
    })
}

fn bounds(texts: &mut Texts<'_>) -> Option<Bounds> {
    let memory = texts.number()?;
    let processes = u32::try_from(texts.number()?).ok()?;
    let cpu: Vec<u64> = list(texts, |texts| texts.number())?;
    Some(Bounds {
        memory,
        processes,
        cpu: cpu.into_iter().next().map(Duration::from_secs),
        file: texts.number()?,
        open_files: texts.number()?,
        tmp: texts.number()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Profile {
        let mut profile = Profile::new("/usr/bin/env");
        profile.args = vec!["".into(), OsString::from_vec(vec![0xff, b'\n'])];
        profile.env = BTreeMap::from([("A".into(), "".into()), ("B".into(), "x=y".into())]);
        profile.cwd = Some("/tmp".into());
        profile.isolation = Some(Isolation {
            read: ["/a".into(), "/b".into()].into(),
            write: ["/c".into()].into(),
            hide: ["/b/d".into()].into(),
            empty: ["/e".into()].into(),
            unlinked: ["/c".into(), "/f".into()].into(),
            system: true,
            files: [("token".into(), PrivateFile::new(vec![0, 1, 0xff]))].into(),
            egress: true,
            bounds: Bounds { cpu: Some(Duration::from_secs(5)), ..Bounds::default() },
            accepted: [Part::MemoryBound].into(),
            off: [Part::Seccomp, Part::Users].into(),
        });
        profile
    }

    #[test]
    fn an_order_arrives_as_it_was_given() {
        let started = [Order::Start(full()), Order::Start(Profile::new("/x"))];
        for order in started.into_iter().chain([Order::Watch(full()), Order::Survey]) {
            assert_eq!(Order::decode(&order.encode()), Some(order));
        }
    }

    #[test]
    fn a_cut_order_is_none() {
        let bytes = Order::Start(full()).encode();
        for end in 0..bytes.len() {
            assert_eq!(Order::decode(&bytes[..end]), None, "cut at {end}");
        }
    }
}
