//! The conversation at a terminal: lines in, what happens out.
use std::{
    io::{self, IsTerminal as _},
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tagout_gateway::Gateway;
use tagout_host::{Answer, HostError, PromptArgumentSpec, Question, Session};
use tagout_llm::Provider as _;
use tagout_terminal::{Editor, Hush, Read, Screen, Size, Tone};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
};
use tokio_util::sync::CancellationToken;

use super::{
    commands::{self, Flow},
    complete::{self, Offers},
    input::{self, Input},
    kept::Conversation,
    painter::Painter,
    person::Person,
    spent::Spent,
    start::{self, Model, Start},
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
    gateway: &'a Gateway,
    pub(crate) conversation: &'a Conversation,
    pub(crate) painter: Arc<Painter>,
    pub(crate) offers: Arc<Mutex<Offers>>,
    pub(crate) spent: &'a mut Spent,
    stop: CancellationToken,
    /// Tells whoever waits of Ctrl-C; what nobody waits for was meant for something else.
    interrupts: Arc<Notify>,
    /// Whether Ctrl-C was what the person did last.
    pressed: bool,
}

/// So many lines of what was said last are shown when a conversation goes on.
const LAST_LINES: usize = 30;
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
    let _forgotten = start.forgotten_pictures();
    let mut conversation = Conversation::open(places, &start, how)?;
    let mut spent = Spent::of(&conversation);
    let screen = screen(&start);
    let painter = Painter::new(screen.clone(), start.pictures.clone());
    greet(&start, &painter);
    begin(&conversation, &painter);
    painter.before_prompt();
    let offers: Arc<Mutex<Offers>> = Arc::default();
    let mut editor = Some(editor(&screen, &conversation, &offers)?);
    loop {
        let left = in_runtime(async {
            let stop = stop_on(&[SignalKind::terminate(), SignalKind::hangup()])?;
            let options = start.options(stop.clone(), Some(conversation.name()), true);
            let painter = Arc::new(Painter::new(screen.clone(), start.pictures.clone()));
            with_gateway(places, options, stop.clone(), async |session, gateway| {
                conversation.go_on(session, gateway)?;
                let interrupts = presses()?;
                let mut live = Live {
                    places,
                    start: &mut start,
                    session,
                    gateway,
                    conversation: &conversation,
                    painter: Arc::clone(&painter),
                    offers: Arc::clone(&offers),
                    spent: &mut spent,
                    stop: stop.clone(),
                    interrupts,
                    pressed: false,
                };
                let left = live.talk(&mut editor).await;
                conversation.rest(session);
                left
            })
            .await
        })?;
        match left {
            Leave::Quit => break,
            Leave::Other(which) => {
                conversation = conversation.other(places, &start, which)?;
                spent = Spent::of(&conversation);
                let painter = Painter::new(at_last(&screen), start.pictures.clone());
                begin(&conversation, &painter);
                painter.before_prompt();
            }
        }
    }
    if let Some(id) = conversation.id() {
        let short = id.get(..8).unwrap_or(&id);
        crate::output::aside(format_args!("\nGo on with `tagout chat --resume {short}`."));
    }
    Ok(Ended::Done.into())
}

/// Tells of every Ctrl-C from now on.
fn presses() -> Result<Arc<Notify>, Failure> {
    let mut interrupts = signal(SignalKind::interrupt())
        .map_err(|error| Failure::io(Path::new("signals"), error))?;
    let presses = Arc::new(Notify::new());
    let tells = Arc::downgrade(&presses);
    tokio::spawn(async move {
        while let (Some(()), Some(presses)) = (interrupts.recv().await, tells.upgrade()) {
            presses.notify_waiters();
        }
    });
    Ok(presses)
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

/// The terminal, as large as it is by now.
fn at_last(screen: &Screen) -> Screen {
    Size::of(io::stdout()).map_or_else(|| screen.clone(), |size| screen.clone().with_size(size))
}

fn greet(start: &Start, painter: &Painter) {
    let info = start.model.metered.describe();
    painter.tell(Tone::Strong, &format!("Tagout · {} · {}", info.name, info.note));
    painter.aside("/help says what there is; Ctrl-C stops an answer, Ctrl-D ends.");
}

/// Says which conversation it is, and what was said last in it.
fn begin(conversation: &Conversation, painter: &Painter) {
    painter.aside(&conversation.greeting());
    let Some((question, answer)) = conversation.last_exchange() else { return };
    painter.tell(Tone::Strong, &format!("\n› {question}\n"));
    let lines: Vec<_> = answer.lines().collect();
    let shown = lines.get(..LAST_LINES).unwrap_or(&lines);
    painter.markdown(&shown.join("\n"));
    if lines.len() > shown.len() {
        let more = lines.len() - shown.len();
        painter.aside(&format!("… and {more} more lines: `tagout sessions show` has all of it"));
    }
}

impl Live<'_> {
    async fn talk(&mut self, editor: &mut Option<Editor>) -> Result<Leave, Failure> {
        self.look_at_offers().await;
        loop {
            self.painter.before_prompt();
            let Some(read) = self.read_line(editor).await else { return Ok(Leave::Quit) };
            self.painter.typed();
            if let Some(size) = Size::of(io::stdout()) {
                self.painter.resized(size);
            }
            let line = match read {
                Read::Text(text) => text,
                Read::TooLong => {
                    self.painter
                        .tell(Tone::Bad, "That is more than a megabyte: attach what is long.");
                    continue;
                }
                Read::Interrupted if self.pressed => return Ok(Leave::Quit),
                Read::Interrupted => {
                    self.pressed = true;
                    self.painter.aside("Once more, or Ctrl-D, or /quit, ends the session.");
                    continue;
                }
                Read::End => return Ok(Leave::Quit),
            };
            self.pressed = false;
            if let Some(editor) = editor.as_mut().filter(|_| !line.trim().is_empty()) {
                editor.remember(&line);
            }
            if let Some(leave) = self.take(&line).await? {
                return Ok(leave);
            }
        }
    }

    /// Does what a line says; gives the way out, where that is what it says.
    async fn take(&mut self, line: &str) -> Result<Option<Leave>, Failure> {
        let (stop, painter) = (self.stop.clone(), Arc::clone(&self.painter));
        let interrupts = Arc::clone(&self.interrupts);
        let flow = tokio::select! {
            biased;
            flow = self.understood(line) => flow?,
            () = stop.cancelled() => return Ok(Some(Leave::Quit)),
            () = interrupts.notified() => {
                painter.tell(Tone::Bad, "stopped");
                self.pressed = true;
                Flow::On
            }
        };
        drop(painter.device().await);
        match flow {
            Flow::On => Ok(None),
            Flow::Leave(leave) => Ok(Some(leave)),
            Flow::Ask(question) => self.ask_if_agreed(question).await,
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
            let resource = self
                .fetch(async |session, person| session.attach_asking(server, uri, person).await);
            attached.push(resource.await?);
            self.painter.aside(&format!("attached {uri} of {server}"));
        }
        Ok(attached)
    }

    /// Waits for what is to be attached; the person may be asked whether it may be had, and gives
    /// up on it by Ctrl-C.
    pub(crate) async fn fetch<T>(
        &mut self,
        fetch: impl AsyncFnOnce(&mut Session, &mut Person) -> Result<T, HostError>,
    ) -> Result<T, Failure> {
        let stop = self.stop.child_token();
        self.session.stop_by(stop.clone());
        let mut person = self.person();
        let fetched = {
            let _quiet = Hush::new();
            let mut fetching = std::pin::pin!(fetch(self.session, &mut person));
            let mut tick = tokio::time::interval(TICK);
            let mut pressed = std::pin::pin!(self.interrupts.notified());
            loop {
                tokio::select! {
                    biased;
                    fetched = &mut fetching => break fetched,
                    () = &mut pressed => {
                        stop.cancel();
                        pressed.set(self.interrupts.notified());
                    }
                    _ = tick.tick() => self.painter.tick(),
                }
            }
        };
        self.painter.rest();
        fetched.map_err(|error| Failure::of(&error, error.code(), ""))
    }

    /// Asks for what a prompt needs.
    pub(crate) async fn ask_for(&self, argument: &PromptArgumentSpec) -> Option<String> {
        let about = argument.description.as_deref().map(|about| format!(" — {about}"));
        let text = format!("{}{}", argument.name, about.unwrap_or_default());
        let typed = self.person().line(text, format!("{}:", argument.name)).await?;
        Some(typed.trim().to_owned())
    }

    fn person(&self) -> Person {
        let limit = self.start.options(self.stop.clone(), None, true).call_timeout;
        Person::new(Arc::clone(&self.painter), limit, start::others(self.places))
    }

    pub(crate) fn trouble(&self, failure: &Failure) {
        self.painter.tell(Tone::Bad, &format!("{} [{}]", failure.message(), failure.code()));
        if let Some(help) = failure.help() {
            self.painter.aside(help);
        }
    }

    /// Makes sure that what is said may go to `model`; the person is asked where that was not agreed
    /// to, or was taken back since.
    pub(crate) async fn agree(&self, model: &Model) -> Result<(), Failure> {
        let Some(consent) = model.consent.as_deref().filter(|consent| !consent.holds()) else {
            return Ok(());
        };
        let prompt = "Agree? Type `yes` to go ahead:".to_owned();
        let line = self.person().line(consent.question(), prompt).await;
        if line.is_some_and(|line| line.trim() == "yes") {
            return consent.give(self.gateway);
        }
        Err(consent.missing(Ended::Refused))
    }

    async fn ask_if_agreed(&mut self, question: Question) -> Result<Option<Leave>, Failure> {
        let (stop, interrupts) = (self.stop.clone(), Arc::clone(&self.interrupts));
        let agreed = tokio::select! {
            biased;
            agreed = self.agree(&self.start.model) => agreed,
            () = stop.cancelled() => return Ok(Some(Leave::Quit)),
            () = interrupts.notified() => {
                self.pressed = true;
                let consent = self.start.model.consent.as_ref();
                consent.map_or(Ok(()), |consent| Err(consent.missing(Ended::Refused)))
            }
        };
        drop(self.painter.device().await);
        match agreed {
            Ok(()) => self.ask(question).await,
            Err(failure) => {
                self.trouble(&failure);
                Ok(None)
            }
        }
    }

    /// Works on a question; gives the way out, where the person wants to leave.
    async fn ask(&mut self, question: Question) -> Result<Option<Leave>, Failure> {
        let turn = self.stop.child_token();
        self.session.stop_by(turn.clone());
        let mut person = self.person();
        let before = self.start.model.metered.total();
        let answered = {
            let _quiet = Hush::new();
            let asking = self.session.ask(question, &mut person);
            let mut asking = std::pin::pin!(asking);
            let mut tick = tokio::time::interval(TICK);
            let mut pressed = std::pin::pin!(self.interrupts.notified());
            loop {
                tokio::select! {
                    biased;
                    answered = &mut asking => break Some(answered),
                    () = &mut pressed => {
                        if turn.is_cancelled() {
                            break None;
                        }
                        turn.cancel();
                        pressed.set(self.interrupts.notified());
                    }
                    _ = tick.tick() => self.painter.tick(),
                }
            }
        };
        self.painter.rest();
        drop(self.painter.device().await);
        let Some(answered) = answered else { return Ok(Some(Leave::Quit)) };
        self.pressed = turn.is_cancelled();
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
        let offers = complete::offers(self.places, self.session, &self.start.config).await;
        *self.offers.lock().unwrap_or_else(PoisonError::into_inner) = offers;
    }
}
