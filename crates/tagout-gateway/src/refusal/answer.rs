//! What a caller is told of a refusal.
use tagout_inspect::characters::one_line;
use tagout_proto::{FrameError, Revision, quoted};

use super::Refusal;

impl Refusal {
    /// The JSON-RPC error code.
    #[must_use]
    pub const fn rpc_code(&self) -> i32 {
        match self {
            Self::Frame(FrameError::Read(_)) => -32700,
            Self::Frame(_)
            | Self::FrameTooLarge { .. }
            | Self::Handshake(_)
            | Self::IdInUse
            | Self::TooManyCalls { .. } => -32600,
            Self::Method { .. } | Self::NotOffered { .. } => -32601,
            Self::Header { .. } => -32020,
            Self::Capability { .. } => -32021,
            Self::Revision { .. } => -32022,
            Self::Unknown { .. }
            | Self::Params { .. }
            | Self::Arguments(_)
            | Self::HiddenCharacter { .. }
            | Self::Told(_)
            | Self::Number(_)
            | Self::Meta { .. }
            | Self::State(_)
            | Self::Ambiguous { .. } => -32602,
            Self::Audit(_) | Self::Approvals(_) => -32603,
            Self::Schema(_)
            | Self::DefinitionChanged { .. }
            | Self::DefinitionNew { .. }
            | Self::DefinitionReturned { .. }
            | Self::NameLookalike { .. }
            | Self::NameShadowing { .. }
            | Self::Denied { .. }
            | Self::NotApproved { .. }
            | Self::NobodyToAsk { .. }
            | Self::QuestionTooLarge { .. }
            | Self::Unapproved { .. }
            | Self::NotWhatWasApproved
            | Self::NotAgreed { .. }
            | Self::Upstream { .. }
            | Self::ResultTooLarge { .. }
            | Self::AskDenied
            | Self::AskForSecret
            | Self::Unanswered
            | Self::TooMany { .. }
            | Self::Limit(_)
            | Self::Cancelled => -32000,
        }
    }

    /// The JSON-RPC error object for the caller: code, rule and record number; the remedy and the
    /// detail of policy stay with operators.
    #[must_use]
    pub fn for_caller(&self, record: Option<u64>) -> String {
        let message = if let Self::Denied { rule, .. } = self {
            format!("denied by `{rule}`")
        } else if let Self::Upstream { server, problem } = self {
            format!("server `{server}`: {}", problem.for_caller())
        } else {
            self.to_string()
        };
        let mut data = format!(r#"{{"by":"tagout","code":{}"#, quoted(self.code()));
        if let Some(rule) = self.rule() {
            data.push_str(&format!(r#","rule":{}"#, quoted(rule)));
        }
        if let Some(record) = record {
            data.push_str(&format!(r#","record":{record}"#));
        }
        if let Self::Unapproved { question: Some(question), .. } = self {
            data.push_str(&format!(r#","approval":{}"#, quoted(question)));
        }
        if let Self::NotApproved { said: Some((_, message)), .. } = self
            && !message.is_empty()
        {
            data.push_str(&format!(r#","said":{}"#, quoted(&one_line(message))));
        }
        if let Self::Revision { requested } = self {
            let supported: Vec<_> = Revision::ALL.iter().map(|r| quoted(r.as_str())).collect();
            let (supported, requested) = (supported.join(","), quoted(requested));
            data.push_str(&format!(r#","supported":[{supported}],"requested":{requested}"#));
        }
        if let Self::Capability { extension } = self {
            data.push_str(&format!(
                r#","requiredCapabilities":{{"extensions":{{{}:{{}}}}}}"#,
                quoted(extension)
            ));
        }
        if let Self::Limit(over) = self {
            data.push_str(&format!(",{}", over.data()));
        }
        data.push('}');
        let (code, message) = (self.rpc_code(), quoted(&message));
        format!(r#"{{"code":{code},"message":{message},"data":{data}}}"#)
    }
}
