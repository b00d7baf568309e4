//! Tools that work as tasks (the extension of the modern era) where the client knows tasks.
use std::time::Duration;

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, CreateTaskResult,
        InputRequest,
    },
    service::RequestContext,
    task_manager::{TaskContext, TaskExit, TaskOptions},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::{
    ask::{Asked, Brought, Inputs, Questions, typed},
    era::is_modern,
    handler::Shared,
    template::{fill, fill_all},
};

/// How long a task is kept, in milliseconds.
const TTL_MS: u64 = 120_000;
/// How often a client should look, in milliseconds.
const POLL_MS: u64 = 100;
/// A computation takes at most so long, in seconds.
const MOST_SECONDS: f64 = 60.0;

/// What a task does.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Job {
    /// Sleeps. The only one that also works without tasks.
    SlowCompute,
    /// Its tool fails.
    Failing,
    /// Something other than its tool fails.
    ProtocolError,
    /// Waits for a confirmation.
    ConfirmDelete,
    /// Waits for two answers.
    MultiInput,
    /// Asks before it becomes a task.
    NameFirst,
}

/// A tool that works as a task.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Work {
    job: Job,
    #[serde(default)]
    inputs: Inputs,
}

impl Work {
    pub(crate) async fn call(
        &self,
        shared: &Shared,
        call: Called<'_>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let modern = is_modern(context);
        let tasks = context.client_capabilities().is_some_and(|it| it.supports_tasks());
        if modern && !tasks && self.job != Job::SlowCompute {
            let needed = ClientCapabilities::builder().enable_tasks().build();
            return Err(ErrorData::missing_required_client_capability(needed));
        }
        let mut data = json!({"arguments": call.arguments});
        if !modern || self.job == Job::NameFirst {
            let questions = Questions {
                owner: call.name,
                rounds: std::slice::from_ref(&self.inputs),
                sealed: true,
                possible_only: false,
                data: &data,
            };
            match questions.ask(shared, call.brought, context).await? {
                Asked::Answered(answers) => merge(&mut data, answers),
                Asked::Open(result) => return Ok(CallToolResponse::from(*result)),
            }
        }
        if !modern || !tasks {
            return Ok(CallToolResponse::from(self.job.done(&data).await?));
        }
        let (job, inputs) = (self.job, self.inputs.clone());
        let options = TaskOptions::new().with_ttl_ms(TTL_MS).with_poll_interval_ms(POLL_MS);
        let task =
            shared.tasks.spawn(options, |task| Box::pin(job.run_as_task(inputs, data, task)));
        Ok(CallToolResponse::from(CreateTaskResult::new(task)))
    }
}

/// A call of such a tool.
pub(crate) struct Called<'a> {
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a Map<String, Value>,
    pub(crate) brought: Brought,
}

impl Job {
    async fn run_as_task(
        self,
        inputs: Inputs,
        mut data: Value,
        task: TaskContext,
    ) -> Result<CallToolResult, TaskExit> {
        let cancelled = task.clone();
        let work = async {
            if self != Self::NameFirst {
                let answers = answers(&inputs, &data, &task).await?;
                merge(&mut data, answers);
            }
            Ok(self.done(&data).await?)
        };
        tokio::select! {
            done = work => done,
            () = cancelled.cancelled() => Err(TaskExit::Cancelled),
        }
    }

    async fn done(self, data: &Value) -> Result<CallToolResult, ErrorData> {
        let seconds = data.pointer("/arguments/seconds").and_then(Value::as_f64).unwrap_or(0.2);
        let seconds = if seconds.is_finite() { seconds.clamp(0.0, MOST_SECONDS) } else { 0.0 };
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        let says = match self {
            Self::SlowCompute => "Computed for {arguments.seconds} s: {arguments.label}",
            Self::ConfirmDelete => "{arguments.filename}: {confirm.action}",
            Self::MultiInput => "{first.content.name}, {second.content.name}",
            Self::NameFirst => "Worked for {user_name.content.name}",
            Self::Failing => {
                let said = vec![ContentBlock::text("This job fails, as it should.")];
                return Ok(CallToolResult::error(said));
            }
            Self::ProtocolError => {
                return Err(ErrorData::internal_error("this job breaks, as it should", None));
            }
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(fill(says, data))]))
    }
}

/// Asks for all `inputs` at once.
async fn answers(inputs: &Inputs, data: &Value, task: &TaskContext) -> Result<Inputs, TaskExit> {
    let mut asked = JoinSet::<Result<(String, Value), TaskExit>>::new();
    for (key, request) in inputs {
        let request: InputRequest = typed(fill_all(request, data))?;
        let (task, key) = (task.clone(), key.clone());
        asked.spawn(async move {
            let answer = task.request_input(key.clone(), request).await?;
            Ok((key, answer))
        });
    }
    let mut answers = Inputs::new();
    while let Some(answer) = asked.join_next().await {
        let failed = |error| ErrorData::internal_error(format!("{error}"), None);
        let (key, answer) = answer.map_err(failed)??;
        answers.insert(key, answer);
    }
    Ok(answers)
}

fn merge(data: &mut Value, answers: Inputs) {
    if let Some(data) = data.as_object_mut() {
        data.extend(answers);
    }
}
