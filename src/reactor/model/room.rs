//! The nodes of one process and queue, as the shipped code keeps them: put together from what the
//! model has of each task, changed by `nodes.rs`, and read back.

use super::{CLOSE, Node, State};
use crate::reactor::nodes::{Call, Key, Nodes, Removed, Standing};
use crate::reactor::wants::{Available, Fitting, Want};
use std::task::Waker;

pub(super) struct Room {
    nodes: Nodes,
    keys: [Option<Key>; 2],
}

fn messages(count: u8) -> Available {
    if count < CLOSE { Available { units: u64::from(count), is_held: false } } else { Available::ALL }
}

impl State {
    /// One room for each order in which tasks may have come to wait.
    pub(super) fn rooms(&self, process: usize, queue: usize) -> Vec<Room> {
        let of = |node: Node| {
            (0..2)
                .filter(move |&i| self.tasks[i].process == process && self.tasks[i].queue == queue && self.tasks[i].node == node)
        };
        let mut room = Room { nodes: Nodes::new(), keys: [None; 2] };
        // The first are late after two slices, the next were notified before this one, and the
        // others in it.
        for (node, slices) in [(Node::Late, 2), (Node::Notified { before: true }, 1), (Node::Notified { before: false }, 0)] {
            of(node).for_each(|i| room.register(i, self.tasks[i].want));
            // All that are there by now.
            room.serve(CLOSE, usize::MAX);
            (0..slices).for_each(|_| _ = room.nodes.end_slice());
        }
        let waiting: Vec<usize> = of(Node::Waiting).collect();
        waiting.iter().for_each(|&i| room.register(i, self.tasks[i].want));
        let mut rooms = vec![room];
        if waiting.len() > 1 {
            let mut other = Room { nodes: Nodes::new(), keys: [None; 2] };
            waiting.iter().rev().for_each(|&i| other.register(i, self.tasks[i].want));
            rooms.push(other);
        }
        rooms
    }

    pub(super) fn keep(&mut self, room: &Room) {
        for i in (0..2).filter(|&i| room.keys[i].is_some()) {
            self.tasks[i].node = room.keys[i].map_or(Node::Absent, |key| match room.nodes.standing(key) {
                (Standing::Absent, ..) => Node::Absent,
                (Standing::Waiting, ..) => Node::Waiting,
                (Standing::Notified, before, _) => Node::Notified { before },
                (Standing::Late, ..) => Node::Late,
            });
        }
    }
}

impl Room {
    pub(super) fn register(&mut self, task: usize, want: u8) {
        let want = Want { units: u64::from(want), ..Want::ONE };
        self.keys[task] = Some(self.nodes.register(self.keys[task], Waker::noop().clone(), want).0);
    }

    pub(super) fn remove(&mut self, task: usize, took: bool) -> Option<Removed> {
        self.keys[task].map(|key| self.nodes.remove(key, took))
    }

    /// Tasks that are notified, and whether something is left over.
    pub(super) fn serve(&mut self, ready: u8, most: usize) -> (Vec<usize>, bool) {
        let mut calls = Vec::new();
        let left_over = self.nodes.serve(messages(ready), Fitting::ALL, most, || 0, &mut calls);
        let task_of = |call: &Call| self.keys.iter().position(|&key| key == Some(call.key));
        (calls.iter().filter_map(task_of).collect(), left_over)
    }

    pub(super) fn end_slice(&mut self) -> bool {
        self.nodes.end_slice()
    }

    pub(super) fn answers_for_several(&self, task: usize) -> bool {
        self.keys[task].is_some_and(|key| self.nodes.answers_for_several(key))
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.nodes.has_waiting()
    }

    /// The waker of a task has panicked that was notified once.
    pub(super) fn note_panic(&mut self, task: usize) {
        if let Some(key) = self.keys[task] {
            self.nodes.note_panic(key, self.nodes.standing(key).2);
        }
    }
}
