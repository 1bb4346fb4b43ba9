//! Queues as sinks.

use crate::cases;
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::within;
use futures::{Sink, SinkExt, StreamExt, stream};
use shmq::future::PutSink;
use shmq::{PutError, Queue};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub fn cases() -> Vec<Case> {
    cases![
        what_is_flushed_is_in_the_queue,
        a_full_queue_holds_the_sender_up_and_the_sink_one_message,
        a_closed_queue_refuses_what_it_is_sent,
        a_stream_is_forwarded_to_another_process,
    ]
}

fn what_is_flushed_is_in_the_queue() {
    let queue = Queue::<u64>::new(8).unwrap();
    within(async {
        let mut sink = queue.sink();
        sink.send(1).await.unwrap();
        assert_eq!(queue.len(), 1);
        sink.feed(2).await.unwrap();
        sink.feed(3).await.unwrap();
        assert_eq!(queue.len(), 2, "the sink holds one");
        sink.close().await.unwrap();
    });
    assert_eq!((queue.len(), queue.is_closed()), (3, false));
}

fn a_full_queue_holds_the_sender_up_and_the_sink_one_message() {
    let queue = Queue::<u64>::new(1).unwrap();
    let mut sink = queue.sink();
    let mut context = Context::from_waker(Waker::noop());
    let mut poll_ready = |sink: &mut PutSink<&Queue<u64>, u64>| Pin::new(sink).poll_ready(&mut context);
    for n in [1, 2] {
        assert!(matches!(poll_ready(&mut sink), Poll::Ready(Ok(()))));
        Pin::new(&mut sink).start_send(n).unwrap();
    }
    assert!(poll_ready(&mut sink).is_pending());
    assert_eq!(queue.get().unwrap(), 1);
    assert!(matches!(poll_ready(&mut sink), Poll::Ready(Ok(()))));
    assert_eq!(queue.get().unwrap(), 2);
    Pin::new(&mut sink).start_send(3).unwrap();
    drop(sink); // with what it holds
    assert!(queue.is_empty());
}

fn a_closed_queue_refuses_what_it_is_sent() {
    let queue = Queue::<u64>::new(1).unwrap();
    let mut sink = queue.sink();
    queue.close();
    assert!(matches!(within(sink.send(1)), Err(PutError::Closed)));
    within(sink.flush()).unwrap(); // it holds none
}

fn a_stream_is_forwarded_to_another_process() {
    let queue = Queue::<[u8]>::builder().capacity_bytes(4096).create().unwrap();
    let there = queue.clone();
    let getter = fork("a getter", move || {
        let mut all = 0;
        within(async {
            let mut messages = there.stream();
            while let Some(message) = messages.next().await {
                all += message.unwrap().len();
            }
        });
        assert_eq!(all, (0..500).sum());
    });
    within(stream::iter((0..500).map(|n| Ok(vec![7; n]))).forward(queue.sink())).unwrap();
    queue.close();
    getter.expect_success();
}
