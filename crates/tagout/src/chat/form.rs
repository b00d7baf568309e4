//! A server's form, field by field.
use tagout_host::{Field, FieldKind, Form, FormAnswer};

use super::person::{Content, Person, is_yes};

/// How often one field is asked for until it fits.
const TRIES: usize = 3;
/// What puts a form away.
const CANCEL: &str = "/cancel";
/// What says no to it.
const DECLINE: &str = "/decline";

/// Asks for every field; nothing is filled in that nobody typed, and all of it is shown before it
/// goes.
pub(super) async fn asked(person: &Person, form: &Form) -> FormAnswer {
    let mut content = Content::new();
    let mut lead = format!(
        "\nA server asks you something; never tell it a secret.\n\n{}\n\n{DECLINE} says no, \
         {CANCEL} puts it away.\n",
        form.message
    );
    for field in &form.fields {
        match value(person, field, std::mem::take(&mut lead)).await {
            Ok(Some(value)) => {
                content.insert(field.name.clone(), value);
            }
            Ok(None) => {}
            Err(no) => return no,
        }
    }
    let all = serde_json::to_string_pretty(&content).unwrap_or_default();
    let text = format!("{lead}\nThis goes to the server:\n{all}");
    match person.line(text, "Send it? [y/N]".to_owned()).await.as_deref().map(is_yes) {
        Some(true) => FormAnswer::Accept(content),
        Some(false) => FormAnswer::Decline,
        None => FormAnswer::Cancel,
    }
}

async fn value(
    person: &Person,
    field: &Field,
    lead: String,
) -> Result<Option<serde_json::Value>, FormAnswer> {
    let mut text = format!("{lead}\n{}", described(field));
    for _ in 0..TRIES {
        let typed = person.line(text.clone(), format!("{}:", field.name)).await;
        let typed = typed.ok_or(FormAnswer::Cancel)?;
        match typed.trim() {
            CANCEL => return Err(FormAnswer::Cancel),
            DECLINE => return Err(FormAnswer::Decline),
            typed => match field.read(typed) {
                Ok(value) => return Ok(value),
                Err(problem) => text = format!("\n{problem}"),
            },
        }
    }
    Err(FormAnswer::Cancel)
}

/// A field in words.
fn described(field: &Field) -> String {
    let title = field.title.as_deref().unwrap_or(&field.name);
    let needed = if field.required { "" } else { " (may be left empty)" };
    let about = field.description.as_deref().map(|about| format!("\n  {about}"));
    let takes = match &field.kind {
        FieldKind::Text { format, .. } => format.map(|format| format!("{format}")),
        FieldKind::Number { whole, least, most, .. } => {
            let kind = if *whole { "a whole number" } else { "a number" };
            let from = least.map(|least| format!(" from {least}")).unwrap_or_default();
            let to = most.map(|most| format!(" to {most}")).unwrap_or_default();
            Some(format!("{kind}{from}{to}"))
        }
        FieldKind::Truth { .. } => Some("yes or no".to_owned()),
        FieldKind::Choice { options, .. } | FieldKind::Choices { options, .. } => {
            let titles: Vec<_> = options.iter().map(|option| option.title.as_str()).collect();
            let several = matches!(field.kind, FieldKind::Choices { .. });
            let which = if several { "some of, with commas between" } else { "one of" };
            Some(format!("{which}: {}", titles.join(", ")))
        }
    };
    let takes = takes.map(|takes| format!("\n  {takes}")).unwrap_or_default();
    format!("{title}{needed}{}{takes}", about.unwrap_or_default())
}
