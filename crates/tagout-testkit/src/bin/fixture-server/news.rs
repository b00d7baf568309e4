//! Changes that clients are told of. Nothing changes in fact: definitions stay what they are.
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use rmcp::{
    Peer, RoleServer,
    model::{ResourceUpdatedNotificationParam, SubscriptionFilter},
    service::{SubscriptionContext, SubscriptionSink},
};
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// The resource that may be watched.
pub(crate) const WATCHED: &str = "test://watched-resource";

/// News that a client has not taken are lost beyond so many.
pub(crate) const BACKLOG: usize = 16;

/// What is said to have changed.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum News {
    Tools,
    Prompts,
    Resources,
    WatchedResource,
}

/// The resources that a session of the legacy era watches.
#[derive(Clone, Default)]
pub(crate) struct Watched(Arc<Mutex<BTreeSet<String>>>);

impl Watched {
    pub(crate) fn insert(&self, uri: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uri);
    }

    pub(crate) fn remove(&self, uri: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uri);
    }

    fn contains(&self, uri: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(uri)
    }
}

/// Tells a session of the legacy era, until it is over.
pub(crate) async fn tell(peer: Peer<RoleServer>, mut news: Receiver<News>, watched: Watched) {
    while let Some(news) = next(&mut news).await {
        let told = match news {
            News::Tools => peer.notify_tool_list_changed().await,
            News::Prompts => peer.notify_prompt_list_changed().await,
            News::Resources => peer.notify_resource_list_changed().await,
            News::WatchedResource if watched.contains(WATCHED) => {
                peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(WATCHED)).await
            }
            News::WatchedResource => Ok(()),
        };
        if told.is_err() || peer.is_transport_closed() {
            return;
        }
    }
}

/// Tells a subscription of the modern era, until it is over.
pub(crate) async fn serve(subscription: &SubscriptionContext, mut news: Receiver<News>) {
    loop {
        tokio::select! {
            () = subscription.cancelled() => return,
            next = next(&mut news) => match next {
                Some(next) => pass_on(next, subscription.sink()).await,
                None => return,
            },
        }
    }
}

async fn pass_on(news: News, sink: &SubscriptionSink) {
    let accepted: &SubscriptionFilter = sink.accepted();
    let watches = |uris: &Vec<String>| uris.iter().any(|uri| uri == WATCHED);
    let wanted = match news {
        News::Tools => accepted.tools_list_changed == Some(true),
        News::Prompts => accepted.prompts_list_changed == Some(true),
        News::Resources => accepted.resources_list_changed == Some(true),
        News::WatchedResource => accepted.resource_subscriptions.as_ref().is_some_and(watches),
    };
    if !wanted {
        return;
    }
    // A client that has left is found out by its cancellation.
    match news {
        News::Tools => sink.notify_tool_list_changed().await.ok(),
        News::Prompts => sink.notify_prompt_list_changed().await.ok(),
        News::Resources => sink.notify_resource_list_changed().await.ok(),
        News::WatchedResource => sink.notify_resource_updated(WATCHED).await.ok(),
    };
}

async fn next(news: &mut Receiver<News>) -> Option<News> {
    loop {
        match news.recv().await {
            Ok(news) => return Some(news),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}
