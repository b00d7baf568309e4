//! A server's form, put to a person and held against its schema.
use crate::{Form, FormAnswer, Ui};

/// What the person says; what does not fit the schema is not sent.
pub(crate) async fn form(form: &Form, ui: &mut dyn Ui) -> FormAnswer {
    ui.form(form).await
}
