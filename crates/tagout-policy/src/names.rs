//! The names of what rules speak of.
use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use tagout_proto::Action;

use crate::{
    facts::{Facts, Subject, SubjectKind},
    load::Policy,
    request::Unfit,
    shape::{Field, Shape},
};

/// The parent of every tool's call.
pub(crate) const CALL_TOOL: &str = "call-tool";
/// Stands for the tools that are not pinned where rules are checked; no call has it.
pub(crate) const UNPINNED: &str = "tagout:unpinned";

/// What rules decide about beside tools, and the type of its resource.
pub(crate) const OTHERS: [(Action, &[&str]); 5] = [
    (Action::ReadResource, &["Resource"]),
    (Action::FetchPrompt, &["Prompt"]),
    (Action::Complete, &["Prompt", "Resource"]),
    (Action::FollowTask, &["Task"]),
    (Action::AskClient, &["Question"]),
];

/// The name of a tool's action: the tool's, unless that is another action's already. Tools' names
/// hold no colon.
pub(crate) fn tool_action(qualified: &str) -> Cow<'_, str> {
    let taken = OTHERS.iter().any(|(action, _)| action.as_str() == qualified);
    if taken || qualified == CALL_TOOL {
        Cow::Owned(format!("tool:{qualified}"))
    } else {
        Cow::Borrowed(qualified)
    }
}

/// The entity of the action that `facts` are about.
pub(crate) fn action(facts: &Facts<'_>, subject: &Subject<'_>) -> Result<EntityUid, Unfit> {
    match facts.action {
        Action::CallTool => uid("Action", &tool_action(subject.qualified)),
        Action::ReadResource
        | Action::FetchPrompt
        | Action::Complete
        | Action::FollowTask
        | Action::AskClient
        | Action::Session
        | Action::List
        | Action::Tell => uid("Action", facts.action.as_str()),
    }
}

/// The types of the arguments, where they are declared. A pinned tool without any has those that
/// rules were checked against, so that what they say of it is what they were taken to say.
pub(crate) fn shape<'a>(
    policy: &'a Policy,
    facts: &Facts<'a>,
    subject: &Subject<'a>,
) -> Option<&'a Shape> {
    match facts.action {
        Action::CallTool => {
            subject.shape.or_else(|| policy.checker.shape_of_tool(subject.qualified))
        }
        Action::ReadResource
        | Action::FetchPrompt
        | Action::Complete
        | Action::FollowTask
        | Action::AskClient
        | Action::Session
        | Action::List
        | Action::Tell => Some(fixed(facts.action)),
    }
}

/// The types of what comes with anything but a tool's call.
pub(crate) fn fixed(action: Action) -> &'static Shape {
    static NOTHING: Shape = Shape::NOTHING;
    static READ: LazyLock<Shape> = LazyLock::new(|| texts(&["uri"]));
    static COMPLETE: LazyLock<Shape> = LazyLock::new(|| {
        let parts =
            [("argument", texts(&["name", "value"])), ("ref", texts(&["name", "type", "uri"]))];
        record(parts.map(|(name, shape)| (name.to_owned(), shape)))
    });
    static TASK: LazyLock<Shape> = LazyLock::new(|| texts(&["taskId"]));
    static ASK: LazyLock<Shape> = LazyLock::new(|| texts(&["message", "url"]));
    match action {
        Action::ReadResource => &READ,
        Action::Complete => &COMPLETE,
        Action::FollowTask => &TASK,
        Action::AskClient => &ASK,
        Action::FetchPrompt | Action::CallTool | Action::Session | Action::List | Action::Tell => {
            &NOTHING
        }
    }
}

fn texts(names: &[&str]) -> Shape {
    record(names.iter().map(|name| ((*name).to_owned(), Shape::Text)))
}

fn record(fields: impl IntoIterator<Item = (String, Shape)>) -> Shape {
    let field = |shape| Field { shape, required: false };
    Shape::Record(fields.into_iter().map(|(name, shape)| (name, field(shape))).collect())
}

/// The name of a subject's type.
pub(crate) const fn kind(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::Tool => "Tool",
        SubjectKind::Resource => "Resource",
        SubjectKind::Prompt => "Prompt",
        SubjectKind::Task => "Task",
        SubjectKind::Question => "Question",
    }
}

/// The types of all that rules speak of.
pub(crate) const TYPES: [&str; 9] =
    ["User", "Group", "Server", "Action", "Tool", "Resource", "Prompt", "Task", "Question"];

/// Types by their names: reading a name takes Cedar's whole parser.
static NAMES: LazyLock<HashMap<&'static str, EntityTypeName>> = LazyLock::new(|| {
    TYPES.into_iter().filter_map(|name| Some((name, name.parse().ok()?))).collect()
});

/// The entity called `id` of the type called `kind`.
pub(crate) fn uid(kind: &'static str, id: &str) -> Result<EntityUid, Unfit> {
    let kind = match NAMES.get(kind) {
        Some(kind) => kind.clone(),
        None => kind.parse()?,
    };
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}
