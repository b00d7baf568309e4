//! Members of JSON that are secret from the moment that they are read.
use std::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use tagout_proto::Secret;

/// A text, a number or a truth value as text; nothing for anything else.
#[derive(Debug)]
pub(crate) struct Hidden(pub(crate) Option<Secret<String>>);

struct Taking;

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Taking)
    }
}

impl<'de> Visitor<'de> for Taking {
    type Value = Hidden;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Hidden, E> {
        Ok(Hidden(Some(Secret::new(text.to_owned()))))
    }

    fn visit_string<E>(self, text: String) -> Result<Hidden, E> {
        Ok(Hidden(Some(Secret::new(text))))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Hidden, E> {
        Ok(Hidden(Some(Secret::new(value.to_string()))))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Hidden, E> {
        Ok(Hidden(Some(Secret::new(value.to_string()))))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Hidden, E> {
        Ok(Hidden(Some(Secret::new(value.to_string()))))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Hidden, E> {
        Ok(Hidden(Some(Secret::new(value.to_string()))))
    }

    fn visit_unit<E>(self) -> Result<Hidden, E> {
        Ok(Hidden(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Hidden, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Hidden(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Hidden, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Hidden(None))
    }
}
