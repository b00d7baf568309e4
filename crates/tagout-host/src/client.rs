//! What the gateway asks of the host, and tells it beside its answers.
#![expect(deprecated, reason = "sampling, roots and logging stay as long as servers use them")]
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rmcp::{
    ClientHandler, ErrorData, RoleClient,
    model::{
        ClientConfig, CreateMessageRequestMethod, CreateMessageRequestParams, CreateMessageResult,
        CustomRequest, CustomResult, ElicitRequestParams, ElicitResult,
        ElicitationCreateRequestMethod, ErrorCode, Implementation, ListRootsRequestMethod,
        ListRootsResult, LoggingMessageNotificationParam, ProgressNotificationParam,
        ProtocolVersion,
    },
    service::{NotificationContext, RequestContext},
};
use serde_json::Map;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{
    ApprovalAnswer, FormAnswer, Options, VisitAnswer,
    primitives::{
        asked::{self, Asked},
        capabilities, roots,
        sample::{self, Asks},
    },
    ui::{ApprovalCard, Form, Visit},
};

/// Questions that may wait for the person; beyond it they are answered with no.
const QUESTIONS: usize = 16;
/// News that may wait to be shown; beyond it they are dropped.
const NEWS: usize = 64;

/// What the person is asked while a call is under way. Each is withdrawn when the other end of its
/// channel is gone.
pub(crate) enum Question {
    /// A call waits for the person's approval.
    Approve(ApprovalCard, oneshot::Sender<ApprovalAnswer>),
    /// A server puts a form.
    Form(Form, oneshot::Sender<FormAnswer>),
    /// A server names a URL.
    Visit(Visit, oneshot::Sender<VisitAnswer>),
    /// A server wants a model's answer.
    Sample(Box<Asks>, oneshot::Sender<Result<CreateMessageResult, ErrorData>>),
}

/// What is shown while a call is under way, and missed by nobody if it is lost.
pub(crate) enum News {
    /// A request makes progress.
    Progress(ProgressNotificationParam),
    /// A server says something.
    Log(LoggingMessageNotificationParam),
}

/// What is no longer as it was listed.
#[derive(Default)]
pub(crate) struct Changed {
    tools: AtomicBool,
    prompts: AtomicBool,
    resources: AtomicBool,
}

/// Hands on what comes in to whoever works on a question.
pub(crate) struct Client {
    introduction: ClientConfig,
    roots: ListRootsResult,
    samples: bool,
    questions: mpsc::Sender<Question>,
    news: mpsc::Sender<News>,
    changed: Arc<Changed>,
    /// Whether somebody works on a question: nobody else would answer.
    busy: Arc<AtomicBool>,
}

/// Where it comes out.
pub(crate) struct Inbox {
    pub(crate) questions: mpsc::Receiver<Question>,
    pub(crate) news: mpsc::Receiver<News>,
    changed: Arc<Changed>,
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
    /// Takes questions from now on. What came for an earlier request is none of this one's: it is
    /// dropped with the way to answer it, so whoever asked gets a no.
    pub(crate) fn open(&mut self) -> Busy {
        self.empty();
        self.busy.store(true, Ordering::Release);
        Busy(Arc::clone(&self.busy))
    }

    /// Takes no more.
    pub(crate) fn close(&mut self, busy: Busy) {
        drop(busy);
        self.empty();
    }

    fn empty(&mut self) {
        while self.questions.try_recv().is_ok() {}
        while self.news.try_recv().is_ok() {}
    }

    /// What has changed since this was asked last: tools, prompts, resources.
    pub(crate) fn changed(&self) -> [bool; 3] {
        let Changed { tools, prompts, resources } = self.changed.as_ref();
        [tools, prompts, resources].map(|flag| flag.swap(false, Ordering::AcqRel))
    }
}

impl Client {
    pub(crate) fn new(options: &Options) -> (Self, Inbox) {
        let (to_questions, questions) = mpsc::channel(QUESTIONS);
        let (to_news, news) = mpsc::channel(NEWS);
        let busy = Arc::new(AtomicBool::new(false));
        let changed = Arc::new(Changed::default());
        let samples = options.attended && options.provider.describe().language_model;
        let roots = roots::listed(&options.roots);
        let client = Self {
            introduction: introduction(options, samples, !roots.roots.is_empty()),
            roots,
            samples,
            questions: to_questions,
            news: to_news,
            changed: Arc::clone(&changed),
            busy: Arc::clone(&busy),
        };
        (client, Inbox { questions, news, changed, busy })
    }

    /// Puts a question to the person; `otherwise` where nobody is there to answer, or whoever asked
    /// has taken it back: then the question is withdrawn.
    async fn put<T>(
        &self,
        taken_back: &CancellationToken,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
        otherwise: impl FnOnce() -> T,
    ) -> T {
        if !self.busy.load(Ordering::Acquire) {
            return otherwise();
        }
        let (answer, answered) = oneshot::channel();
        if self.questions.try_send(question(answer)).is_err() {
            return otherwise();
        }
        let answered = taken_back.run_until_cancelled(answered).await;
        answered.and_then(Result::ok).unwrap_or_else(otherwise)
    }

    async fn elicited(&self, asked: Asked, taken_back: &CancellationToken) -> ElicitResult {
        match asked {
            Asked::Approval(card) => {
                let scopes = card.scopes.clone();
                let no = || ApprovalAnswer::Deny { message: None };
                let put = |to| Question::Approve(card, to);
                asked::approval(&self.put(taken_back, put, no).await, &scopes)
            }
            Asked::Form(form) => {
                let put = |to| Question::Form(form, to);
                asked::form(self.put(taken_back, put, || FormAnswer::Cancel).await)
            }
            Asked::Visit(visit) => {
                let put = |to| Question::Visit(visit, to);
                asked::visit(self.put(taken_back, put, || VisitAnswer::Cancel).await)
            }
        }
    }

    fn tell(&self, news: News) {
        // Nobody waits for news, and a flood of them must not pile up.
        drop(self.news.try_send(news));
    }
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        self.introduction.clone()
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        if self.introduction.capabilities.elicitation.is_none() {
            return Err(ErrorData::method_not_found::<ElicitationCreateRequestMethod>());
        }
        let asked = asked::read(&request, &context.meta.0.0)?;
        Ok(self.elicited(asked, &context.ct).await)
    }

    /// What the SDK cannot read as a question is read here, if it is one.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleClient>,
    ) -> Result<CustomResult, ErrorData> {
        let attended = self.introduction.capabilities.elicitation.is_some();
        if request.method != "elicitation/create" || !attended {
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None));
        }
        let params = request.params.unwrap_or_default();
        let asked = asked::read_raw(&params, &context.meta.0.0)?;
        let answer = self.elicited(asked, &context.ct).await;
        let unwritten =
            |error: serde_json::Error| ErrorData::internal_error(error.to_string(), None);
        serde_json::to_value(answer).map(CustomResult::new).map_err(unwritten)
    }

    async fn create_message(
        &self,
        request: CreateMessageRequestParams,
        context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        if !self.samples {
            return Err(ErrorData::method_not_found::<CreateMessageRequestMethod>());
        }
        let asks = Box::new(sample::read(&request)?);
        let put = |to| Question::Sample(asks, to);
        self.put(&context.ct, put, || Err(sample::denied())).await
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        if self.introduction.capabilities.roots.is_none() {
            return Err(ErrorData::method_not_found::<ListRootsRequestMethod>());
        }
        Ok(self.roots.clone())
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.tell(News::Progress(progress));
    }

    async fn on_logging_message(
        &self,
        message: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.tell(News::Log(message));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.tools.store(true, Ordering::Release);
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.prompts.store(true, Ordering::Release);
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.resources.store(true, Ordering::Release);
    }
}

fn introduction(options: &Options, samples: bool, roots: bool) -> ClientConfig {
    let name = Implementation::new(crate::CLIENT, env!("CARGO_PKG_VERSION"));
    let capabilities = capabilities(options.attended, samples, roots);
    let mut introduction =
        ClientConfig::new(capabilities, name).with_protocol_version(ProtocolVersion::V_2025_11_25);
    introduction.meta = options.conversation.as_deref().map(|named| {
        let mut meta = Map::new();
        meta.insert("tagout/conversation".to_owned(), named.into());
        meta.into()
    });
    introduction
}
