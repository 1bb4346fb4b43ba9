//! Endpoints of queues. Those of topics are in `topic/`.

mod consumer;
mod producer;
