//! `shmq close`: ends all puts to a queue.

use crate::arguments::Close;
use crate::attach;
use crate::failure::Failure;

pub fn run(arguments: &Close) -> Result<u8, Failure> {
    attach::open_any(&arguments.name, &arguments.allowed)?.close();
    Ok(0)
}
