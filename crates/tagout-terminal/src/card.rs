//! Sections that stand out from the text around them.
use crate::{
    Screen, printable,
    style::{Colour, Row, Span, Style, painted},
    wrap::{chop, without_tabs, wrap},
};

/// What a word means to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing more than it says.
    Plain,
    /// It went well.
    Good,
    /// It failed, or was refused.
    Bad,
    /// It wants attention.
    Warning,
    /// It matters more than what is around it.
    Strong,
    /// It matters less.
    Quiet,
}

impl Tone {
    pub(crate) fn style(self) -> Style {
        let coloured = |colour| Style::BOLD.and(Style::coloured(colour));
        match self {
            Self::Plain => Style::PLAIN,
            Self::Good => coloured(Colour::Green),
            Self::Bad => coloured(Colour::Red),
            Self::Warning => coloured(Colour::Yellow),
            Self::Strong => Style::BOLD,
            Self::Quiet => Style::DIM,
        }
    }
}

/// `text` in the tone, on one line; through [`printable`].
#[must_use]
pub fn paint(text: &str, tone: Tone, screen: &Screen) -> String {
    let text = printable(text).replace(['\n', '\t'], " ");
    painted(&[Span::new(text, tone.style())], screen)
}

/// A section with a title and a bar at its side. Everything in it is shown whole, wrapped to the
/// screen, through [`printable`].
#[derive(Clone, Debug)]
pub struct Card {
    tone: Tone,
    title: Row,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
enum Line {
    Text(String, Tone),
    Field(String, String),
    Exact(String),
}

impl Card {
    /// A card of that title, whose bar has the tone.
    #[must_use]
    pub fn new(title: &str, tone: Tone) -> Self {
        let title = vec![Span::new(printable(title), Style::BOLD)];
        Self { tone, title, lines: Vec::new() }
    }

    /// Behind the title, less important than it: a duration, a number of a record.
    #[must_use]
    pub fn aside(mut self, text: &str) -> Self {
        self.title.push(Span::new(format!("  {}", printable(text)), Style::DIM));
        self
    }

    /// Behind the title, a word in a tone: a decision, an outcome.
    #[must_use]
    pub fn status(mut self, word: &str, tone: Tone) -> Self {
        self.title.push(Span::new("  ", Style::PLAIN));
        self.title.push(Span::new(printable(word), tone.style()));
        self
    }

    /// A paragraph.
    #[must_use]
    pub fn text(mut self, text: &str, tone: Tone) -> Self {
        self.lines.push(Line::Text(printable(text), tone));
        self
    }

    /// A name and what belongs to it; further lines of it stand below its first one.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.lines.push(Line::Field(printable(name), printable(value)));
        self
    }

    /// Text in which every space counts, arguments for instance; a line that is only broken by the
    /// screen goes on behind another bar.
    #[must_use]
    pub fn exact(mut self, text: &str) -> Self {
        self.lines.push(Line::Exact(printable(text)));
        self
    }

    /// What to write, with the end of the last line.
    #[must_use]
    pub fn render(&self, screen: &Screen) -> String {
        let room = screen.columns().saturating_sub(2);
        let names = self.lines.iter().filter_map(|line| match line {
            Line::Field(name, _) => Some(crate::wrap::width(name)),
            Line::Text(..) | Line::Exact(_) => None,
        });
        // A name that is longer has its value on the next line.
        let names = names.max().unwrap_or(0).min(room / 3);
        let bar = Style::coloured(self.tone.style().colour);
        let bar = if bar == Style::PLAIN { Style::DIM } else { bar };
        let mut out = String::new();
        let mut put = |sign: &str, row: Row| {
            let mut whole = vec![Span::new(sign, bar)];
            whole.extend(row);
            out.push_str(painted(&whole, screen).trim_end());
            out.push_str(screen.line_end());
        };
        for (n, row) in wrap(&self.title, room).into_iter().enumerate() {
            put(if n == 0 { "╭ " } else { "│ " }, row);
        }
        for line in &self.lines {
            for (sign, row) in line.rows(room, names) {
                put(sign, row);
            }
        }
        put("╰", Row::new());
        out
    }
}

impl Line {
    fn rows(&self, room: usize, names: usize) -> Vec<(&'static str, Row)> {
        match self {
            Self::Text(text, tone) => {
                let rows = wrap(&[Span::new(without_tabs(text), tone.style())], room);
                rows.into_iter().map(|row| ("│ ", row)).collect()
            }
            Self::Exact(text) => {
                let lines =
                    text.split('\n').map(|line| chop(&without_tabs(line), Style::CODE, room));
                let bars = std::iter::once("│ ").chain(std::iter::repeat("┊ "));
                lines.flat_map(|rows| bars.clone().zip(rows)).collect()
            }
            Self::Field(name, value) => {
                let width = crate::wrap::width(name);
                let mut rows = Vec::new();
                let mut label = vec![Span::new(name.as_str(), Style::DIM)];
                if width > names {
                    rows.extend(wrap(&label, room));
                    label.clear();
                }
                let missing = names.saturating_sub(if label.is_empty() { 0 } else { width });
                label.push(Span::new(" ".repeat(missing + 2), Style::PLAIN));
                let value = [Span::new(without_tabs(value), Style::PLAIN)];
                for mut row in wrap(&value, room.saturating_sub(names + 2)) {
                    let mut whole = std::mem::replace(
                        &mut label,
                        vec![Span::new(" ".repeat(names + 2), Style::PLAIN)],
                    );
                    whole.append(&mut row);
                    rows.push(whole);
                }
                rows.into_iter().map(|row| ("│ ", row)).collect()
            }
        }
    }
}
