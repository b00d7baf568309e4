//! Log messages and progress, on the way of the request that they belong to.
#![expect(deprecated, reason = "logging is deprecated since 2026-07-28 and goes on working")]
use std::time::Duration;

use rmcp::{
    RoleServer,
    model::{
        LoggingLevel, LoggingMessageNotification, LoggingMessageNotificationParam,
        ProgressNotificationParam, ServerNotification, SetLevelRequestParams,
    },
    service::RequestContext,
};
use serde_json::json;
use tokio::time::sleep;

use crate::era::is_modern;

/// Between two messages, so that they are seen to come one by one.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether messages of the level `info` are wanted after this.
pub(crate) fn wants_info(level: LoggingLevel) -> bool {
    matches!(level, LoggingLevel::Debug | LoggingLevel::Info)
}

/// Whether the session of the legacy era is to have messages of the level `info`.
pub(crate) fn set(request: &SetLevelRequestParams) -> bool {
    wants_info(request.level)
}

/// Says `lines` at the level `info`, where the client wants that.
pub(crate) async fn log(lines: &[&str], session: bool, context: &RequestContext<RoleServer>) {
    let wanted = match is_modern(context) {
        true => context.meta.log_level().is_some_and(wants_info),
        false => session,
    };
    for (n, line) in lines.iter().enumerate() {
        if n > 0 {
            sleep(PAUSE).await;
        }
        if wanted {
            let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(line))
                .with_logger("fixture-server");
            let message = LoggingMessageNotification::new(message);
            // A client that has left misses nothing.
            let message = ServerNotification::LoggingMessageNotification(message);
            context.peer.send_notification(message).await.ok();
        }
    }
}

/// Reports 0, 50 and 100 of 100.
pub(crate) async fn progress(context: &RequestContext<RoleServer>) {
    let token = context.meta.get_progress_token();
    for (n, done) in [0.0, 50.0, 100.0].into_iter().enumerate() {
        if n > 0 {
            sleep(PAUSE).await;
        }
        if let Some(token) = token.clone() {
            let progress = ProgressNotificationParam::new(token, done).with_total(100.0);
            context.peer.notify_progress(progress).await.ok();
        }
    }
}
