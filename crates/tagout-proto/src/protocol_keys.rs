//! Keys that the protocol gives a meaning, by place. Some parsers match keys without regard to
//! case, so a key that is one of these in another case would mean one thing here and another
//! there.

/// Where in a frame an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The JSON-RPC object itself.
    Envelope,
    /// `params`.
    Params,
    /// `result`.
    Outcome,
    /// `error`.
    Failure,
    /// A list of `tools`, `resources`, `prompts` or `content` in a result.
    Items,
    /// One of their elements.
    Item,
    /// Anything else: the keys are somebody's data.
    Free,
}

const ENVELOPE: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];

const PARAMS: &[&str] = &[
    "_meta",
    "name",
    "arguments",
    "uri",
    "cursor",
    "protocolVersion",
    "capabilities",
    "clientInfo",
    "requestId",
    "reason",
    "progressToken",
    "progress",
    "total",
    "message",
    "level",
    "logger",
    "data",
    "ref",
    "argument",
    "context",
    "inputResponses",
    "requestState",
    "taskId",
    "task",
    "messages",
    "systemPrompt",
    "maxTokens",
    "requestedSchema",
    "mode",
    "url",
    "elicitationId",
    "tools",
    "toolChoice",
];

const OUTCOME: &[&str] = &[
    "_meta",
    "content",
    "structuredContent",
    "isError",
    "tools",
    "resources",
    "resourceTemplates",
    "prompts",
    "nextCursor",
    "contents",
    "messages",
    "description",
    "completion",
    "protocolVersion",
    "capabilities",
    "serverInfo",
    "instructions",
    "resultType",
    "inputRequests",
    "requestState",
    "ttlMs",
    "cacheScope",
    "supportedVersions",
    "action",
    "roots",
    "role",
    "model",
    "stopReason",
];

const FAILURE: &[&str] = &["code", "message", "data"];

const ITEM: &[&str] = &[
    "_meta",
    "name",
    "title",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
    "icons",
    "execution",
    "type",
    "text",
    "data",
    "mimeType",
    "uri",
    "uriTemplate",
    "resource",
    "blob",
    "size",
    "arguments",
    "required",
    "role",
    "content",
];

impl Place {
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Envelope => ENVELOPE,
            Self::Params => PARAMS,
            Self::Outcome => OUTCOME,
            Self::Failure => FAILURE,
            Self::Item => ITEM,
            Self::Items | Self::Free => &[],
        }
    }

    /// The protocol key that `key` could be taken for, if it is not that key itself.
    pub(crate) fn mistaken(self, key: &str) -> Option<&'static str> {
        let keys = self.keys();
        if keys.contains(&key) {
            return None;
        }
        keys.iter().copied().find(|meant| folds_alike(key, meant))
    }

    /// The place of the value under `key`.
    pub(crate) fn member(self, key: &str) -> Self {
        match (self, key) {
            (Self::Envelope, "params") => Self::Params,
            (Self::Envelope, "result") => Self::Outcome,
            (Self::Envelope, "error") => Self::Failure,
            (
                Self::Outcome,
                "tools" | "resources" | "resourceTemplates" | "prompts" | "content" | "contents",
            ) => Self::Items,
            _ => Self::Free,
        }
    }

    /// The place of an array's elements.
    pub(crate) const fn element(self) -> Self {
        match self {
            Self::Items => Self::Item,
            // An array of envelopes is a batch; its members are held to the envelope's keys.
            Self::Envelope => Self::Envelope,
            Self::Params | Self::Outcome | Self::Failure | Self::Item | Self::Free => Self::Free,
        }
    }
}

/// Whether two keys are the same to a parser that ignores case, by Unicode's simple folding:
/// U+017F folds to `s` and U+212A to `k`, as they do in Go's `encoding/json`.
fn folds_alike(key: &str, meant: &str) -> bool {
    let fold = |c: char| c.to_uppercase().flat_map(char::to_lowercase);
    key.len() <= 3 * meant.len() && key.chars().flat_map(fold).eq(meant.chars().flat_map(fold))
}
