//! The conversation at hand: what was said, where it is kept, and by what name the gateway knows
//! it.
use std::{cell::RefCell, sync::Arc};

use tagout_gateway::{Gateway, said};
use tagout_host::{JournalError, Said, Session, Unkept, What};
use tagout_llm::{Message, Role};

use super::start::Start;
use crate::{
    cli::How,
    conversation::{Conversations, Kept, Recorder, Resumed, Spent, Which},
    failure::Failure,
    places::Places,
};

/// The conversation at hand.
pub(crate) struct Conversation {
    name: String,
    kept: Kept,
    /// What was said before, until a session takes it over.
    messages: RefCell<Vec<Message>>,
    earlier: usize,
    /// What was spent before.
    spent: Spent,
    keeps: bool,
    /// What the audit log calls it, once a gateway knows it.
    on_record: RefCell<Option<tagout_proto::Conversation>>,
}

impl Conversation {
    /// The one that the command line names, or a new one.
    pub(crate) fn open(places: &Places, start: &Start, how: &How) -> Result<Self, Failure> {
        let which = match &how.resume {
            Some(named) => Some(Which::Named(named.clone())),
            None => how.goes_on.then_some(Which::Last),
        };
        Self::of(places, start, which.as_ref(), !how.no_keep)
    }

    /// A new one that is kept nowhere, and on record all the same.
    pub(crate) fn unkept(places: &Places, start: &Start) -> Result<Self, Failure> {
        Self::of(places, start, None, false)
    }

    /// Another one, by its identifier, or a new one.
    pub(crate) fn other(
        &self,
        places: &Places,
        start: &Start,
        which: Option<String>,
    ) -> Result<Self, Failure> {
        Self::of(places, start, which.map(Which::Named).as_ref(), self.keeps)
    }

    fn of(
        places: &Places,
        start: &Start,
        which: Option<&Which>,
        keeps: bool,
    ) -> Result<Self, Failure> {
        let all = Conversations::open(places, &start.config)?;
        let model = &start.model.name;
        let new = |kept| Resumed { kept, messages: Vec::new(), spent: Spent::default() };
        let Resumed { kept, messages, spent } = match which {
            Some(which) => all.resume(which, model, None)?,
            None if keeps => new(all.begin(model, None)?),
            None => new(all.nowhere()),
        };
        let name = kept.name();
        let name = name.map_err(|error| Failure::of(&error, error.code, ""))?;
        let earlier = messages.len();
        let messages = RefCell::new(messages);
        Ok(Self { name, kept, messages, earlier, spent, keeps, on_record: RefCell::default() })
    }

    /// The name under which the gateway knows it.
    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    /// Lets `session` go on with it; what is said is put on record by `gateway`.
    pub(crate) fn go_on(
        &self,
        session: &mut Session,
        gateway: &Arc<Gateway>,
    ) -> Result<(), Failure> {
        let client = tagout_host::CLIENT;
        let conversation = gateway
            .conversation_called(&self.name, client)
            .map_err(|error| Failure::of(&error, error.code(), error.help()))?;
        let (gateway, of) = (Arc::clone(gateway), conversation.clone());
        let recorder: Recorder = Box::new(move |said| {
            let principal = gateway.principal();
            let number = recorded(said, |said| gateway.say(principal, &of, said));
            number.map(Some).map_err(|error| JournalError {
                code: error.code(),
                message: format!("{error}; {}", error.help()),
            })
        });
        *self.on_record.borrow_mut() = Some(conversation);
        self.kept.record_with(recorder);
        session.keep_with(Box::new(self.kept.clone()));
        session.resume(self.messages.take());
        Ok(())
    }

    /// Nothing is put on record any more: the gateway that did so is ending.
    pub(crate) fn rest(&self, session: &mut Session) {
        session.keep_with(Box::new(Unkept));
        self.kept.record_no_more();
        *self.messages.borrow_mut() = session.conversation().to_vec();
    }

    /// What the audit log calls it.
    pub(crate) fn on_record(&self) -> Option<tagout_proto::Conversation> {
        self.on_record.borrow().clone()
    }

    /// Another model answers from now on.
    pub(crate) fn answered_by(&self, model: &str) {
        self.kept.answered_by(model);
    }

    /// Its identifier, once something of it is kept.
    pub(crate) fn id(&self) -> Option<String> {
        self.kept.id().map(|id| id.to_string())
    }

    /// What the person typed before, for going through with the arrow keys.
    pub(crate) fn typed(&self) -> Vec<String> {
        let messages = self.messages.borrow();
        let own = messages.iter().filter(|message| message.role == Role::User);
        own.map(Message::joined_text).filter(|text| !text.contains('\n')).collect()
    }

    /// What it had cost when it was taken up again.
    pub(crate) const fn spent(&self) -> Spent {
        self.spent
    }

    /// The last question of the person, and what was answered to it, before a session takes it over.
    pub(crate) fn last_exchange(&self) -> Option<(String, String)> {
        let messages = self.messages.borrow();
        let asked = messages.iter().rposition(|message| message.role == Role::User)?;
        let (question, after) = messages.get(asked..)?.split_first()?;
        let answers = after.iter().rev().filter(|message| message.role == Role::Assistant);
        let answer = answers.map(Message::joined_text).find(|text| !text.is_empty());
        Some((question.joined_text(), answer.unwrap_or_default()))
    }

    /// What to say first.
    pub(crate) fn greeting(&self) -> String {
        match (self.earlier, self.keeps) {
            (0, true) => "A new session.".to_owned(),
            (0, false) => "A new session, which is not kept.".to_owned(),
            (count, _) => {
                let name = self.name.get(..8).unwrap_or(&self.name);
                format!("Going on with {name}, {count} messages so far.")
            }
        }
    }
}

/// Hands what the host says to the gateway, in its terms.
fn recorded<T>(said: &Said<'_>, say: impl FnOnce(&said::Said<'_>) -> T) -> T {
    let calls: Vec<_> = said
        .calls
        .iter()
        .map(|call| said::Proposed { id: &call.id, tool: &call.tool, arguments: call.arguments })
        .collect();
    let results: Vec<_> =
        said.results.iter().map(|result| (result.id.as_str(), result.record)).collect();
    let tokens = said.usage.map(|usage| tagout_audit::Tokens {
        input: usage.input_tokens,
        output: usage.output_tokens,
    });
    say(&said::Said {
        what: match said.what {
            What::Prompt => tagout_audit::What::Prompt,
            What::Request => tagout_audit::What::Request,
            What::Response => tagout_audit::What::Response,
            What::Stopped => tagout_audit::What::Stopped,
        },
        cause: said.cause,
        model: said.model,
        content: said.content,
        calls: &calls,
        results: &results,
        tokens,
    })
}
