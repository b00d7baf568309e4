//! A person who talks with the assistant.
use std::{collections::BTreeMap, ffi::OsString, fs, path::Path, process::ExitStatus};

use serde_json::{Value, json};
use tagout_testkit::{
    Pty,
    pty::{Seat, Streams},
};

use crate::{
    place::{LIMIT, Place, tool},
    redacted,
    terminal::seat,
};

/// What stands where the next line is typed.
pub(crate) const PROMPT: &str = "\n> ";
/// Rows of the screen that is looked at: all that was ever shown.
const ROWS: u16 = 600;

/// A chat at a terminal.
pub(crate) struct Talk {
    pub(crate) pty: Pty,
    columns: u16,
}

/// Who sits down, and at what.
pub(crate) struct Chair<'a> {
    place: &'a Place,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    columns: u16,
    shell: Option<&'static str>,
}

impl<'a> Chair<'a> {
    pub(crate) fn new(place: &'a Place, args: &[&str]) -> Self {
        let args = args.iter().map(Into::into).collect();
        Self { place, args, env: BTreeMap::new(), columns: 90, shell: None }
    }

    pub(crate) fn columns(self, columns: u16) -> Self {
        Self { columns, ..self }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Starts it from a shell's script, which finds it in `"$0" "$@"`.
    pub(crate) fn by_shell(self, script: &'static str) -> Self {
        Self { shell: Some(script), ..self }
    }

    /// Starts it, and waits for nothing.
    pub(crate) fn sit(self) -> Talk {
        let mut seat = Seat { streams: Streams::Terminal, ..seat(self.place, &[]) };
        seat.args = self.args;
        if let Some(script) = self.shell {
            let program = std::mem::replace(&mut seat.program, "/bin/sh".into());
            let before = ["-c".into(), script.into(), program.into_os_string()];
            seat.args.splice(0..0, before);
        }
        seat.env.extend(self.env);
        seat.columns = self.columns;
        Talk { pty: Pty::spawn(&seat).unwrap(), columns: self.columns }
    }

    /// Starts it, and waits until it can be talked to.
    pub(crate) fn talk(self) -> Talk {
        let mut talk = self.sit();
        talk.prompted();
        talk
    }
}

impl Talk {
    /// A chat whose model says `turns`.
    pub(crate) fn with(place: &Place, turns: &Value) -> Self {
        let model = model(place, turns);
        Chair::new(place, &["chat", "--model", &model]).talk()
    }

    /// Types a line.
    pub(crate) fn says(&mut self, line: &str) -> &mut Self {
        self.pty.send(&format!("{line}\r")).unwrap();
        self
    }

    /// Presses keys.
    pub(crate) fn keys(&mut self, keys: &str) -> &mut Self {
        self.pty.send(keys).unwrap();
        self
    }

    /// Waits until `text` shows; gives what showed in between.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) -> String {
        self.pty.expect(text, LIMIT).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Waits for the next prompt; gives what showed in between.
    #[track_caller]
    pub(crate) fn prompted(&mut self) -> String {
        self.sees(PROMPT)
    }

    /// Types a line, and gives what shows until the next prompt.
    #[track_caller]
    pub(crate) fn answer_to(&mut self, line: &str) -> String {
        self.says(line).prompted()
    }

    /// Waits for a card; gives it and the code that approves it.
    #[track_caller]
    pub(crate) fn card(&mut self) -> (String, String) {
        let card = self.sees("\n│ Type ") + &self.sees("╰\n> ");
        let code = card.rsplit("Type ").next().and_then(|rest| rest.split(' ').next());
        let code = code.unwrap_or_default().to_owned();
        assert!(code.len() == 4 && code.chars().all(|c| c.is_ascii_lowercase()), "{card}");
        (card, code)
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.pty.wait(LIMIT).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Leaves by Ctrl-D.
    #[track_caller]
    pub(crate) fn leaves(&mut self) {
        let status = self.keys("\x04").ended();
        assert_eq!(status.code(), Some(0), "{}", self.pty.screen());
    }

    /// What stands on the screen in the end, as a terminal of unlimited height shows it.
    pub(crate) fn screen(&self) -> String {
        let size = [ROWS, self.columns].map(|size| size.try_into().unwrap());
        let mut terminal = vt100::Parser::new(size[0], size[1], 0);
        terminal.process(&self.pty.bytes());
        let contents = terminal.screen().contents();
        let lines: Vec<_> = contents.lines().map(str::trim_end).collect();
        lines.join("\n").trim_end().to_owned()
    }

    /// The same, without what differs from run to run.
    pub(crate) fn redacted(&self, place: &Place) -> String {
        redacted::chat(&redacted::text(place, &self.screen()))
    }
}

/// What a file holds; nothing if there is none.
pub(crate) fn file(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The name of a model that says `turns`: texts, or a list of calls behind a text.
pub(crate) fn model(place: &Place, turns: &Value) -> String {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let turns: Vec<_> = turns.as_array().unwrap().iter().map(turn).collect();
    let path = place.path(&format!("model-{number:03}.toml"));
    place.write(&path, toml::to_string(&json!({ "turn": turns })).unwrap());
    format!("script:{}", path.display())
}

fn turn(turn: &Value) -> Value {
    let Some(parts) = turn.as_array() else { return json!({ "text": turn }) };
    let calls: Vec<_> = parts[1..]
        .iter()
        .map(|call| json!({"tool": call[0], "arguments": call.get(1).unwrap_or(&json!({}))}))
        .collect();
    json!({"text": parts[0], "call": calls})
}

/// A place with a server `s`, all of whose tools are reviewed: `write_it` and `read_it`, and those of
/// `more`, a script.
pub(crate) fn place(config: &str, more: Value) -> Place {
    let place = Place::new();
    place.configure(config);
    place.scripted("s", script(more));
    place.pin(&["s"]);
    place
}

/// What that server does.
pub(crate) fn script(more: Value) -> Value {
    let mut script = json!({"tools": [tool("write_it"), tool("read_it")], "calls": {
        "write_it": [[{"text": "written"}]],
        "read_it": [[{"text": "the load is 7 MW"}]],
    }});
    for (key, value) in more.as_object().unwrap() {
        match (script.get_mut(key), value) {
            (Some(Value::Array(old)), Value::Array(new)) => old.extend(new.iter().cloned()),
            (Some(Value::Object(old)), Value::Object(new)) => old.extend(new.clone()),
            _ => script[key] = value.clone(),
        }
    }
    script
}
