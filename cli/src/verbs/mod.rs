//! The verbs of the command, one file each.

pub mod close;
pub mod completions;
pub mod create;
pub mod doctor;
pub mod drain;
pub mod evict;
pub mod get;
pub mod ls;
pub mod peek;
pub mod put;
pub mod recover;
pub mod rm;
pub mod schema;
pub mod stat;
pub mod top;
