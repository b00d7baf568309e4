//! A server's form, put to a person and held against its schema.
use serde_json::{Map, Value};

use super::form::{FieldProblem, check};
use crate::{Event, Form, FormAnswer, Ui};

impl Form {
    /// Whether an answer fits: every field, and none that the form does not have.
    ///
    /// # Errors
    /// What is wrong, field by field.
    pub fn check(&self, answer: &Map<String, Value>) -> Result<(), Vec<FieldProblem>> {
        check(&self.fields, answer)
    }
}

/// What the person says. What does not fit the schema is not sent: the question counts as put away,
/// and whoever shows things is told why.
pub(crate) async fn form(form: &Form, ui: &mut dyn Ui) -> FormAnswer {
    let answer = ui.form(form).await;
    let FormAnswer::Accept(content) = &answer else { return answer };
    let Err(problems) = form.check(content) else { return answer };
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    ui.event(&Event::Logged {
        level: "warning".to_owned(),
        from: "tagout".to_owned(),
        logger: None,
        lines: vec![format!("the form was not sent: {}", problems.join("; "))],
    });
    FormAnswer::Cancel
}
