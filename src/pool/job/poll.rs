//! Tasks of an executor that wait for a job, as callers that block do.

use super::{End, Job, State};
use crate::pool::error::TaskError;
use crate::pool::piece::Piece;
use crate::process::wakers::Place;
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::task::{Context, Poll};

impl Job {
    /// As [`wait`](Self::wait), for a task of an executor. The job is not inherited.
    pub fn poll_over(&self, place: &mut Option<Place>, context: &Context<'_>) -> Poll<()> {
        self.poll_for(place, context, |state| (state.end == End::Over).then_some(()))
    }

    /// As [`take_pieces`](Self::take_pieces), for a task of an executor. The job is not inherited.
    pub fn poll_pieces(&self, place: &mut Option<Place>, context: &Context<'_>) -> Poll<Result<VecDeque<Piece>, TaskError>> {
        self.poll_for(place, context, State::take_pieces)
    }

    fn poll_for<R>(&self, place: &mut Option<Place>, context: &Context<'_>, check: impl Fn(&mut State) -> Option<R>) -> Poll<R> {
        let found = check(&mut self.lock());
        if let Some(found) = found {
            self.leave(place.take());
            return Poll::Ready(found);
        }
        let waker = context.waker().clone();
        let mut state = self.lock();
        let found = check(&mut state);
        let dropped = match (&found, *place) {
            (None, _) => state.wakers.add(place, waker),
            (Some(_), Some(known)) => state.wakers.remove(known),
            (Some(_), None) => None,
        };
        drop(state);
        drop(dropped);
        found.map_or(Poll::Pending, Poll::Ready)
    }

    /// A task of an executor waits no more. Nothing is touched in a forked child.
    pub fn leave(&self, place: Option<Place>) {
        if let Some(place) = place.filter(|_| !self.is_inherited()) {
            let dropped = self.lock().wakers.remove(place);
            drop(dropped);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.is_inherited() {
            // Wakers are of an executor that is not here.
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(std::mem::take(&mut state.wakers));
        }
    }
}
