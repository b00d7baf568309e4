//! What the gateway asks of the host, and tells it beside its answers.
#![expect(deprecated, reason = "sampling, roots and logging stay as long as servers use them")]
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::{
        ClientCapabilities, ClientConfig, CreateMessageRequestMethod, CreateMessageRequestParams,
        CreateMessageResult, ElicitRequestParams, ElicitResult, ElicitationAction, Implementation,
        ListRootsResult, LoggingMessageNotificationParam, ProgressNotificationParam,
        ProtocolVersion,
    },
    service::{NotificationContext, RequestContext},
};
use serde_json::Map;
use tokio::sync::{mpsc, oneshot};

use crate::{ApprovalAnswer, FormAnswer, VisitAnswer};
use crate::{Options, primitives::roots, ui::ApprovalCard, ui::Form, ui::Sampling, ui::Visit};

/// Questions and news that may wait for the loop; beyond it news are dropped and questions
/// answered with no.
const WAITING: usize = 64;

/// What comes in beside the answer to a call.
pub(crate) enum Incoming {
    /// A call waits for the person's approval.
    Approve(ApprovalCard, oneshot::Sender<ApprovalAnswer>),
    /// A server puts a form.
    Form(Form, oneshot::Sender<FormAnswer>),
    /// A server names a URL.
    Visit(Visit, oneshot::Sender<VisitAnswer>),
    /// A server wants a model's answer.
    Sample(Box<Sampling>, oneshot::Sender<Result<CreateMessageResult, ErrorData>>),
    /// The call under way makes progress.
    Progress(ProgressNotificationParam),
    /// A server says something.
    Log(LoggingMessageNotificationParam),
    /// The tools are others now.
    ToolsChanged,
    /// The prompts are others now.
    PromptsChanged,
    /// The resources are others now.
    ResourcesChanged,
}

/// Hands on what comes in to whoever works on a question.
pub(crate) struct Client {
    introduction: ClientConfig,
    roots: ListRootsResult,
    samples: bool,
    to: mpsc::Sender<Incoming>,
    /// Whether somebody works on a question: nobody else would answer.
    busy: Arc<AtomicBool>,
}

/// Where it comes out.
pub(crate) struct Inbox {
    pub(crate) from: mpsc::Receiver<Incoming>,
    busy: Arc<AtomicBool>,
}

/// While it is there, questions are taken.
pub(crate) struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Inbox {
    pub(crate) fn open(&self) -> Busy {
        self.busy.store(true, Ordering::Release);
        Busy(Arc::clone(&self.busy))
    }
}

impl Client {
    pub(crate) fn new(options: &Options) -> (Self, Inbox) {
        let (to, from) = mpsc::channel(WAITING);
        let busy = Arc::new(AtomicBool::new(false));
        let samples = options.attended && options.provider.describe().language_model;
        let client = Self {
            introduction: introduction(options, samples),
            roots: roots::listed(&options.roots),
            samples,
            to,
            busy: Arc::clone(&busy),
        };
        (client, Inbox { from, busy })
    }

    /// Puts a question to the loop; `otherwise` where nobody is there to answer.
    async fn put<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Incoming,
        otherwise: impl FnOnce() -> T,
    ) -> T {
        if !self.busy.load(Ordering::Acquire) {
            return otherwise();
        }
        let (answer, answered) = oneshot::channel();
        if self.to.try_send(question(answer)).is_err() {
            return otherwise();
        }
        answered.await.unwrap_or_else(|_| otherwise())
    }

    fn tell(&self, news: Incoming) {
        // Nobody waits for news, and a flood of them must not pile up.
        drop(self.to.try_send(news));
    }
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        self.introduction.clone()
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Ok(match crate::primitives::elicit::read(request) {
            crate::primitives::elicit::Asked::Approval(card) => {
                let no = || ApprovalAnswer::Deny { message: None };
                let answer = self.put(|to| Incoming::Approve(card, to), no).await;
                crate::primitives::elicit::approval(&answer)
            }
            crate::primitives::elicit::Asked::Form(form) => {
                let answer = self.put(|to| Incoming::Form(form, to), || FormAnswer::Cancel).await;
                crate::primitives::elicit::form(answer)
            }
            crate::primitives::elicit::Asked::Visit(visit) => {
                let no = || VisitAnswer::Cancel;
                let answer = self.put(|to| Incoming::Visit(visit, to), no).await;
                crate::primitives::elicit::visit(answer)
            }
            crate::primitives::elicit::Asked::Unknown => {
                ElicitResult::new(ElicitationAction::Decline)
            }
        })
    }

    async fn create_message(
        &self,
        request: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        if !self.samples {
            return Err(ErrorData::method_not_found::<CreateMessageRequestMethod>());
        }
        let sampling = crate::primitives::sample::read(&request)?;
        let no = || Err(crate::primitives::sample::denied());
        self.put(|to| Incoming::Sample(Box::new(sampling), to), no).await
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        Ok(self.roots.clone())
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.tell(Incoming::Progress(progress));
    }

    async fn on_logging_message(
        &self,
        message: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.tell(Incoming::Log(message));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.tell(Incoming::ToolsChanged);
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.tell(Incoming::PromptsChanged);
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.tell(Incoming::ResourcesChanged);
    }
}

fn introduction(options: &Options, samples: bool) -> ClientConfig {
    let name = Implementation::new("tagout-host", env!("CARGO_PKG_VERSION"));
    let capabilities: ClientCapabilities =
        crate::primitives::capabilities(options.attended, samples, !options.roots.is_empty());
    let mut introduction =
        ClientConfig::new(capabilities, name).with_protocol_version(ProtocolVersion::V_2025_11_25);
    introduction.meta = options.conversation.as_deref().map(|named| {
        let mut meta = Map::new();
        meta.insert("tagout/conversation".to_owned(), named.into());
        meta.into()
    });
    introduction
}
