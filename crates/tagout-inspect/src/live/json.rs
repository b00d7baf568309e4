//! Live secrets in JSON: what is left of it is JSON.
use tagout_proto::{Kind, Value, quoted};

use super::{Caught, Cleaned, Live};

/// How many times over what is nested may be looked at.
const PASSES: usize = 8;

/// One text that is taken apart and put together again.
struct Rebuilding<'a> {
    live: &'a Live,
    caught: Caught,
    /// Bytes of arrays and objects that may still be looked at as a whole.
    budget: usize,
    /// Whether arrays and objects are looked at as a whole.
    wholes: bool,
    /// Whether names and numbers are looked at, too.
    names: bool,
}

impl Live {
    /// `value` without live secrets, in names and values alike; nothing where there are none. A
    /// value that is spread over more than one string or number takes the smallest array or object
    /// around them with it. An object at the top stays one.
    #[must_use]
    pub fn cleaned_json(&self, value: Value<'_>) -> Option<Cleaned> {
        if self.find(value.raw()).is_empty() {
            return None;
        }
        let budget = value.raw().len().saturating_mul(PASSES);
        let (caught, names) = (Caught::default(), true);
        let mut first = Rebuilding { live: self, caught, budget, wholes: false, names };
        let text = first.rebuilt(value);
        if self.find(&text).is_empty() {
            return Some(Cleaned { text, caught: first.caught });
        }
        let mut second = Rebuilding { caught: Caught::default(), wholes: true, ..first };
        let text = second.rebuilt(value);
        let caught = second.caught;
        if value.kind() == Kind::Object && !text.starts_with('{') {
            return Some(Cleaned { text: format!(r#"{{"secret":{text}}}"#), caught });
        }
        Some(Cleaned { text, caught })
    }

    /// `value` without live secrets in its strings, each looked at by itself; names stay, also where
    /// `required` lists them, and numbers. Nothing where there are no secrets.
    #[must_use]
    pub fn cleaned_texts(&self, value: Value<'_>) -> Option<Cleaned> {
        if self.find(value.raw()).is_empty() {
            return None;
        }
        let (caught, names) = (Caught::default(), false);
        let mut texts = Rebuilding { live: self, caught, budget: 0, wholes: false, names };
        let text = texts.rebuilt(value);
        let caught = texts.caught;
        (!caught.is_empty()).then_some(Cleaned { text, caught })
    }
}

impl Rebuilding<'_> {
    fn rebuilt(&mut self, value: Value<'_>) -> String {
        let raw = value.raw();
        match value.kind() {
            Kind::String | Kind::Escaped => self.string(&value.text().unwrap_or_default(), raw),
            Kind::Object => {
                let mut text = String::with_capacity(raw.len());
                text.push('{');
                for (key, member) in value.members() {
                    if text.len() > 1 {
                        text.push(',');
                    }
                    if self.names {
                        text.push_str(&self.string(&key, &quoted(&key)));
                    } else {
                        text.push_str(&quoted(&key));
                    }
                    text.push(':');
                    let lists_names = !self.names && key == "required";
                    text.push_str(&match lists_names {
                        true => member.raw().to_owned(),
                        false => self.rebuilt(member),
                    });
                }
                text.push('}');
                if self.wholes { self.whole(text) } else { text }
            }
            Kind::Array => {
                let mut text = String::with_capacity(raw.len());
                text.push('[');
                for element in value.elements() {
                    if text.len() > 1 {
                        text.push(',');
                    }
                    text.push_str(&self.rebuilt(element));
                }
                text.push(']');
                if self.wholes { self.whole(text) } else { text }
            }
            Kind::Number if self.names => self.whole(raw.to_owned()),
            Kind::Number | Kind::True | Kind::False | Kind::Null => raw.to_owned(),
        }
    }

    fn string(&mut self, text: &str, raw: &str) -> String {
        match self.live.cleaned(text) {
            None => raw.to_owned(),
            Some(cleaned) => {
                self.caught.join(cleaned.caught);
                quoted(&cleaned.text)
            }
        }
    }

    /// What is no string and holds a value all the same is replaced by a string; so is what there
    /// is no time left to look at.
    fn whole(&mut self, text: String) -> String {
        let name = match self.budget.checked_sub(text.len()) {
            Some(left) => {
                self.budget = left;
                self.live.find(&text).first().map(|found| found.name)
            }
            None => Some(0),
        };
        let Some(name) = name else { return text };
        self.caught.add(self.live.names.get(name));
        quoted(self.live.labels.get(name).map_or("[***]", String::as_str))
    }
}
