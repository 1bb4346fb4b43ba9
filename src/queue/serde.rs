//! Handles that are sent: a queue, or a topic, serialises as its address and the nonce of its
//! segment, and a ticket, by which the handle counts until it has arrived (`raw/roles/transit.rs`),
//! with the handle's wait strategy.

use super::{Buildable, Queue, Receiver, Sender};
use crate::error::OpenError;
use crate::message::Message;
use crate::raw::{ForOneReceiver, RawQueue, TransitTicket};
use crate::wait::WaitStrategy;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// Address, nonce, schema, structure, and how it travels.
pub(crate) type Received = (String, u64, Option<String>, Option<String>, Transit);

/// What a handle on its way has beside the segment's identity.
pub(crate) struct Transit {
    ticket: TransitTicket,
    strategy: WaitStrategy,
}

impl Transit {
    fn of(raw: &RawQueue, ticket: TransitTicket) -> Transit {
        Transit { ticket, strategy: raw.strategy() }
    }
}

impl Serialize for Transit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let strategy = match self.strategy {
            WaitStrategy::Adaptive => (0u8, 0, 0),
            WaitStrategy::Spin => (1, 0, 0),
            WaitStrategy::Block => (2, 0, 0),
            WaitStrategy::Custom { spins, yields } => (3, spins, yields),
        };
        (self.ticket, strategy).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Transit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (ticket, (kind, spins, yields)) = <(TransitTicket, (u8, u32, u32))>::deserialize(deserializer)?;
        let strategy = match kind {
            0 => WaitStrategy::Adaptive,
            1 => WaitStrategy::Spin,
            2 => WaitStrategy::Block,
            3 => WaitStrategy::Custom { spins, yields },
            kind => return Err(D::Error::custom(format_args!("a handle of another version: wait strategy {kind}"))),
        };
        Ok(Transit { ticket, strategy })
    }
}

pub(crate) fn send<S: Serializer>(
    raw: &RawQueue,
    schema: Option<&str>,
    structure: Option<&str>,
    ticket: Result<TransitTicket, ForOneReceiver>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let ticket = ticket.map_err(S::Error::custom)?;
    let transit = Transit::of(raw, ticket);
    (raw.segment().address(), raw.segment().nonce(), schema, structure, transit).serialize(serializer)
}

impl<T: ?Sized + Message> Serialize for Queue<T> {
    /// Name (with its directory, if that is not `/dev/shm`), nonce, schema and structure as the builder
    /// was given them, and the wait strategy, with which the handle arrives. To open it, the receiver
    /// needs a participant that still lives, or a persisted segment.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        send(&self.raw, self.schema.as_deref(), self.structure.as_deref(), self.raw.send_off_both(), serializer)
    }
}

impl<'de, T: ?Sized + Message> Deserialize<'de> for Queue<T> {
    /// Opens the queue, through the mapping that this process may have already. The error is that
    /// of [`Queue::open`], or `Replaced` if another queue has taken the name since. One of another
    /// user is refused, unless this process has opened it already by
    /// [`QueueBuilder::allow_owner`](crate::QueueBuilder::allow_owner).
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, structure, transit) = Received::deserialize(deserializer)?;
        reopen(&address, nonce, schema, structure, transit).map_err(D::Error::custom)
    }
}

impl<T: ?Sized + Message> Serialize for Sender<T> {
    /// As that of [`Queue`]. The handle on its way is a sender of this process, as long as this
    /// process is attached, until another one has deserialised it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        send(&self.raw, self.schema.as_deref(), self.structure.as_deref(), self.raw.send_off(), serializer)
    }
}

impl<'de, T: ?Sized + Message> Deserialize<'de> for Sender<T> {
    /// As that of [`Queue`]; it arrives as a sender.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, structure, transit) = Received::deserialize(deserializer)?;
        let raw = attach::<Queue<T>>(&address, nonce, &schema, &structure, transit.strategy).map_err(D::Error::custom)?;
        let sender = Sender::new(Arc::clone(&raw), schema.map(Arc::from), structure.map(Arc::from));
        raw.arrived(transit.ticket);
        Ok(sender)
    }
}

impl<T: ?Sized + Message> Serialize for Receiver<T> {
    /// As that of [`Queue`]. The handle on its way is a receiver of this process, as long as this
    /// process is attached, until another one has deserialised it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        send(&self.raw, self.schema.as_deref(), self.structure.as_deref(), self.raw.send_off(), serializer)
    }
}

impl<'de, T: ?Sized + Message> Deserialize<'de> for Receiver<T> {
    /// As that of [`Queue`]; it arrives as a receiver.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, structure, transit) = Received::deserialize(deserializer)?;
        let raw = attach::<Queue<T>>(&address, nonce, &schema, &structure, transit.strategy).map_err(D::Error::custom)?;
        let receiver = Receiver::new(Arc::clone(&raw), schema.map(Arc::from), structure.map(Arc::from));
        raw.arrived(transit.ticket);
        Ok(receiver)
    }
}

/// What a handle of encoded objects serialises as: address, nonce, schema, and how it travels.
#[cfg(feature = "object")]
pub(crate) type Sent<'a> = (String, u64, Option<&'a str>, Transit);

#[cfg(feature = "object")]
impl Queue<[u8]> {
    pub(crate) fn sent(&self) -> Result<Sent<'_>, ForOneReceiver> {
        let transit = Transit::of(&self.raw, self.raw.send_off_both()?);
        Ok((self.raw.segment().address(), self.raw.segment().nonce(), self.schema.as_deref(), transit))
    }
}

impl Sender<[u8]> {
    #[cfg(feature = "object")]
    pub(crate) fn sent(&self) -> Result<Sent<'_>, ForOneReceiver> {
        let transit = Transit::of(&self.raw, self.raw.send_off()?);
        Ok((self.raw.segment().address(), self.raw.segment().nonce(), self.schema.as_deref(), transit))
    }

    /// One that was sent for messages of `Q`.
    pub(crate) fn reopen<Q: Buildable>(
        address: &str,
        nonce: u64,
        schema: Option<String>,
        transit: Transit,
    ) -> Result<Sender<[u8]>, OpenError> {
        let raw = attach::<Q>(address, nonce, &schema, &None, transit.strategy)?;
        let sender = Sender::new(Arc::clone(&raw), schema.map(Arc::from), None);
        raw.arrived(transit.ticket);
        Ok(sender)
    }
}

impl Receiver<[u8]> {
    #[cfg(feature = "object")]
    pub(crate) fn sent(&self) -> Result<Sent<'_>, ForOneReceiver> {
        let transit = Transit::of(&self.raw, self.raw.send_off()?);
        Ok((self.raw.segment().address(), self.raw.segment().nonce(), self.schema.as_deref(), transit))
    }

    /// One that was sent for messages of `Q`.
    pub(crate) fn reopen<Q: Buildable>(
        address: &str,
        nonce: u64,
        schema: Option<String>,
        transit: Transit,
    ) -> Result<Receiver<[u8]>, OpenError> {
        let raw = attach::<Q>(address, nonce, &schema, &None, transit.strategy)?;
        let receiver = Receiver::new(Arc::clone(&raw), schema.map(Arc::from), None);
        raw.arrived(transit.ticket);
        Ok(receiver)
    }
}

/// Attaches to the queue that a serialised handle names.
fn attach<Q: Buildable>(
    address: &str,
    nonce: u64,
    schema: &Option<String>,
    structure: &Option<String>,
    strategy: WaitStrategy,
) -> Result<Arc<RawQueue>, OpenError> {
    let mut expected = Q::message_type().expect(schema.clone(), structure.clone());
    expected.nonce = Some(nonce);
    RawQueue::reopen(address, &expected, strategy)
}

/// Opens the queue that a serialised handle names.
pub(crate) fn reopen<Q: Buildable>(
    address: &str,
    nonce: u64,
    schema: Option<String>,
    structure: Option<String>,
    transit: Transit,
) -> Result<Q, OpenError> {
    let raw = attach::<Q>(address, nonce, &schema, &structure, transit.strategy)?;
    // It counts first.
    let queue = Q::over(Arc::clone(&raw), schema, structure);
    raw.arrived(transit.ticket);
    Ok(queue)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [WaitStrategy; 4] =
        [WaitStrategy::Adaptive, WaitStrategy::Spin, WaitStrategy::Block, WaitStrategy::Custom { spins: 7, yields: 9 }];

    fn sent(queue: &Queue<u64>) -> String {
        serde_json::to_string(queue).unwrap()
    }

    fn received(text: &str) -> Queue<u64> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_handle_that_arrives_waits_as_it_did() {
        for strategy in ALL {
            let builder = || Queue::<u64>::builder().capacity(4).wait_strategy(strategy);
            // Through the mapping that is there, also where that waits otherwise.
            let queue = builder().create().unwrap();
            assert_eq!(received(&sent(&queue)).raw().strategy(), strategy);
            for other in ALL {
                let same = Queue::<u64>::builder().name(queue.name()).wait_strategy(other).open().unwrap();
                let arrived = received(&sent(&same));
                assert_eq!((arrived.raw().strategy(), same.raw().strategy()), (other, other));
                arrived.put(&5).unwrap();
                assert_eq!(same.get().unwrap(), 5);
            }
            drop(queue);
            // By a new one.
            let name = format!("test-strategy-{}-{}", std::process::id(), ALL.iter().position(|&each| each == strategy).unwrap());
            let queue = builder().name(&name).persist(true).create().unwrap();
            let text = sent(&queue);
            drop(queue);
            let arrived = received(&text);
            Queue::<u64>::unlink(&name).unwrap();
            assert_eq!(arrived.raw().strategy(), strategy);
        }
    }
}
