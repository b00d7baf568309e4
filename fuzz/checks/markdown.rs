//! What must hold of Markdown on a terminal: whatever a model says and however it comes, nothing of it
//! reaches the terminal as control, the cursor never leaves what is being drawn, and the same stands
//! there in the end.
use tagout_terminal::{Markdown, Screen, Size};

/// The first byte is the width of the screen, the second how the text is cut; the rest is the text.
pub(crate) fn check(bytes: &[u8]) {
    let [width, cut, text @ ..] = bytes else { return };
    let text = String::from_utf8_lossy(text);
    let size = Size { columns: 20 + u16::from(*width) % 100, rows: 24, width_px: 0, height_px: 0 };
    let variable = |name: &str| (name == "TERM").then(|| "xterm-256color".to_owned());
    let screen = Screen::detect(variable, true, Some(size));
    let whole = shown(&[&text], &screen);
    let characters: Vec<_> = text.chars().collect();
    let pieces: Vec<String> =
        characters.chunks(1 + usize::from(*cut) % 16).map(|piece| piece.iter().collect()).collect();
    let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
    assert_eq!(shown(&pieces, &screen), whole);
}

/// The rows in the end. The only sequences are those that this understands.
fn shown(pieces: &[&str], screen: &Screen) -> Vec<String> {
    let mut markdown = Markdown::new(screen);
    let mut rows = vec![String::new()];
    let mut at = 0;
    for piece in pieces {
        draw(&markdown.push(piece), &mut rows, &mut at);
    }
    draw(&markdown.finish(), &mut rows, &mut at);
    rows
}

fn draw(output: &str, rows: &mut Vec<String>, at: &mut usize) {
    let mut rest = output.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' => {
                // Back to the start of the row: the next row, or over what stands there.
                if rest.next_if_eq(&'\n').is_some() {
                    *at += 1;
                    assert_eq!(*at, rows.len(), "a row is written over");
                    rows.push(String::new());
                }
            }
            '\u{1b}' => sequence(&mut rest, rows, at),
            c => {
                assert!(!c.is_control(), "{c:?} in {output:?}");
                rows[*at].push(c);
            }
        }
    }
}

fn sequence(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    rows: &mut Vec<String>,
    at: &mut usize,
) {
    assert_eq!(rest.next(), Some('['));
    let mut parameters = String::new();
    let end = loop {
        match rest.next() {
            Some(c @ ('0'..='9' | ';')) => parameters.push(c),
            other => break other,
        }
    };
    match end {
        Some('m') => rows[*at].push_str(&format!("{{{parameters}}}")),
        Some('A') => *at -= parameters.parse::<usize>().unwrap(),
        Some('J') => {
            rows.truncate(*at + 1);
            rows[*at].clear();
        }
        other => panic!("{other:?}"),
    }
}
