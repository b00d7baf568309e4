//! The server itself: which request goes where.
#![expect(deprecated, reason = "what is deprecated in the modern era is what the legacy one uses")]
use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams,
        CompleteResult, CompletionInfo, DiscoverRequestMethod, DiscoverResult,
        GetPromptRequestParams, GetPromptResponse, GetPromptResult, GetSkillRequestParams,
        GetSkillResult, GetTaskParams, GetTaskResult, Implementation, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult, ListToolsResult,
        PaginatedRequestParams, ProtocolVersion, ReadResourceDirectoryRequestParams,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, RequestStateCodec,
        ServerCapabilities, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
        SubscriptionFilter, Tool, UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
    task_manager::TaskManager,
};
use serde_json::json;
use tokio::sync::broadcast;

use crate::{
    Failure,
    ask::{Asked, Brought, Questions},
    content::Content,
    era::Era,
    logging,
    news::{self, BACKLOG, News, Watched},
    tools::Entry,
};

/// What all sessions share.
pub(crate) struct Shared {
    pub(crate) era: Era,
    pub(crate) tools: Vec<Entry>,
    pub(crate) content: Content,
    pub(crate) tasks: TaskManager,
    pub(crate) seal: RequestStateCodec,
    pub(crate) news: broadcast::Sender<News>,
}

impl Shared {
    pub(crate) fn load(era: Era) -> Result<Self, Failure> {
        let wrong = |file| move |reason| Failure::Definitions { file, reason };
        let tools = serde_json::from_str(include_str!("tools.json"));
        let content = serde_json::from_str(include_str!("content.json"));
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(Failure::Random)?;
        Ok(Self {
            era,
            tools: tools.map_err(wrong("tools.json"))?,
            content: content.map_err(wrong("content.json"))?,
            tasks: TaskManager::new(),
            seal: RequestStateCodec::new(key),
            news: broadcast::Sender::new(BACKLOG),
        })
    }
}

/// The server, as one session sees it; in the modern era, as one request does.
pub(crate) struct Fixture {
    pub(crate) shared: Arc<Shared>,
    watched: Watched,
    quiet: AtomicBool,
    /// News from before a subscription was acknowledged: its client may cause some at once.
    early: Mutex<Option<broadcast::Receiver<News>>>,
}

impl Fixture {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let (watched, quiet) = (Watched::default(), AtomicBool::new(false));
        Self { shared, watched, quiet, early: Mutex::new(None) }
    }

    /// Whether the session wants log messages of the level `info`.
    pub(crate) fn wants_info(&self) -> bool {
        !self.quiet.load(Ordering::Relaxed)
    }

    fn early(&self) -> MutexGuard<'_, Option<broadcast::Receiver<News>>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, name: &str) -> Option<&Entry> {
        self.shared.tools.iter().find(|entry| entry.definition.name == name)
    }
}

fn not_found(uri: &str) -> ErrorData {
    ErrorData::resource_not_found("Resource not found", Some(json!({"uri": uri})))
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_logging()
            .enable_completions()
            .enable_prompts()
            .enable_prompts_list_changed()
            .enable_resources()
            .enable_resources_list_changed()
            .enable_resources_subscribe()
            .enable_tools()
            .enable_tool_list_changed();
        let mut capabilities = capabilities.build();
        if self.shared.era != Era::Legacy {
            let extensions = ServerCapabilities::builder()
                .enable_tasks()
                .enable_skills_with_directory_read()
                .build();
            capabilities.extensions = extensions.extensions;
        }
        let identity = Implementation::new("fixture-server", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(capabilities).with_server_info(identity)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        self.shared.era.revisions()
    }

    async fn discover(
        &self,
        _context: RequestContext<RoleServer>,
    ) -> Result<DiscoverResult, ErrorData> {
        if self.shared.era == Era::Legacy {
            return Err(ErrorData::method_not_found::<DiscoverRequestMethod>());
        }
        let revisions = self.supported_protocol_versions().into_owned();
        Ok(DiscoverResult::from_server_info(revisions, self.get_info()))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let news = self.shared.news.subscribe();
        tokio::spawn(news::tell(context.peer, news, self.watched.clone()));
    }

    async fn set_level(
        &self,
        request: SetLevelRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.quiet.store(!logging::set(&request), Ordering::Relaxed);
        Ok(())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let known = ["paris", "park", "party", "test"];
        let matching = known.iter().filter(|it| it.starts_with(&request.argument.value));
        let values = matching.map(ToString::to_string).collect();
        let info = CompletionInfo::with_all_values(values).map_err(crate::ask::internal)?;
        Ok(CompleteResult::new(info))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.shared.tools.iter().map(|entry| entry.definition.clone());
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.entry(name).map(|entry| entry.definition.clone())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match self.entry(&request.name) {
            Some(entry) => entry.call(self, request, &context).await,
            None => Err(ErrorData::invalid_params(format!("no tool `{}`", request.name), None)),
        }
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompts = self.shared.content.prompts.iter().map(|entry| entry.definition.clone());
        Ok(ListPromptsResult::with_all_items(prompts.collect()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let prompts = &self.shared.content.prompts;
        let Some(entry) = prompts.iter().find(|entry| entry.definition.name == request.name) else {
            return Err(ErrorData::invalid_params(format!("no prompt `{}`", request.name), None));
        };
        let mut data = json!({"arguments": request.arguments.unwrap_or_default()});
        let questions = Questions {
            owner: &request.name,
            rounds: std::slice::from_ref(&entry.inputs),
            sealed: false,
            possible_only: false,
            data: &data,
        };
        let brought = Brought { responses: request.input_responses, state: request.request_state };
        match questions.ask(&self.shared, brought, &context).await? {
            Asked::Open(result) => Ok(GetPromptResponse::from(*result)),
            Asked::Answered(answers) => {
                if let Some(data) = data.as_object_mut() {
                    data.extend(answers);
                }
                Ok(GetPromptResponse::from(GetPromptResult::new(entry.messages(&data)?)))
            }
        }
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let listed = self.shared.content.resources.iter().map(|entry| entry.definition.clone());
        Ok(ListResourcesResult::with_all_items(listed.collect()))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let listed = self.shared.content.templates.iter().map(|entry| entry.definition.clone());
        Ok(ListResourceTemplatesResult::with_all_items(listed.collect()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let contents = self.shared.content.read(&request.uri);
        let contents = contents.ok_or_else(|| not_found(&request.uri))?;
        Ok(ReadResourceResponse::from(ReadResourceResult::new(vec![contents])))
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if self.shared.content.read(&request.uri).is_none() {
            return Err(not_found(&request.uri));
        }
        self.watched.insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.watched.remove(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let mut accepted = requested.clone();
        if let Some(uris) = &mut accepted.resource_subscriptions {
            uris.retain(|uri| self.shared.content.read(uri).is_some());
        }
        *self.early() = Some(self.shared.news.subscribe());
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let early = self.early().take();
        let news = early.unwrap_or_else(|| self.shared.news.subscribe());
        news::serve(&context, news).await;
        Ok(())
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.shared.tasks.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&request.task_id)
    }

    async fn list_skills(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListSkillsResult, ErrorData> {
        Ok(ListSkillsResult::with_all_items(vec![self.shared.content.skill()]))
    }

    async fn get_skill(
        &self,
        request: GetSkillRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetSkillResult, ErrorData> {
        let skill = self.shared.content.skill();
        if skill.uri == request.uri {
            Ok(GetSkillResult::new(skill))
        } else {
            Err(ErrorData::invalid_params(format!("no skill `{}`", request.uri), None))
        }
    }

    async fn read_resource_directory(
        &self,
        request: ReadResourceDirectoryRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let children = self.shared.content.children(&request.uri);
        let none = || ErrorData::invalid_params(format!("`{}` is no folder", request.uri), None);
        children.map(ListResourcesResult::with_all_items).ok_or_else(none)
    }
}
