//! Senders and receivers as a list of handles: the queue closes when a kind that there was is gone,
//! and not before, whatever is cloned, dropped and sent.

use super::PATIENCE;
use proptest::collection::vec;
use proptest::prelude::*;
use shmq::{Consumer, GetError, Producer, PutError, Queue, Receiver, Sender};
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Queue,
    Sender,
    Receiver,
    Producer,
    Consumer,
}

impl Kind {
    /// Does it send, and does it receive?
    fn roles(self) -> [bool; 2] {
        match self {
            Kind::Queue => [true, true],
            Kind::Sender | Kind::Producer => [true, false],
            Kind::Receiver | Kind::Consumer => [false, true],
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    /// Of a queue, if there is one.
    Make(Kind),
    /// Of the handle of that number, modulo how many there are.
    Clone(usize),
    Drop(usize),
    Send(usize),
    Arrive(usize),
    Put,
    Get,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let kind = prop_oneof![
        Just(Kind::Queue),
        Just(Kind::Sender),
        Just(Kind::Sender),
        Just(Kind::Receiver),
        Just(Kind::Receiver),
        Just(Kind::Producer),
        Just(Kind::Consumer)
    ];
    let operation = prop_oneof![
        4 => kind.prop_map(Operation::Make),
        3 => (0usize..8).prop_map(Operation::Clone),
        8 => (0usize..8).prop_map(Operation::Drop),
        3 => (0usize..8).prop_map(Operation::Send),
        3 => (0usize..8).prop_map(Operation::Arrive),
        3 => Just(Operation::Put),
        3 => Just(Operation::Get),
    ];
    vec(operation, 0..60)
}

#[derive(Debug)]
enum Handle {
    Queue(Queue<u64>),
    Sender(Sender<u64>),
    Receiver(Receiver<u64>),
    Producer(#[expect(dead_code, reason = "it is there")] Producer<u64>),
    Consumer(#[expect(dead_code, reason = "it is there")] Consumer<u64>),
}

impl Handle {
    fn kind(&self) -> Kind {
        match self {
            Handle::Queue(_) => Kind::Queue,
            Handle::Sender(_) => Kind::Sender,
            Handle::Receiver(_) => Kind::Receiver,
            Handle::Producer(_) => Kind::Producer,
            Handle::Consumer(_) => Kind::Consumer,
        }
    }
}

#[derive(Debug, Default)]
struct Model {
    had: [bool; 2],
    closed: bool,
    messages: VecDeque<u64>,
}

impl Model {
    /// After each step: closed, if a kind that there was is gone.
    fn count(&mut self, handles: &[Handle], on_their_way: &[(Kind, String)]) {
        let kinds = || handles.iter().map(Handle::kind).chain(on_their_way.iter().map(|(kind, _)| *kind));
        for side in [0, 1] {
            self.had[side] |= kinds().any(|kind| kind != Kind::Queue && kind.roles()[side]);
            self.closed |= self.had[side] && !kinds().any(|kind| kind.roles()[side]);
        }
    }
}

fn run(operations: Vec<Operation>) {
    let queue = Queue::<u64>::builder().capacity(4).close_when_unused(true).create().unwrap();
    // Reads, and is no handle of either role: it keeps the segment attached.
    let seen = shmq::inspect::Inspector::open(queue.name()).unwrap();
    let mut handles = vec![Handle::Queue(queue)];
    let mut on_their_way: Vec<(Kind, String)> = Vec::new();
    let mut model = Model::default();
    let mut next = 0;
    for operation in operations {
        let at = |n: usize| n % handles.len().max(1);
        match operation {
            Operation::Make(kind) => {
                let made = handles.iter().find_map(|handle| {
                    let Handle::Queue(queue) = handle else { return None };
                    Some(match kind {
                        Kind::Queue => Handle::Queue(queue.clone()),
                        Kind::Sender => Handle::Sender(queue.sender()),
                        Kind::Receiver => Handle::Receiver(queue.receiver()),
                        // Refused while there is one.
                        Kind::Producer => Handle::Producer(queue.producer().ok()?),
                        Kind::Consumer => Handle::Consumer(queue.consumer().ok()?),
                    })
                });
                handles.extend(made);
            }
            Operation::Clone(n) => {
                let made = handles.get(at(n)).and_then(|handle| match handle {
                    Handle::Queue(queue) => Some(Handle::Queue(queue.clone())),
                    Handle::Sender(sender) => Some(Handle::Sender(sender.clone())),
                    Handle::Receiver(receiver) => Some(Handle::Receiver(receiver.clone())),
                    Handle::Producer(_) | Handle::Consumer(_) => None,
                });
                handles.extend(made);
            }
            // The last one of all ends the queue: there is nothing left to compare.
            Operation::Drop(n) if handles.len() > 1 => drop(handles.swap_remove(at(n))),
            Operation::Drop(_) => {}
            Operation::Send(n) => {
                let text = handles.get(at(n)).and_then(|handle| match handle {
                    // Closed, it is on no way that counts.
                    _ if model.closed => None,
                    Handle::Queue(queue) => serde_json::to_string(queue).ok(),
                    Handle::Sender(sender) => serde_json::to_string(sender).ok(),
                    Handle::Receiver(receiver) => serde_json::to_string(receiver).ok(),
                    Handle::Producer(_) | Handle::Consumer(_) => None,
                });
                on_their_way.extend(text.map(|text| (handles[at(n)].kind(), text)));
            }
            Operation::Arrive(n) if !on_their_way.is_empty() => {
                let (kind, text) = on_their_way.swap_remove(n % on_their_way.len());
                handles.push(match kind {
                    Kind::Queue => Handle::Queue(serde_json::from_str(&text).unwrap()),
                    Kind::Sender => Handle::Sender(serde_json::from_str(&text).unwrap()),
                    _ => Handle::Receiver(serde_json::from_str(&text).unwrap()),
                });
            }
            Operation::Arrive(_) => {}
            Operation::Put => {
                let put = handles.iter().find_map(|handle| match handle {
                    Handle::Sender(sender) => Some(sender.try_put(&next)),
                    Handle::Queue(queue) => Some(queue.try_put(&next)),
                    _ => None,
                });
                match put {
                    Some(Ok(())) => {
                        assert!(!model.closed, "a put into a closed queue");
                        model.had[0] = true;
                        model.messages.push_back(next);
                        next += 1;
                    }
                    Some(Err(PutError::Closed)) => assert!(model.closed),
                    Some(Err(PutError::Full)) => assert_eq!(model.messages.len(), 4),
                    Some(Err(PutError::Held { .. })) | None => {}
                    Some(Err(error)) => panic!("{error:?}"),
                }
            }
            Operation::Get => {
                let got = handles.iter().find_map(|handle| match handle {
                    Handle::Receiver(receiver) => Some(receiver.try_get()),
                    Handle::Queue(queue) => Some(queue.try_get()),
                    _ => None,
                });
                match got {
                    Some(Ok(message)) => {
                        assert_eq!(Some(message), model.messages.pop_front());
                        model.had[1] = true;
                    }
                    Some(Err(GetError::Closed)) => assert!(model.closed && model.messages.is_empty()),
                    Some(Err(GetError::Empty)) => assert!(!model.closed && model.messages.is_empty()),
                    Some(Err(GetError::Held { .. })) | None => {}
                    Some(Err(error)) => panic!("{error:?}"),
                }
            }
        }
        model.count(&handles, &on_their_way);
        assert_eq!(seen.snapshot().closed, model.closed, "after {operation:?}: {handles:?}, {on_their_way:?}, {model:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_closes_as_a_list_of_its_handles_says(operations in operations()) {
        run(operations);
    }
}

#[test]
fn an_observer_sees_which_process_sends_and_receives() {
    let queue = Queue::<u64>::builder().capacity(4).close_when_unused(true).create().unwrap();
    let seen = shmq::inspect::Inspector::open(queue.name()).unwrap();
    let roles = || -> Vec<_> { seen.snapshot().participants.iter().map(|one| (one.sends, one.receives)).collect() };
    assert!(seen.about().closes_when_unused);
    assert_eq!(roles(), [(true, true)]);
    let (sender, receiver) = (queue.sender(), queue.receiver());
    drop(queue);
    assert_eq!(roles(), [(true, true)]);
    // On its way it is not yet another's.
    let sent = serde_json::to_string(&sender).unwrap();
    drop(sender);
    assert_eq!((roles(), seen.snapshot().closed), (vec![(false, true)], false));
    let arrived: Sender<u64> = serde_json::from_str(&sent).unwrap();
    drop(receiver);
    assert_eq!((roles(), seen.snapshot().closed), (vec![(true, false)], true));
    drop(arrived);
}

#[test]
fn a_sender_and_a_receiver_have_the_verbs_of_their_sides() {
    let queue = Queue::<u64>::new(8).unwrap();
    let (sender, receiver) = (queue.sender(), queue.receiver());
    sender.put_timeout(&1, PATIENCE).unwrap();
    assert_eq!(sender.put_slice(&[2, 3]).unwrap(), 2);
    let mut loan = sender.loan().unwrap();
    *loan = 4;
    loan.commit().unwrap();
    assert_eq!(receiver.get_timeout(PATIENCE).unwrap(), 1);
    let mut two = [0; 1];
    assert_eq!((receiver.get_slice(&mut two).unwrap(), two), (1, [2]));
    assert_eq!(*receiver.lease().unwrap(), 3);
    assert_eq!(*receiver.get_boxed().unwrap(), 4);
    let all: [&dyn shmq::Waitable; 1] = [&receiver];
    sender.put(&5).unwrap();
    assert_eq!(shmq::wait_any(&all, None).unwrap(), 0);
    receiver.lease().unwrap().forward(&sender).unwrap();
    assert_eq!(receiver.try_get().unwrap(), 5);

    let slices = Queue::<[u8]>::builder().capacity_bytes(256).create().unwrap();
    let (sender, receiver) = (slices.sender(), slices.receiver());
    let mut loan = sender.loan_len(3).unwrap();
    loan.copy_from_slice(b"abc");
    loan.commit().unwrap();
    let mut buffer = [0; 8];
    assert_eq!(receiver.get_into(&mut buffer).unwrap(), 3);
    sender.put(b"d").unwrap();
    assert_eq!(receiver.get().unwrap(), b"d");
}
