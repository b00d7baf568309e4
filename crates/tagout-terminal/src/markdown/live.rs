//! Rows that are drawn again until they are finished.
use unicode_segmentation::GraphemeCursor;

/// The rows at the bottom of the screen that may still change, as they are written there. The
/// cursor is at the end of the last one.
#[derive(Debug)]
pub(super) struct Live {
    shown: Vec<String>,
    /// How many rows the cursor can go up and still be on the screen.
    most: usize,
}

impl Live {
    pub(super) fn new(most: usize) -> Self {
        Self { shown: vec![String::new()], most }
    }

    /// How many of so many live rows are above the screen, and not shown.
    pub(super) fn hidden(&self, rows: usize) -> usize {
        rows.saturating_sub(self.most)
    }

    /// What to write so that the rows that are finished stand where the live ones were, and `live`
    /// below them. Of more live rows than the screen has, the last ones are shown.
    pub(super) fn show(&mut self, done: Vec<String>, mut live: Vec<String>) -> String {
        if live.is_empty() {
            live.push(String::new());
        }
        live.drain(..self.hidden(live.len()));
        let kept = live.len();
        let mut rows = done;
        rows.append(&mut live);
        let out = self.difference(&rows);
        self.shown = rows.split_off(rows.len() - kept);
        out
    }

    fn difference(&self, rows: &[String]) -> String {
        let pairs = self.shown.iter().zip(rows);
        let same = pairs.take_while(|(shown, row)| shown == row).count();
        if same == self.shown.len() {
            // The last row that stands there is finished as it is.
            return joined(rows.get(same..).unwrap_or_default(), true);
        }
        // Where all that is left stands there already, its last row is drawn again, so that the
        // cursor comes to its end.
        let same = if same == rows.len() { same.saturating_sub(1) } else { same };
        let fresh = rows.get(same..).unwrap_or_default();
        if same + 1 == self.shown.len()
            && let (Some(shown), Some(first)) = (self.shown.last(), fresh.first())
            && let Some(more) = first.strip_prefix(shown.as_str())
            // What joins the last character changes it, and perhaps how wide it is.
            && GraphemeCursor::new(shown.len(), first.len(), true).is_boundary(first, 0) == Ok(true)
        {
            return more.to_owned() + &joined(fresh.get(1..).unwrap_or_default(), true);
        }
        let up = self.shown.len() - 1 - same;
        let up = if up == 0 { String::new() } else { format!("\x1b[{up}A") };
        format!("\r{up}\x1b[J{}", joined(fresh, false))
    }
}

fn joined(rows: &[String], from_a_row: bool) -> String {
    let mut out = String::new();
    for (n, row) in rows.iter().enumerate() {
        if n > 0 || from_a_row {
            out.push_str("\r\n");
        }
        out.push_str(row);
    }
    out
}
