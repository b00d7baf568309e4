//! The tools, as `tools.json` defines them.
use std::time::Duration;

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ResultType, Tool,
    },
    service::RequestContext,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    ask::{Asked, Brought, Inputs, Questions},
    handler::Fixture,
    logging,
    news::News,
    session::OpenStream,
    task::{Called, Work},
    template::fill,
};

/// How long the client is away that was hung up on.
const AWAY: Duration = Duration::from_millis(200);

/// A tool, and what it does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) definition: Tool,
    does: Does,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Does {
    /// Always says the same.
    Answer(CallToolResult),
    /// Says what it was told, and was answered.
    Ask(Ask),
    Task(Work),
    Announce(News),
    Log,
    LogOnce,
    Progress,
    Reconnect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    rounds: Vec<Inputs>,
    says: String,
    #[serde(default)]
    sealed: bool,
    #[serde(default)]
    possible_only: bool,
}

impl Entry {
    pub(crate) async fn call(
        &self,
        fixture: &Fixture,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let brought = Brought { responses: request.input_responses, state: request.request_state };
        let name = self.definition.name.as_ref();
        let said = match &self.does {
            Does::Answer(answer) => {
                let mut answer = answer.clone();
                answer.result_type = Some(ResultType::COMPLETE);
                return Ok(CallToolResponse::from(answer));
            }
            Does::Ask(ask) => {
                let data = json!({"arguments": arguments});
                return ask.call(fixture, name, (data, brought), context).await;
            }
            Does::Task(work) => {
                let call = Called { name, arguments: &arguments, brought };
                return work.call(&fixture.shared, call, context).await;
            }
            Does::Announce(news) => {
                // Without a listener nobody misses it.
                fixture.shared.news.send(*news).ok();
                "announced"
            }
            Does::Log => {
                let lines =
                    ["Tool execution started", "Tool processing data", "Tool execution completed"];
                logging::log(&lines, fixture.wants_info(), context).await;
                "logged"
            }
            Does::LogOnce => {
                logging::log(&["Tool executed"], fixture.wants_info(), context).await;
                "logged"
            }
            Does::Progress => {
                logging::progress(context).await;
                "done"
            }
            Does::Reconnect => {
                if let Some(stream) = context.extensions.get::<OpenStream>() {
                    stream.hang_up().await;
                    tokio::time::sleep(AWAY).await;
                }
                "still here"
            }
        };
        Ok(says(said))
    }
}

impl Ask {
    async fn call(
        &self,
        fixture: &Fixture,
        owner: &str,
        (mut data, brought): (Value, Brought),
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let questions = Questions {
            owner,
            rounds: &self.rounds,
            sealed: self.sealed,
            possible_only: self.possible_only,
            data: &data,
        };
        match questions.ask(&fixture.shared, brought, context).await? {
            Asked::Open(result) => Ok(CallToolResponse::from(*result)),
            Asked::Answered(answers) => {
                if let Some(data) = data.as_object_mut() {
                    data.extend(answers);
                }
                Ok(says(fill(&self.says, &data)))
            }
        }
    }
}

fn says(text: impl Into<String>) -> CallToolResponse {
    CallToolResponse::from(CallToolResult::success(vec![ContentBlock::text(text)]))
}
