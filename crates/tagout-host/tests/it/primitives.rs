//! Prompts, resources and completion; forms, URLs, models and folders for servers.
mod asked;
mod attached;
mod folders;
mod models;
mod progress;
