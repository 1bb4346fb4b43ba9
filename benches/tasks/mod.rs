//! The contestants of the bench of futures: tasks that stream messages, that pass them back and
//! forth, that wait in a crowd, that only wait.

pub mod crowd;
pub mod idle;
pub mod round_trip;
pub mod stream;
pub mod threads;

/// An executor on the calling thread.
pub trait Executor: 'static {
    fn new() -> Self;
    fn block_on<F: Future>(&self, future: F) -> F::Output;
}

/// That of the crate `futures`.
pub struct Futures;

impl Executor for Futures {
    fn new() -> Futures {
        Futures
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        futures::executor::block_on(future)
    }
}

/// That of tokio, without its timers and sockets.
pub struct Tokio(pub tokio::runtime::Runtime);

impl Executor for Tokio {
    fn new() -> Tokio {
        Tokio(tokio::runtime::Builder::new_current_thread().build().expect("start a runtime"))
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}
