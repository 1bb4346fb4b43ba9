//! From a queue to a stream.

use crate::failure::Failure;
use crate::metrics::Counters;
use crate::settings::{OutSettings, ServerSettings};
use crate::stop::Stop;

/// Carries messages from a queue to a stream until it is asked to end.
///
/// # Errors
/// [`Failure`]; nothing was lost.
pub async fn run(_settings: &OutSettings, _server: &ServerSettings, _counters: &Counters, _stop: Stop) -> Result<(), Failure> {
    Err(Failure::Settings("this direction is not built yet".into()))
}
