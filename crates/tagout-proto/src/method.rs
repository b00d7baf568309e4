//! The protocol's methods. What is not here is refused.
use std::fmt;

use crate::Revision;

macro_rules! methods {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $direction:ident, $action:ident;)*) => {
        /// A method that the gateway knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $($(#[$doc])* $variant,)*
        }

        impl Method {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As it stands on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Who sends it.
            #[must_use]
            pub const fn direction(self) -> Direction {
                match self { $(Self::$variant => Direction::$direction,)* }
            }

            /// What it means to do.
            #[must_use]
            pub const fn classify(self) -> Action {
                match self { $(Self::$variant => Action::$action,)* }
            }

            /// The method called `text`, if there is one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

/// Who sends a method, and whether it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A request of the client.
    FromClient,
    /// A notification of the client.
    ClientTells,
    /// A request of the server.
    FromServer,
    /// A notification of the server.
    ServerTells,
    /// A request of either.
    FromEither,
    /// A notification of either.
    EitherTells,
}

impl Direction {
    /// Whether a client may send it as a request.
    #[must_use]
    pub const fn client_asks(self) -> bool {
        matches!(self, Self::FromClient | Self::FromEither)
    }

    /// Whether a client may send it as a notification.
    #[must_use]
    pub const fn client_tells(self) -> bool {
        matches!(self, Self::ClientTells | Self::EitherTells)
    }

    /// Whether a server may send it as a request.
    #[must_use]
    pub const fn server_asks(self) -> bool {
        matches!(self, Self::FromServer | Self::FromEither)
    }

    /// Whether a server may send it as a notification.
    #[must_use]
    pub const fn server_tells(self) -> bool {
        matches!(self, Self::ServerTells | Self::EitherTells)
    }
}

/// What a method means to do; the policy knows these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Opens, keeps or closes the session itself; reaches no server's content.
    Session,
    /// Asks what there is.
    List,
    /// Calls a tool.
    CallTool,
    /// Reads a resource, or watches one.
    ReadResource,
    /// Fetches a prompt.
    FetchPrompt,
    /// Asks for completions of an argument of a prompt or a resource template.
    Complete,
    /// Follows, answers or ends what a call of a tool has set going.
    FollowTask,
    /// A server asks something of the client: its model, its user, its folders.
    AskClient,
    /// Tells the client about progress, logs or changes.
    Tell,
}

impl Action {
    /// Every one of them.
    pub const ALL: &[Self] = &[
        Self::Session,
        Self::List,
        Self::CallTool,
        Self::ReadResource,
        Self::FetchPrompt,
        Self::Complete,
        Self::FollowTask,
        Self::AskClient,
        Self::Tell,
    ];

    /// The action's name in policies and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::List => "list",
            Self::CallTool => "call-tool",
            Self::ReadResource => "read-resource",
            Self::FetchPrompt => "fetch-prompt",
            Self::Complete => "complete",
            Self::FollowTask => "follow-task",
            Self::AskClient => "ask-client",
            Self::Tell => "tell",
        }
    }
}

methods! {
    /// Opens a legacy session.
    Initialize = "initialize", FromClient, Session;
    /// What the server speaks and offers, without a session.
    Discover = "server/discover", FromClient, Session;
    /// Waits for changes of lists and resources, without a session.
    Listen = "subscriptions/listen", FromClient, Session;
    /// The client is ready.
    Initialized = "notifications/initialized", ClientTells, Session;
    /// Is the other side alive?
    Ping = "ping", FromEither, Session;
    /// Gives up on a request.
    Cancelled = "notifications/cancelled", EitherTells, Session;
    /// How far a request is.
    Progress = "notifications/progress", EitherTells, Tell;
    /// Which log messages the client wants.
    SetLevel = "logging/setLevel", FromClient, Session;
    /// Lists tools.
    ToolsList = "tools/list", FromClient, List;
    /// Calls a tool.
    ToolsCall = "tools/call", FromClient, CallTool;
    /// Lists resources.
    ResourcesList = "resources/list", FromClient, List;
    /// Lists resource templates.
    ResourceTemplatesList = "resources/templates/list", FromClient, List;
    /// Reads a resource.
    ResourcesRead = "resources/read", FromClient, ReadResource;
    /// Lists a folder among the resources.
    DirectoryRead = "resources/directory/read", FromClient, ReadResource;
    /// Watches a resource.
    ResourcesSubscribe = "resources/subscribe", FromClient, ReadResource;
    /// Stops watching a resource.
    ResourcesUnsubscribe = "resources/unsubscribe", FromClient, ReadResource;
    /// Lists prompts.
    PromptsList = "prompts/list", FromClient, List;
    /// Fetches a prompt.
    PromptsGet = "prompts/get", FromClient, FetchPrompt;
    /// Completes an argument.
    Complete = "completion/complete", FromClient, Complete;
    /// Lists skills.
    SkillsList = "skills/list", FromClient, List;
    /// Fetches a skill's manifest.
    SkillsGet = "skills/get", FromClient, ReadResource;
    /// How far a task is.
    TasksGet = "tasks/get", FromClient, FollowTask;
    /// Answers what a task asks.
    TasksUpdate = "tasks/update", FromClient, FollowTask;
    /// Ends a task.
    TasksCancel = "tasks/cancel", FromClient, FollowTask;
    /// The client's folders changed.
    RootsListChanged = "notifications/roots/list_changed", ClientTells, Session;
    /// A server asks for the client's folders.
    RootsList = "roots/list", FromServer, AskClient;
    /// A server asks the client's model.
    SamplingCreateMessage = "sampling/createMessage", FromServer, AskClient;
    /// A server asks the client's user.
    ElicitationCreate = "elicitation/create", FromServer, AskClient;
    /// A log message.
    LogMessage = "notifications/message", ServerTells, Tell;
    /// A watched resource changed.
    ResourceUpdated = "notifications/resources/updated", ServerTells, Tell;
    /// What of a subscription will be honoured.
    Acknowledged = "notifications/subscriptions/acknowledged", ServerTells, Tell;
    /// What a server asked the user for at a URL is done.
    ElicitationComplete = "notifications/elicitation/complete", ServerTells, Tell;
    /// How far a task is.
    TaskStatus = "notifications/tasks", ServerTells, Tell;
    /// The list of resources changed.
    ResourcesListChanged = "notifications/resources/list_changed", ServerTells, Tell;
    /// The list of tools changed.
    ToolsListChanged = "notifications/tools/list_changed", ServerTells, Tell;
    /// The list of prompts changed.
    PromptsListChanged = "notifications/prompts/list_changed", ServerTells, Tell;
}

impl Method {
    /// Whether peers that speak `revision` send it.
    #[must_use]
    pub const fn is_spoken(self, revision: Revision) -> bool {
        match self {
            Self::Initialize
            | Self::Initialized
            | Self::Ping
            | Self::SetLevel
            | Self::ResourcesSubscribe
            | Self::ResourcesUnsubscribe
            | Self::RootsListChanged
            | Self::ElicitationComplete => !revision.is_modern(),
            Self::Discover
            | Self::Listen
            | Self::Acknowledged
            | Self::DirectoryRead
            | Self::SkillsList
            | Self::SkillsGet
            | Self::TasksGet
            | Self::TasksUpdate
            | Self::TasksCancel
            | Self::TaskStatus => revision.is_modern(),
            Self::Cancelled
            | Self::Progress
            | Self::ToolsList
            | Self::ToolsCall
            | Self::ResourcesList
            | Self::ResourceTemplatesList
            | Self::ResourcesRead
            | Self::PromptsList
            | Self::PromptsGet
            | Self::Complete
            | Self::RootsList
            | Self::SamplingCreateMessage
            | Self::ElicitationCreate
            | Self::LogMessage
            | Self::ResourceUpdated
            | Self::ResourcesListChanged
            | Self::ToolsListChanged
            | Self::PromptsListChanged => true,
        }
    }

    /// Whether its answer may be a question to the client, in revisions where servers ask so.
    #[must_use]
    pub const fn may_need_input(self) -> bool {
        matches!(self, Self::ToolsCall | Self::PromptsGet | Self::ResourcesRead)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
