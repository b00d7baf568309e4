//! The conversation at a terminal: lines in, what happens out.
use std::{
    io::{self, IsTerminal as _},
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tagout_host::{Answer, HostError, Question, Session};
use tagout_terminal::{Editor, Read, Screen, Size};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    commands::{self, Flow},
    complete::{self, Offers},
    input::{self, Input},
    kept::Conversation,
    painter::Painter,
    person::Person,
    spent::Spent,
    start::Start,
};
use crate::{
    cli::How,
    command::{in_runtime, stop_on, with_gateway},
    failure::{Ended, Failure},
    models::Total,
    places::Places,
};

/// Why a session at the terminal ended.
pub(crate) enum Leave {
    /// The person has had enough.
    Quit,
    /// The person goes on with another session, or with a new one.
    Other(Option<String>),
}

/// A session at the terminal.
pub(crate) struct Live<'a> {
    pub(crate) places: &'a Places,
    pub(crate) start: &'a mut Start,
    pub(crate) session: &'a mut Session,
    pub(crate) conversation: &'a Conversation,
    pub(crate) painter: Arc<Painter>,
    pub(crate) offers: Arc<Mutex<Offers>>,
    pub(crate) spent: &'a mut Spent,
    stop: CancellationToken,
    interrupts: Signal,
}

/// How often what goes on is drawn again.
const TICK: Duration = Duration::from_millis(120);

/// Talks until the person has had enough.
pub(crate) fn chat(places: &Places, how: &How) -> Result<ExitCode, Failure> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let help = "ask one question with `tagout ask`, or with `-p`";
        return Err(Failure::usage("chat-no-terminal", "there is no terminal to talk at", help));
    }
    let _modes = super::modes::Kept::of_terminal();
    let mut start = Start::new(places, how, true)?;
    let mut conversation = Conversation::open(places, &start, how)?;
    let mut spent = Spent::default();
    let screen = screen(&start);
    greet(&start, &conversation, &screen);
    let offers: Arc<Mutex<Offers>> = Arc::default();
    let mut editor = Some(editor(&screen, &conversation, &offers)?);
    loop {
        let left = in_runtime(async {
            let stop = stop_on(&[SignalKind::terminate(), SignalKind::hangup()])?;
            let options = start.options(stop.clone(), Some(conversation.name()), true);
            let painter = Arc::new(Painter::new(screen.clone(), start.pictures.clone()));
            with_gateway(places, options, stop.clone(), async |session, gateway| {
                conversation.go_on(session, gateway)?;
                let interrupts = signal(SignalKind::interrupt())
                    .map_err(|error| Failure::io(Path::new("signals"), error))?;
                let mut live = Live {
                    places,
                    start: &mut start,
                    session,
                    conversation: &conversation,
                    painter: Arc::clone(&painter),
                    offers: Arc::clone(&offers),
                    spent: &mut spent,
                    stop: stop.clone(),
                    interrupts,
                };
                let left = live.talk(&mut editor).await;
                conversation.rest(session);
                left
            })
            .await
        })?;
        match left {
            Leave::Quit => break,
            Leave::Other(which) => conversation = conversation.other(places, &start, which)?,
        }
    }
    if let Some(id) = conversation.id() {
        crate::output::aside(format_args!("\nGo on with `tagout chat --resume {id}`."));
    }
    Ok(Ended::Done.into())
}

fn editor(
    screen: &Screen,
    conversation: &Conversation,
    offers: &Arc<Mutex<Offers>>,
) -> Result<Editor, Failure> {
    let offers = Arc::clone(offers);
    let complete = move |line: &str, at: usize| {
        let offers = offers.lock().unwrap_or_else(PoisonError::into_inner);
        complete::complete(&offers, line, at)
    };
    Editor::new(screen, conversation.typed(), Some(Box::new(complete)))
        .map_err(|error| Failure::io(Path::new("terminal"), error))
}

/// The terminal that this process talks to.
pub(super) fn screen(start: &Start) -> Screen {
    let variable = |name: &str| std::env::var(name).ok();
    let screen = Screen::detect(variable, io::stdout().is_terminal(), Size::of(io::stdout()));
    super::pictures::wished(start.config.host.pictures)
        .map_or(screen.clone(), |wished| screen.with_pictures(wished))
}

fn greet(start: &Start, conversation: &Conversation, screen: &Screen) {
    use tagout_llm::Provider as _;
    use tagout_terminal::{Tone, paint};
    let info = start.model.metered.describe();
    let told = format!("Tagout · {} · {}", info.name, info.note);
    crate::output::aside(paint(&told, Tone::Strong, screen));
    crate::output::aside(paint(&conversation.greeting(), Tone::Quiet, screen));
    let help = "/help says what there is; Ctrl-C stops an answer, Ctrl-D ends.";
    crate::output::aside(paint(help, Tone::Quiet, screen));
}

impl Live<'_> {
    async fn talk(&mut self, editor: &mut Option<Editor>) -> Result<Leave, Failure> {
        self.look_at_offers().await;
        loop {
            if let Some(size) = Size::of(io::stdout()) {
                self.painter.resized(size);
            }
            let Some(read) = self.read_line(editor).await else { return Ok(Leave::Quit) };
            let line = match read {
                Read::Text(text) => text,
                Read::TooLong => {
                    self.painter.trouble("That is more than a megabyte: attach what is long.");
                    continue;
                }
                Read::Interrupted => {
                    self.painter.aside("Ctrl-D or /quit ends the session.");
                    continue;
                }
                Read::End => return Ok(Leave::Quit),
            };
            if let Some(editor) = editor.as_mut().filter(|_| !line.trim().is_empty()) {
                editor.remember(&line);
            }
            match self.understood(&line).await? {
                Flow::On => {}
                Flow::Leave(leave) => return Ok(leave),
                Flow::Ask(question) => {
                    if let Some(leave) = self.ask(question).await? {
                        return Ok(leave);
                    }
                }
            }
        }
    }

    /// The next line; nothing if this process is to end.
    async fn read_line(&self, editor: &mut Option<Editor>) -> Option<Read> {
        let mut own = editor.take()?;
        let reading = tokio::task::spawn_blocking(move || {
            let read = own.read("> ");
            (own, read)
        });
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            done = reading => {
                let (own, read) = done.ok()?;
                *editor = Some(own);
                Some(read.unwrap_or(Read::End))
            }
        }
    }

    async fn understood(&mut self, line: &str) -> Result<Flow, Failure> {
        Ok(match input::read(line) {
            Input::Empty => Flow::On,
            Input::Command { name, rest } => commands::run(self, &name, &rest).await?,
            Input::Question { words, attached } => match self.attach(&attached).await {
                Ok(attached) => Flow::Ask(Question { words, attached }),
                Err(failure) => {
                    self.trouble(&failure);
                    Flow::On
                }
            },
        })
    }

    async fn attach(
        &mut self,
        wanted: &[(String, String)],
    ) -> Result<Vec<tagout_host::Attached>, Failure> {
        let mut attached = Vec::new();
        for (server, uri) in wanted {
            let resource = self.session.attach(server, uri).await;
            attached.push(resource.map_err(|error| Failure::of(&error, error.code(), ""))?);
            self.painter.aside(&format!("attached {uri} of {server}"));
        }
        Ok(attached)
    }

    pub(crate) fn trouble(&self, failure: &Failure) {
        self.painter.trouble(&format!("{} [{}]", failure.message(), failure.code()));
        if let Some(help) = failure.help() {
            self.painter.aside(help);
        }
    }

    /// Works on a question; gives the way out, where the person wants to leave.
    async fn ask(&mut self, question: Question) -> Result<Option<Leave>, Failure> {
        let turn = self.stop.child_token();
        self.session.stop_by(turn.clone());
        let limit = self.start.options(turn.clone(), None, true).call_timeout;
        let mut person = Person::new(Arc::clone(&self.painter), limit);
        let before = self.start.model.metered.total();
        let answered = {
            let _quiet = super::modes::Quiet::new();
            let asking = self.session.ask(question, &mut person);
            let mut asking = std::pin::pin!(asking);
            let mut tick = tokio::time::interval(TICK);
            let mut pressed = false;
            loop {
                tokio::select! {
                    biased;
                    answered = &mut asking => break Some(answered),
                    Some(()) = self.interrupts.recv() => {
                        if std::mem::replace(&mut pressed, true) {
                            break None;
                        }
                        turn.cancel();
                    }
                    _ = tick.tick() => self.painter.tick(),
                }
            }
        };
        self.painter.rest();
        let Some(answered) = answered else { return Ok(Some(Leave::Quit)) };
        self.over(answered, &before);
        Ok(self.stop.is_cancelled().then_some(Leave::Quit))
    }

    fn over(&mut self, answered: Result<Answer, HostError>, before: &Total) {
        if let Err(error) = answered {
            self.trouble(&Failure::of(&error, error.code(), ""));
        }
        let told = self.spent.add(&self.start.model, before);
        if let Some(told) = told {
            self.painter.aside(&told);
        }
    }

    /// What can be completed.
    pub(crate) async fn look_at_offers(&mut self) {
        let offers = complete::offers(self.session, &self.start.config).await;
        *self.offers.lock().unwrap_or_else(PoisonError::into_inner) = offers;
    }
}
