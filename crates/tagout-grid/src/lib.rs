//! The Grid Operations Assistant: an MCP server with power-system data, analyses and charts.
//!
//! Everything it answers comes from data that ships in the binary (`data/README.md` has sources
//! and licences), so the same question gets the same answer, offline. It reads only: no tool
//! changes anything, opens a file or reaches a network.
//!
//! - [`load`]: the data sets, [`analysis`]: what can be said about them, [`chart`]: their picture;
//! - [`equipment`], [`risk`] and [`topology`]: test networks, their equipment and its weather risk;
//! - [`serve_stdio`] and [`server`]: all of it over MCP.

pub mod analysis;
pub mod chart;
mod embedded;
pub mod equipment;
pub mod load;
pub mod refusal;
mod resources;
pub mod risk;
mod rounding;
mod server;
mod tools;
pub mod topology;

pub use server::{ServeError, serve_stdio, server};
pub use tools::TOOL_EFFECTS;
