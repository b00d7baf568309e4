//! What a server complains of on its standard error.
use tokio::{io::AsyncReadExt as _, net::unix::pipe::Receiver};

use crate::secrets::Secrets;

/// The longest line that is looked at as one, in bytes.
const LINE: usize = 64 << 10;
/// How much of a longer one is held back, for what may go on behind it: a value of 1,024 bytes in
/// any form that is looked for, but for escapes within escapes.
const HELD: usize = 8 << 10;

/// What a server complains is read, or it would come to a halt; it is for diagnosis, line by line
/// and without live secrets.
pub(super) async fn drain(server: String, secrets: Secrets, mut stderr: Receiver) {
    let mut buffer = vec![0; 8 << 10];
    let mut lines = Vec::new();
    loop {
        let read = match stderr.read(&mut buffer).await {
            Ok(0) | Err(_) => return show(&server, &secrets, &lines),
            Ok(read) => read,
        };
        lines.extend_from_slice(buffer.get(..read).unwrap_or_default());
        let end = lines.iter().rposition(|byte| *byte == b'\n').map(|end| end + 1);
        // A line without an end must not fill memory.
        let long = || {
            let most = Some(lines.len()).filter(|length| *length >= LINE)?.saturating_sub(HELD);
            // What is one value from the beginning to there goes as a whole.
            Some(secrets.live().cut(&lines, most)).map(|at| if at == 0 { lines.len() } else { at })
        };
        let Some(end) = end.or_else(long) else { continue };
        let rest = lines.split_off(end);
        show(&server, &secrets, &lines);
        lines = rest;
    }
}

fn show(server: &str, secrets: &Secrets, lines: &[u8]) {
    if lines.is_empty() {
        return;
    }
    let text = String::from_utf8_lossy(lines);
    let clean = secrets.clean(&text);
    let (text, _) = tagout_inspect::characters::made_visible(&clean);
    tracing::debug!(%server, "{}", text.trim_end());
}
