//! What servers offer beside tools: prompts, resources, templates of resources.
use rmcp::model::{
    ClientRequest, ListPromptsRequest, ListResourceTemplatesRequest, ListResourcesRequest,
    PaginatedRequestParams,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{HostError, Session};

/// How many pages a list may have.
const PAGES: usize = 256;
/// How many things are taken at most of one kind.
const ITEMS: usize = 4_096;

/// A prompt. All its words are its server's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptSpec {
    /// The name to ask for it by: `server__prompt`.
    pub name: String,
    /// A short name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// What it takes, in order.
    #[serde(default)]
    pub arguments: Vec<PromptArgumentSpec>,
}

/// An argument of a prompt: a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptArgumentSpec {
    /// Its name.
    pub name: String,
    /// A short name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether the prompt cannot be had without it.
    #[serde(default)]
    pub required: bool,
}

/// A resource. All but its server's name is its server's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSpec {
    /// The server that lists it, as the gateway calls it; empty where the gateway does not say.
    #[serde(skip_deserializing)]
    pub server: String,
    /// Where it is.
    pub uri: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// A short name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// What it is.
    #[serde(default)]
    pub description: Option<String>,
    /// Its media type.
    #[serde(default)]
    pub mime_type: Option<String>,
    /// Its size, in bytes.
    #[serde(default)]
    pub size: Option<u64>,
}

/// A template of resources. All but its server's name is its server's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSpec {
    /// The server that lists it, as the gateway calls it; empty where the gateway does not say.
    #[serde(skip_deserializing)]
    pub server: String,
    /// The template (RFC 6570).
    pub uri_template: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// A short name for people.
    #[serde(default)]
    pub title: Option<String>,
    /// What it is.
    #[serde(default)]
    pub description: Option<String>,
    /// The media type of all that fits it.
    #[serde(default)]
    pub mime_type: Option<String>,
}

impl TemplateSpec {
    /// The names of its variables, in order, each once.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for piece in self.uri_template.split('{').skip(1) {
            let Some((inside, _)) = piece.split_once('}') else { continue };
            let inside = inside.trim_start_matches(['+', '#', '.', '/', ';', '?', '&']);
            for name in inside.split(',') {
                let name = name.split([':', '*']).next().unwrap_or_default();
                if !name.is_empty() && !found.contains(&name) {
                    found.push(name);
                }
            }
        }
        found
    }

    /// Whether `uri` may be one of its resources: it begins as they all do. Which server it is read
    /// from is for the gateway to say.
    pub(crate) fn may_hold(&self, uri: &str) -> bool {
        let prefix = self.uri_template.split('{').next().unwrap_or_default();
        uri == self.uri_template || (prefix.contains(':') && uri.starts_with(prefix))
    }
}

/// What was listed, until the gateway says that it changed.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    prompts: Option<Vec<PromptSpec>>,
    resources: Option<Vec<ResourceSpec>>,
    templates: Option<Vec<TemplateSpec>>,
}

/// What can be listed.
#[derive(Clone, Copy)]
enum Listing {
    Prompts,
    Resources,
    Templates,
}

impl Listing {
    fn request(self, page: PaginatedRequestParams) -> ClientRequest {
        match self {
            Self::Prompts => {
                ClientRequest::ListPromptsRequest(ListPromptsRequest::with_param(page))
            }
            Self::Resources => {
                ClientRequest::ListResourcesRequest(ListResourcesRequest::with_param(page))
            }
            Self::Templates => ClientRequest::ListResourceTemplatesRequest(
                ListResourceTemplatesRequest::with_param(page),
            ),
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "templates of resources",
        }
    }
}

impl Session {
    /// The prompts that the gateway shows, in its order. They are listed once, and again when they
    /// have changed.
    ///
    /// Cancel safe: what was dropped in the middle is listed the next time.
    ///
    /// # Errors
    /// [`HostError::List`] or [`HostError::ListTooLong`].
    pub async fn prompts(&mut self) -> Result<&[PromptSpec], HostError> {
        self.take_news();
        if self.stale.prompts || self.offers.prompts.is_none() {
            self.stale.prompts = false;
            self.offers.prompts = None;
            self.offers.prompts = Some(self.list(Listing::Prompts, read_prompt).await?);
        }
        Ok(self.offers.prompts.as_deref().unwrap_or_default())
    }

    /// The resources that the gateway shows, in its order. They are listed once, and again when
    /// they have changed.
    ///
    /// Cancel safe, as [`Session::prompts`].
    ///
    /// # Errors
    /// [`HostError::List`] or [`HostError::ListTooLong`].
    pub async fn resources(&mut self) -> Result<&[ResourceSpec], HostError> {
        self.forget_changed_resources();
        if self.offers.resources.is_none() {
            self.offers.resources = Some(self.list(Listing::Resources, read_resource).await?);
        }
        Ok(self.offers.resources.as_deref().unwrap_or_default())
    }

    /// The templates of resources that the gateway shows, in its order, as [`Session::resources`].
    ///
    /// # Errors
    /// [`HostError::List`] or [`HostError::ListTooLong`].
    pub async fn templates(&mut self) -> Result<&[TemplateSpec], HostError> {
        self.forget_changed_resources();
        if self.offers.templates.is_none() {
            self.offers.templates = Some(self.list(Listing::Templates, read_template).await?);
        }
        Ok(self.offers.templates.as_deref().unwrap_or_default())
    }

    fn forget_changed_resources(&mut self) {
        self.take_news();
        if std::mem::take(&mut self.stale.resources) {
            self.offers.resources = None;
            self.offers.templates = None;
        }
    }

    /// All pages of a list. What cannot be read in it is left out.
    async fn list<T>(
        &mut self,
        listing: Listing,
        read: fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, HostError> {
        let list = listing.name();
        let failed = |detail: String| HostError::List { list, detail };
        let mut items = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES {
            let page = PaginatedRequestParams::default().with_cursor(cursor);
            let waited = self.options.connect_timeout;
            let page = match self.request(listing.request(page), waited).await {
                Ok(page) => page,
                // Nobody offers any.
                Err(error) if error.is_unknown_method() => return Ok(Vec::new()),
                Err(error) => return Err(failed(error.to_string())),
            };
            let listed = page.get(listing.key()).and_then(Value::as_array);
            let listed = listed.ok_or_else(|| failed("the answer holds no list".to_owned()))?;
            if items.len() + listed.len() > ITEMS {
                return Err(HostError::ListTooLong { list, limit: ITEMS, what: "entries" });
            }
            items.extend(listed.iter().filter_map(read));
            cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(items);
            }
        }
        Err(HostError::ListTooLong { list, limit: PAGES, what: "pages" })
    }
}

/// What the gateway calls the server that lists something; it takes the like out of what servers
/// say.
fn server(item: &Value) -> String {
    let meta = item.get("_meta").and_then(|meta| meta.get("tagout/server"));
    meta.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn read_prompt(item: &Value) -> Option<PromptSpec> {
    let mut item = item.clone();
    // Said to be nothing is not said.
    item.as_object_mut()?.retain(|_, value| !value.is_null());
    for argument in item.get_mut("arguments").and_then(Value::as_array_mut).into_iter().flatten() {
        argument.as_object_mut()?.retain(|_, value| !value.is_null());
    }
    PromptSpec::deserialize(item).ok()
}

fn read_resource(item: &Value) -> Option<ResourceSpec> {
    let resource = ResourceSpec::deserialize(item).ok()?;
    Some(ResourceSpec { server: server(item), ..resource })
}

fn read_template(item: &Value) -> Option<TemplateSpec> {
    let template = TemplateSpec::deserialize(item).ok()?;
    Some(TemplateSpec { server: server(item), ..template })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(uri_template: &str) -> TemplateSpec {
        read_template(&serde_json::json!({"uriTemplate": uri_template, "name": "x"})).unwrap()
    }

    #[test]
    fn variables_are_found_in_every_kind_of_expression() {
        for (uri, variables) in [
            ("grid://load/{region}/{hours}", vec!["region", "hours"]),
            ("file:///{+path}{?a,b*}", vec!["path", "a", "b"]),
            ("x://{a:3}{/a}{#c}", vec!["a", "c"]),
            ("x://plain", vec![]),
            ("x://{open", vec![]),
            ("x://{}", vec![]),
        ] {
            assert_eq!(template(uri).variables(), variables, "{uri}");
        }
    }

    #[test]
    fn templates_hold_what_begins_like_them() {
        for (uri_template, uri, holds) in [
            ("grid://load/{region}", "grid://load/north", true),
            ("grid://load/{region}", "grid://topology/north", false),
            ("grid://load/{region}", "grid://load/{region}", true),
            ("{+any}", "file:///etc/passwd", false),
            ("{scheme}://x", "file://x", false),
        ] {
            assert_eq!(template(uri_template).may_hold(uri), holds, "{uri_template} {uri}");
        }
    }
}
