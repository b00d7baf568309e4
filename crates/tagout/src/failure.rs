//! Why a command did not do what it was asked to, for people and for programs.
use std::{
    error::Error,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

/// How a command ended, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Refused = 3,
    NeedsApproval = 4,
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        Self::from(ended as u8)
    }
}

impl Ended {
    /// How a command ends whose call was refused with `code`.
    pub(crate) fn refused(code: &str) -> Self {
        match code {
            "approval-unavailable" | "approval-expired" => Self::NeedsApproval,
            _ => Self::Refused,
        }
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    ended: Ended,
    code: String,
    message: String,
    help: Option<String>,
    /// With its place in a file.
    diagnostic: Option<Box<dyn Diagnostic + Send + Sync>>,
}

impl Failure {
    pub(crate) fn new(ended: Ended, code: &str, message: impl ToString) -> Self {
        let (code, message) = (code.to_owned(), message.to_string());
        Self { ended, code, message, help: None, diagnostic: None }
    }

    pub(crate) fn usage(code: &str, message: impl ToString, help: &str) -> Self {
        Self::new(Ended::Usage, code, message).with_help(help)
    }

    pub(crate) fn with_help(mut self, help: &str) -> Self {
        self.help = Some(help.to_owned()).filter(|help| !help.is_empty());
        self
    }

    /// Its stable code.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// What happened, with its place in a file as people see it.
    pub(crate) fn with_place(&self) -> String {
        let Some(diagnostic) = &self.diagnostic else { return self.message.clone() };
        let mut place = None;
        if let (Some(source), Some(label)) =
            (diagnostic.source_code(), diagnostic.labels().and_then(|mut labels| labels.next()))
        {
            place = source.read_span(label.inner(), 0, 0).ok().map(|found| {
                let name = found.name().unwrap_or_default();
                format!("{name}:{}:{}: ", found.line() + 1, found.column() + 1)
            });
        }
        format!("{}{}", place.unwrap_or_default(), self.message)
    }

    /// What to do about it.
    pub(crate) fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// What happened.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// A file that cannot be read or written.
    pub(crate) fn io(path: &Path, error: io::Error) -> Self {
        let message = format!("`{}`: {error}", path.display());
        Self::new(Ended::Failed, "file-unusable", message)
    }

    /// An error that shows its place in a file.
    pub(crate) fn at_place(diagnostic: impl Diagnostic + Send + Sync + 'static) -> Self {
        let code = diagnostic.code().map(|code| code.to_string()).unwrap_or_default();
        let help = diagnostic.help().map(|help| help.to_string());
        let message = diagnostic.to_string();
        let diagnostic = Some(Box::new(diagnostic) as Box<_>);
        Self { ended: Ended::Usage, code, message, help, diagnostic }
    }

    /// An error with a code and help of its own.
    pub(crate) fn of(error: &dyn Error, code: &str, help: &str) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let words = error.to_string();
            // Some say what their cause says.
            if !message.ends_with(&words) {
                message.push_str(&format!(": {words}"));
            }
            cause = error.source();
        }
        Self::new(Ended::Failed, code, message).with_help(help)
    }

    /// Tells of it and gives the exit code: text on standard error, JSON on standard output.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let told = if json { self.tell_program() } else { self.tell_person() };
        // Whoever closed the stream does not want to know.
        drop(told);
        self.ended.into()
    }

    fn tell_program(&self) -> io::Result<()> {
        let mut error = serde_json::json!({"code": self.code, "message": self.message});
        if let (Some(help), Some(error)) = (&self.help, error.as_object_mut()) {
            error.insert("help".to_owned(), help.as_str().into());
        }
        let told = serde_json::json!({ "error": error }).to_string();
        writeln!(io::stdout(), "{}", crate::output::escaped(&told))
    }

    fn tell_person(&self) -> io::Result<()> {
        let mut stderr = io::stderr();
        if let Some(diagnostic) = &self.diagnostic {
            let mut text = String::new();
            let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor());
            if handler.render_report(&mut text, diagnostic.as_ref()).is_ok() {
                return write!(stderr, "{text}");
            }
        }
        writeln!(stderr, "tagout: {} [{}]", tagout_terminal::printable(&self.message), self.code)?;
        match &self.help {
            Some(help) => writeln!(stderr, "  help: {help}"),
            None => Ok(()),
        }
    }
}
