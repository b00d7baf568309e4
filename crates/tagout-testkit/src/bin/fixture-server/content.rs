//! Prompts, resources and the skill, as `content.json` defines them.
use rmcp::{
    ErrorData,
    model::{
        Prompt, PromptMessage, Resource, ResourceContents, ResourceTemplate, Skill,
        SkillFrontmatter, SkillResource, SkillResources,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{ask::Inputs, template::fill};

/// The root of the one skill.
const SKILL: &str = "skill://fixture-skill";
const DIRECTORY: &str = "inode/directory";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Content {
    pub(crate) prompts: Vec<PromptEntry>,
    pub(crate) resources: Vec<ResourceEntry>,
    pub(crate) templates: Vec<TemplateEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromptEntry {
    pub(crate) definition: Prompt,
    /// What it asks before it answers.
    #[serde(default)]
    pub(crate) inputs: Inputs,
    pub(crate) messages: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourceEntry {
    pub(crate) definition: Resource,
    text: Option<String>,
    blob: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateEntry {
    pub(crate) definition: ResourceTemplate,
    text: String,
}

impl PromptEntry {
    pub(crate) fn messages(&self, data: &Value) -> Result<Vec<PromptMessage>, ErrorData> {
        crate::ask::typed(crate::template::fill_all(&self.messages, data))
    }
}

impl Content {
    /// What stands at `uri`.
    pub(crate) fn read(&self, uri: &str) -> Option<ResourceContents> {
        let found = self.resources.iter().find(|entry| entry.definition.uri == uri);
        found.map_or_else(
            || self.templates.iter().find_map(|entry| entry.read(uri)),
            |entry| {
                let contents = match (&entry.text, &entry.blob) {
                    (Some(text), _) => ResourceContents::text(text, uri),
                    (None, blob) => {
                        ResourceContents::blob(blob.as_deref().unwrap_or_default(), uri)
                    }
                };
                Some(typed(contents, entry.definition.mime_type.as_deref()))
            },
        )
    }

    /// The skill's entry, made of its files.
    pub(crate) fn skill(&self) -> Skill {
        let files = self.resources.iter().filter(|entry| entry.definition.uri.starts_with(SKILL));
        let listed = files.clone().map(|entry| {
            let text = entry.text.as_deref().unwrap_or_default();
            SkillResource::from_bytes(&entry.definition.uri, text.as_bytes())
        });
        let entry = files.clone().find(|entry| entry.definition.uri.ends_with("/SKILL.md"));
        let definition = entry.map(|entry| &entry.definition);
        let name = definition.map(|it| it.name.clone()).unwrap_or_default();
        let description = definition.and_then(|it| it.description.clone()).unwrap_or_default();
        let frontmatter = SkillFrontmatter::new(name, description);
        let uri = format!("{SKILL}/SKILL.md");
        Skill::new(uri, frontmatter, SkillResources::Files(listed.collect()))
    }

    /// The direct children of a folder of the skill.
    pub(crate) fn children(&self, uri: &str) -> Option<Vec<Resource>> {
        let folder = format!("{}/", uri.trim_end_matches('/'));
        let mut children: Vec<Resource> = Vec::new();
        for entry in &self.resources {
            let Some(below) = entry.definition.uri.strip_prefix(&folder) else { continue };
            let child = match below.split_once('/') {
                None => entry.definition.clone(),
                Some((name, _)) => Resource::new(format!("{folder}{name}"), name)
                    .with_description("A folder of the skill.")
                    .with_mime_type(DIRECTORY),
            };
            if !children.iter().any(|known| known.uri == child.uri) {
                children.push(child);
            }
        }
        (uri.starts_with(SKILL) && !children.is_empty()).then_some(children)
    }
}

impl TemplateEntry {
    /// Templates here have one place, `{id}`, which is one segment of the path.
    fn read(&self, uri: &str) -> Option<ResourceContents> {
        let (before, after) = self.definition.uri_template.split_once("{id}")?;
        let id = uri.strip_prefix(before)?.strip_suffix(after)?;
        if id.is_empty() || id.contains(['/', '"', '\\']) {
            return None;
        }
        let text = fill(&self.text, &json!({"id": id}));
        Some(typed(ResourceContents::text(text, uri), self.definition.mime_type.as_deref()))
    }
}

fn typed(contents: ResourceContents, mime_type: Option<&str>) -> ResourceContents {
    match mime_type {
        Some(mime_type) => contents.with_mime_type(mime_type),
        None => contents,
    }
}
